"""python -m kit.train: train a network, or several and their ensemble; write runs, figures and a submission CSV."""

import argparse
import contextlib
import datetime
import shutil
import sys

from kit import competitions, locks, tracking, zoo
from kit.backend import start_keras
from kit.command_line import DONE, FAILED, command
from kit.errors import UserError
from kit.recipes import plan, recipe
from kit.recipes.plan import Plan
from kit.timings import Timings

DEFAULT_COMPETITION = "digit-recognizer"
SOURCES = ("auto", "kaggle", "keras", "sample")


@command
def main(argv: list[str] | None = None) -> int:
    """Train as the flags say, or go on with a training that was interrupted."""
    arguments = _parser().parse_args(argv)
    run, asked, origin = _interrupted(arguments) if arguments.resume else _new(arguments)
    from kit import loaders
    from kit.loaders.limit import limited

    timings = Timings()
    with timings.measure("load"):
        whole = loaders.load(origin["competition"], origin["source"], arguments.data_dir)
    print(loaders.describe(whole), flush=True)
    dataset = limited(whole, origin["limit"])
    origin = {**origin, "source": dataset.source}
    start_keras()
    train = _train_members if isinstance(asked, Plan) else _train_one
    try:
        train(run, asked, dataset, origin, timings)
    except UserError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        stopped = isinstance(error, KeyboardInterrupt)
        print(
            f"\n{'stopped' if stopped else 'failed'}. What is done is kept; go on with:\n"
            f"    python -m kit.train --resume --competition {run.competition} --name {run.name}",
            file=sys.stderr,
        )
        if stopped:
            return FAILED
        raise
    if whole.source == "sample":
        print(loaders.describe(whole))
    print(timings)
    print(f"run: {run.folder}")
    print(f"submission: {run.submission}")
    return DONE


def _train_one(run, chosen, dataset, origin, timings):
    """Train one network, and leave nothing of a run whose recipe is wrong."""
    from kit.training import session

    if not (run.folder / "config.yaml").exists():
        session.check(dataset, chosen)
    _train(run, chosen, dataset, origin, timings)


def _train(run, chosen, dataset, origin, timings):
    """Train one network and write all of its run; of a run that is trained already, what is missing."""
    from kit.training import session

    if not run.finished:
        chosen = session.with_precision(dataset, chosen)
        run.write_config({**origin, "recipe": chosen.as_dict()})
    with _alone(run):
        if not run.finished:
            session.train(dataset, chosen, run, timings)
        with timings.measure("figures"):
            _write_figures(run, dataset, chosen)
        with timings.measure("submission"):
            _write_submission(run, dataset)
    print(_summary(run, run.metrics()), flush=True)


def _train_members(run, planned, dataset, origin, timings):
    """Train the plan's members that are not trained yet, one after the other, and join all of them."""
    from kit import ensemble
    from kit.training import session

    members = planned.runs(run)
    todo = []
    for (name, chosen), member in zip(planned.members.items(), members, strict=True):
        todo.append((name, member, _as_begun(member, chosen, origin)))
        # A mistake in the last member's recipe should not show when the others are trained, hours later.
        if not member.finished:
            with _told_of(name):
                session.check(dataset, chosen)
    with _alone(run):
        planned.write(run, origin)
        for number, (name, member, chosen) in enumerate(todo, 1):
            kept = member.finished and member.submission.exists()  # the CSV is written last
            about = f"{chosen.model}, seed {chosen.seed}{', trained already' if kept else ''}"
            print(f"\nmember {number} of {len(todo)}: {member.name} ({about})", flush=True)
            if not kept:
                with _told_of(name):
                    _train(member, chosen, dataset, origin, timings)
        print()
        with timings.measure("ensemble"):
            _write_curves(run, members)
            estimator = ensemble.estimator(planned.method, planned.geometric)
            metrics = ensemble.join(run, ensemble.read(members, dataset), planned.method, estimator)
    print(_summary(run, metrics))


