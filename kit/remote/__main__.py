"""python -m kit.remote: train on Kaggle's GPU, follow it, and bring the run here."""

import pathlib
import sys

from kit import files, tracking
from kit.command_line import DONE, FAILED, Parser, command
from kit.errors import UserError
from kit.recipes import flags
from kit.remote.record import LONGEST, MACHINES
from kit.tracking import Run
from kit.training import flags as training


@command
def main(argv: list[str] | None = None) -> int:
    """Push a training, follow one, or bring one here."""
    arguments = _parser().parse_args(argv)
    training.check(arguments)
    _check(arguments)
    if arguments.notebook:
        return _write_notebook(arguments)

    from kit import kaggle_client
    from kit.remote import following, record, sessions

    wanted = None if arguments.status or _named(arguments) or arguments.resume else _wanted(arguments)
    kaggle = kaggle_client.Kernels()
    if arguments.status:
        sessions.quotas(kaggle)
        print("\n".join(following.overview(kaggle, arguments.competition) or ["nothing was pushed from here."]))
        return DONE
    run = None
    try:
        if _named(arguments):
            run, _ = record.find(_named(arguments), arguments.competition)
        elif wanted:
            run = sessions.begin(
                kaggle, wanted, sessions.Machine(arguments.accelerator or "t4x2", arguments.time_limit)
            )
        else:
            run = _resume(kaggle, arguments)
        bring = following.fetch if arguments.fetch else following.follow
        manifest = bring(kaggle, run)
    except KeyboardInterrupt:
        name = run.name if run else arguments.name or "NAME"
        print(
            f"\ndetached. What was pushed goes on at Kaggle: `python -m kit.remote --follow {name}` comes back to it.",
            file=sys.stderr,
        )
        return FAILED
    if manifest:
        sessions.quotas(kaggle)
    return _show(run)


def _show(run: Run) -> int:
    from kit.training import summary

    print(summary.summary(run))
    print(summary.next_commands(run))
    print(f"run: {run.folder}")
    print(f"submission: {run.submission}")
    return DONE


def _named(arguments) -> str:
    return arguments.follow or arguments.fetch


def _wanted(arguments):
    from kit.remote import wanted

    return wanted.resolve(arguments)


def _resume(kaggle, arguments) -> Run:
    from kit.remote import record, sessions

    if arguments.name:
        run, known = record.find(arguments.name, arguments.competition)
    else:
        known_runs = ((run, record.read(run)) for run in record.every(arguments.competition))
        paused = [run for run, known in known_runs if known and known.last.state == record.PAUSED]
        if len(paused) != 1:
            listed = ", ".join(run.name for run in paused) or "none"
            raise UserError(f"--resume: say with --name which run to go on with; stopped in time: {listed}.")
        run, known = record.find(str(paused[0].folder))
    accelerator = arguments.accelerator or known.last.accelerator
    return sessions.resume(kaggle, run, sessions.Machine(accelerator, arguments.time_limit))


def _write_notebook(arguments) -> int:
    from kit.remote import packing, sessions

    asked, path = _wanted(arguments), pathlib.Path(arguments.notebook)
    accelerator = arguments.accelerator or "t4x2"
    seconds = int(60 * arguments.time_limit) if arguments.time_limit else LONGEST[accelerator]
    run = tracking.Run(tracking.RUNS / asked.competition / asked.runs[-1])
    told = sessions.settings("notebook", seconds, accelerator, asked, run, notebook=True)
    files.write_text(path, packing.notebook(told, asked.recipe))
    print(f"notebook: {path}")
    print(
        "next: upload it at https://www.kaggle.com/code, attach the competition, save and run it, then submit it there."
    )
    return DONE


def _check(arguments) -> None:
    """Refuse flags that do not go together."""
    modes = [name for name in ("status", "follow", "fetch", "notebook", "resume") if getattr(arguments, name)]
    if len(modes) > 1:
        raise UserError(f"--{modes[0]} and --{modes[1]} do not go together; take one.")
    if not modes or modes == ["notebook"]:
        return
    others = flags.given(arguments)
    others |= {
        name: getattr(arguments, name) for name in ("source", "limit", "seeds", "config", "data_dir", "extra_data")
    }
    if given := [name for name, value in others.items() if value is not None]:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"--{modes[0]} goes on with what was pushed; leave out {listed}.")


def _parser() -> Parser:
    parser = Parser(
        "kit.remote",
        "Train on Kaggle's machines: push this kit as a private kernel, follow it, and bring the run here as if it had "
        "been trained here. All flags of kit.train are taken; --time-limit is the session's.",
        [
            ("python -m kit.remote --config top --name top", "train on two T4s, follow, fetch"),
            ("python -m kit.remote --status", "all of yours, and the quota that is left"),
            ("python -m kit.remote --follow top", "come back to it after Ctrl-C or on another day"),
            ("python -m kit.remote --resume --name top", "go on with what a session's time was too short for"),
        ],
        "Ctrl-C detaches: the session goes on. Credentials stay here.",
    )
    group = parser.add_argument_group("Kaggle")
    group.add_argument("--accelerator", choices=tuple(MACHINES), help="two T4s, a TPU, or none (t4x2)")
    group.add_argument("--status", action="store_true", help="show everything that was pushed from here")
    group.add_argument("--follow", metavar="NAME", help="follow a run that was pushed, and fetch it")
    group.add_argument("--fetch", metavar="NAME", help="fetch what a session that has ended has left")
    group.add_argument("--notebook", metavar="FILE", help="write a notebook that does the same; push nothing")
    training.add_flags(parser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
