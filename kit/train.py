"""python -m kit.train: train a network, or several and their ensemble; write runs, figures and a submission CSV."""

import shlex
import sys
from typing import Any

from kit import api, competitions, loaders, tracking, zoo
from kit.backend import start_keras
from kit.command_line import DONE, FAILED, Parser, command
from kit.errors import UserError
from kit.interrupts import NobodyReads
from kit.recipes import Recipe, flags, plan
from kit.timings import Timings
from kit.training import flags as training
from kit.training import summary


@command
def main(argv: list[str] | None = None) -> int:
    """Train as the flags say, or go on with a training that was interrupted."""
    arguments = _parser().parse_args(argv)
    training.check(arguments)
    if arguments.find_learning_rate:
        return _find_learning_rate(arguments, sys.argv[1:] if argv is None else argv)
    timings = Timings()
    try:
        run = _resume(arguments, timings) if arguments.resume else _fit(arguments, timings)
    except NobodyReads:
        raise
    except KeyboardInterrupt:
        kept = " What is done is kept; `python -m kit.train --resume` goes on." if tracking.unfinished() else ""
        print(f"\nstopped.{kept}", file=sys.stderr)
        return FAILED
    print(summary.summary(run))
    if arguments.verbose:
        print(timings)
    print(summary.next_commands(run))
    print(f"run: {run.folder}")
    print(f"submission: {run.submission}")
    return DONE


def _find_learning_rate(arguments, argv: list[str]) -> int:
    kept = [name for name in ("resume", "seeds", "name", "time_limit", "tensorboard") if getattr(arguments, name)]
    if kept:
        raise UserError(f"--find-learning-rate keeps no training; leave out --{kept[0].replace('_', '-')}.")
    asked, dataset = _asked(arguments, Timings())
    if isinstance(asked, plan.Plan):
        raise UserError("--find-learning-rate: a plan trains several networks; take one of them, with --model.")
    print("training with a learning rate that grows from step to step", flush=True)
    found = api.find_learning_rate(dataset, config=arguments.config, **flags.given(arguments))
    from kit.training import output

    path = output.write_sweep(found, asked, dataset.competition.name)
    others = [argument for argument in argv if argument != "--find-learning-rate"]
    print(f"suggestion: {found.suggestion:g} (the recipe has {asked.learning_rate:g})")
    print(f"next:\n  {shlex.join(['python', '-m', 'kit.train', *others, '--learning-rate', f'{found.suggestion:g}'])}")
    print(f"figure: {path}")
    return DONE


def _asked(arguments, timings: Timings) -> tuple[Recipe | plan.Plan, loaders.Dataset]:
    """Return what is to be trained, and on what."""
    from kit.loaders import extra as own_images

    competition = competitions.get(arguments.competition or api.DEFAULT_COMPETITION).name
    # Whatever is wrong with the name, the disk, the recipe or the plan shows before 350,000 images are read.
    if arguments.name is not None:
        tracking.new(competition, arguments.name)
    tracking.place(competition, arguments.name or "unnamed").check_writable()
    asked = plan.asked_for(competition, arguments.config, flags.given(arguments), arguments.seeds)
    first = next(iter(asked.members.values())) if isinstance(asked, plan.Plan) else asked
    zoo.find(first.model)
    more = own_images.read(arguments.extra_data, competitions.get(competition)) if arguments.extra_data else None
    print("starting Keras", flush=True)
    start_keras()
    zoo.check_options(first.model, {name: value for name, value in first.options.items() if name != "runs"})
    with timings.measure("load"):
        print(f"reading {competition}", flush=True)
        dataset = api.load(competition, arguments.source or "auto", arguments.data_dir or "data", arguments.limit or 0)
    dataset = own_images.add(dataset, more) if more else dataset
    kept = None if first.folds else round(first.validation_share * len(dataset.train_labels))
    print(loaders.describe(dataset, kept), flush=True)
    return asked, dataset


def _fit(arguments, timings: Timings) -> api.Run:
    _, dataset = _asked(arguments, timings)
    return api.fit(
        dataset,
        config=arguments.config,
        name=arguments.name,
        seeds=arguments.seeds,
        tensorboard=arguments.tensorboard,
        time_limit=arguments.time_limit,
        timings=timings,
        **flags.given(arguments),
    )


def _resume(arguments, timings: Timings) -> api.Run:
    run = _interrupted(arguments)
    others: dict[str, Any] = flags.given(arguments)
    others |= {name: getattr(arguments, name) for name in ("source", "limit", "seeds", "config", "extra_data")}
    given = [name for name, value in others.items() if value is not None]
    if given:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"--resume goes on as {run.folder / 'config.yaml'} says; leave out {listed}.")
    print(f"going on with {run.folder}", flush=True)
    return api.resume(
        run,
        arguments.data_dir,
        tensorboard=arguments.tensorboard,
        time_limit=arguments.time_limit,
        timings=timings,
    )


def _interrupted(arguments) -> tracking.Run:
    if not arguments.name:
        found = tracking.unfinished(arguments.competition)
        if not found:
            raise UserError("--resume: no training is unfinished; leave it out to begin one.")
        plans = [run for run in found if run.config().kind == "plan"]
        of_newest = [run for run in plans if found[0].name.startswith(f"{run.name}-")]
        return of_newest[0] if of_newest else found[0]  # a plan's member goes on with its plan
    if arguments.competition:
        return tracking.place(arguments.competition, arguments.name)
    return tracking.find(arguments.name)


def _parser() -> Parser:
    networks = "\n".join(f"  {network.name:<18}{network.summary}" for network in zoo.catalogue().values())
    parser = Parser(
        "kit.train",
        "Train a network on a competition; write its run, its figures and its submission CSV. With --seeds, or with a "
        "plan as --config, train several one after the other and write their ensemble.",
        [
            ("python -m kit.train --config fast", "a recipe by its name: a score in seconds"),
            ("python -m kit.train --model fast_cnn --epochs 10 --rotate 15", "a network's tuned recipe, with changes"),
            ("python -m kit.train --model resnet_small --find-learning-rate", "a figure and a suggestion"),
            ("python -m kit.train --resume", "go on with the newest training that was interrupted"),
        ],
        f"networks:\n{networks}",
    )
    training.add_flags(parser)
    parser.add_argument(
        "--find-learning-rate", action="store_true", help="train nothing that is kept; suggest a learning rate"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