def _as_begun(member, chosen, origin):
    """The recipe that a plan's member goes on with: the plan's, in the precision that it was begun in, if it was."""
    if not (member.folder / "config.yaml").exists():
        return chosen
    config = member.config()
    if "recipe" not in config:
        raise UserError(f"{member.folder} is not the plan's member; remove it, or take another --name for the plan.")
    there = recipe.from_dict(config["recipe"])
    is_there, asked = config | there.as_dict(), origin | chosen.as_dict()
    if chosen.precision == "auto":
        asked["precision"] = there.precision
    for name, value in asked.items():
        if is_there[name] != value:
            raise UserError(
                f"{member.folder} is not the plan's member: its {name} is {is_there[name]}, not {value}; remove it, or "
                "take another --name for the plan."
            )
    return there


@contextlib.contextmanager
def _told_of(name):
    """Say of which member a plan's error is."""
    try:
        yield
    except UserError as error:
        raise UserError(f"member {name}: {error}") from None


@contextlib.contextmanager
def _alone(run):
    """Keep other processes from writing `run` meanwhile, and leave nothing of that behind."""
    try:
        with locks.locked(run.folder / ".working" / "lock", wait=False):
            yield
    except locks.Busy:
        raise UserError(f"{run.folder} is being trained by another process; let it finish.") from None
    shutil.rmtree(run.folder / ".working", ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    networks = "\n".join(f"  {network.name:<18}{network.summary}" for network in zoo.catalogue().values())
    parser = argparse.ArgumentParser(
        prog="python -m kit.train",
        description="Train a network on a competition; write its run, its figures and its submission CSV. "
        "With --seeds, or with a plan as --config, train several one after the other and write their ensemble.",
        epilog=f"networks:\n{networks}\n\nEvery flag of the recipe is also a key of a --config file.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--competition", metavar="NAME", help=f"{', '.join(competitions.names())}; the first is default"
                        .replace("the first", DEFAULT_COMPETITION))  # fmt: skip
    parser.add_argument("--source", choices=SOURCES, help="where the images come from (default: auto)")
    parser.add_argument(
        "--data-dir", default="data", metavar="FOLDER", help="of the competitions' files (default: data)"
    )
    parser.add_argument("--config", metavar="FILE", help="a recipe, over the network's own, or a plan of several")
    parser.add_argument("--seeds", type=int, metavar="N", help="train N networks that differ in their seeds; join them")
    parser.add_argument(
        "--name", metavar="RUN", help="of the run and its submission (default: the plan's; or model, date and time)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="train on N images only, for a quick try")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run --name, or with the newest unfinished"
    )
    recipe.add_flags(parser)
    return parser


def _new(arguments):
    """A run that does not exist yet, its recipe or plan, and where its data come from."""
    competition = competitions.get(arguments.competition or DEFAULT_COMPETITION).name
    if arguments.limit is not None and arguments.limit < 1:
        raise UserError(f"--limit {arguments.limit}: take 1 or more, or leave it out for all images.")
    flags = recipe.flags_given(arguments)
    planned = plan.given(competition, arguments.config, flags, arguments.seeds)
    chosen = next(iter(planned.members.values())) if planned else recipe.resolve(competition, arguments.config, flags)
    zoo.find(chosen.model)
    name = arguments.name or plan.named_by_file(arguments.config)
    run = tracking.place(competition, name or f"{chosen.model}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    if plan.begun(run):
        raise UserError(f"{run.folder} was begun and not finished; go on with --resume, or take another --name.")
    for one in [run, *(planned.runs(run) if planned else [])]:
        if one.finished:
            raise UserError(f"{one.folder} exists already; take another --name, or remove it.")
        if (one.folder / "config.yaml").exists():
            raise UserError(f"{one.folder} was begun and not finished; go on with --resume, or take another --name.")
    origin = {"competition": competition, "source": arguments.source or "auto", "limit": arguments.limit or 0}
    return run, planned or chosen, origin


def _interrupted(arguments):
    """A run that was begun, and the recipe or plan and the data that it was begun with."""
    name = arguments.name or plan.named_by_file(arguments.config)
    if name:
        run = tracking.place(arguments.competition or DEFAULT_COMPETITION, name)
    else:
        run = _newest_unfinished(arguments.competition)
    if plan.begun(run):
        return _begun_plan(arguments, run)
    if run.finished and (run.submission.exists() or "recipe" not in run.config()):
        raise UserError(f"--resume: {run.folder} is finished; nothing is left to do.")
    if not (run.folder / "config.yaml").exists():
        raise UserError(f"--resume: {run.folder} is no run that was begun; leave --resume out to begin it.")
    config = run.config()
    _refuse_others(arguments, run.folder / "config.yaml", ("source", "limit", "config", "seeds"))
    origin = {name: config[name] for name in ("competition", "source", "limit")}
    return run, recipe.from_dict(config["recipe"]), origin


def _newest_unfinished(competition):
    """The run to go on with where none is named; a plan, where it is a plan's member."""
    candidates = {run.folder / "config.yaml": run for run in tracking.every(competition) if not run.finished}
    for run in plan.unfinished(competition):
        candidates[run.folder / plan.FILE] = run
        for member in plan.read(run)[0].runs(run):
            if (member.folder / "config.yaml").exists():
                candidates[member.folder / "config.yaml"] = run
    if not candidates:
        raise UserError("--resume: no run is unfinished; leave it out to begin one.")
    return candidates[max(candidates, key=lambda path: path.stat().st_mtime)]


def _begun_plan(arguments, run):
    """The plan that `run` was begun with, and its origin, after a look at whether the command asks for another."""
    begun, origin = plan.read(run)
    asked = plan.given(origin["competition"], arguments.config, recipe.flags_given(arguments), arguments.seeds)
    if asked is None:
        _refuse_others(arguments, run.folder / plan.FILE, ("source", "limit", "config"))
        return run, begun, origin
    words = asked.difference(begun)
    if (arguments.limit or 0) != origin["limit"]:
        words = words or f"limit is {arguments.limit or 0}, and was {origin['limit']}"
    if arguments.source not in (None, "auto", origin["source"]):
        words = words or f"source is {arguments.source}, and was {origin['source']}"
    if words:
        raise UserError(
            f"--resume: this is not the plan that {run.folder} was begun with: {words}; put it back, or take another "
            "--name without --resume."
        )
    return run, begun, origin


def _refuse_others(arguments, file, names):
    flags = recipe.flags_given(arguments) | {
        name: value for name in names if (value := getattr(arguments, name)) is not None
    }
    if flags:
        flags_words = ", ".join(f"--{name.replace('_', '-')}" for name in flags)
        raise UserError(f"--resume goes on with what {file} says; leave out {flags_words}.")


def _write_curves(run, members):
    import pandas as pd

    from kit import figures

    histories = {member.name: pd.read_csv(member.folder / "history.csv") for member in members}
    shown = histories if len(members) > 1 else histories[run.name]
    run.write_figure("learning-curves", figures.learning_curves(shown, f"{run.name} on {run.competition}"))


def _write_figures(run, dataset, chosen):
    from kit import figures
    from kit.training import preview

    _write_curves(run, [run])
    before, after = preview.batch(dataset, chosen)
    if after is not None:
        run.write_figure("augmentation", figures.augmentation(before, after))


def _write_submission(run, dataset):
    from kit import submission

    labels = run.test().argmax(axis=1).astype("uint8")
    submission.write(run.submission, competitions.get(run.competition), dataset.test_ids, labels)


def _summary(run, metrics):
    accuracy = metrics["validation_accuracy"]
    reached = "no validation images" if accuracy is None else f"validation accuracy {accuracy:.2%}"
    if metrics["folds"]:
        reached = f"out-of-fold accuracy {accuracy:.2%} over {metrics['folds']} folds"
    if "test_accuracy" in metrics:
        reached += f", test accuracy {metrics['test_accuracy']:.2%}"
    return (
        f"{metrics['model']}: {reached} after {metrics['fit_seconds']:.0f} s of training "
        f"({metrics['images_per_second']:,.0f} images a second, {metrics['parameters']:,} parameters)\n"
        f"figures: {run.figures}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
