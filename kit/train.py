"""python -m kit.train: train a network on a competition; write its run, its figures and its submission CSV."""

import argparse
import datetime
import sys

from kit import competitions, locks, recipe, runs, zoo
from kit.command_line import DONE, FAILED, command, start_keras
from kit.errors import UserError

DEFAULT_COMPETITION = "digit-recognizer"
SOURCES = ("auto", "kaggle", "keras", "sample")


@command
def main(argv: list[str] | None = None) -> int:
    """Train as the flags say, or go on with a training that was interrupted."""
    arguments = _parser().parse_args(argv)
    run, chosen, origin = _interrupted(arguments) if arguments.resume else _new(arguments)
    from kit import loaders
    from kit.loaders.limit import limited

    whole = loaders.load(origin["competition"], origin["source"], arguments.data_dir)
    print(loaders.describe(whole), flush=True)
    dataset = limited(whole, origin["limit"])
    start_keras()
    from kit.training import session

    chosen = session.with_precision(dataset, chosen)
    run.write_config({**origin, "source": dataset.source, "recipe": chosen.as_dict()})
    try:
        with locks.locked(run.folder / ".working" / "lock", wait=False):
            metrics = session.train(dataset, chosen, run)
    except locks.Busy:
        raise UserError(f"{run.folder} is being trained by another process; let it finish.") from None
    except KeyboardInterrupt:
        print(
            f"\nstopped. What is done is kept in {run.folder}; go on with:\n"
            f"    python -m kit.train --resume --competition {run.competition} --name {run.name}",
            file=sys.stderr,
        )
        return FAILED
    _write_figures(run, dataset, chosen)
    _write_submission(run, dataset)
    print(_summary(run, metrics))
    if whole.source == "sample":
        print(loaders.describe(whole))
    print(f"run: {run.folder}")
    print(f"submission: {run.submission}")
    return DONE


def _parser() -> argparse.ArgumentParser:
    networks = "\n".join(f"  {network.name:<18}{network.summary}" for network in zoo.catalogue().values())
    parser = argparse.ArgumentParser(
        prog="python -m kit.train",
        description="Train a network on a competition; write its run, its figures and its submission CSV.",
        epilog=f"networks:\n{networks}\n\nEvery flag of the recipe is also a key of a --config file.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--competition", metavar="NAME", help=f"{', '.join(competitions.names())}; the first is default"
                        .replace("the first", DEFAULT_COMPETITION))  # fmt: skip
    parser.add_argument("--source", choices=SOURCES, help="where the images come from (default: auto)")
    parser.add_argument(
        "--data-dir", default="data", metavar="FOLDER", help="of the competitions' files (default: data)"
    )
    parser.add_argument("--config", metavar="FILE", help="a recipe, over the network's own")
    parser.add_argument("--name", metavar="RUN", help="of the run and its submission (default: model, date and time)")
    parser.add_argument("--limit", type=int, metavar="N", help="train on N images only, for a quick try")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run --name, or with the newest unfinished"
    )
    recipe.add_flags(parser)
    return parser


def _new(arguments):
    """A run that does not exist yet, its recipe, and where its data come from."""
    competition = competitions.get(arguments.competition or DEFAULT_COMPETITION).name
    if arguments.limit is not None and arguments.limit < 1:
        raise UserError(f"--limit {arguments.limit}: take 1 or more, or leave it out for all images.")
    chosen = recipe.resolve(competition, arguments.config, recipe.flags_given(arguments))
    zoo.find(chosen.model)
    name = arguments.name or f"{chosen.model}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    run = runs.place(competition, name)
    if run.finished:
        raise UserError(f"{run.folder} exists already; take another --name, or remove it.")
    if (run.folder / "config.yaml").exists():
        raise UserError(f"{run.folder} was begun and not finished; go on with --resume, or take another --name.")
    return (
        run,
        chosen,
        {"competition": competition, "source": arguments.source or "auto", "limit": arguments.limit or 0},
    )


def _interrupted(arguments):
    """A run that was begun, the recipe and the data that it was begun with."""
    if arguments.name:
        run = runs.place(arguments.competition or DEFAULT_COMPETITION, arguments.name)
    else:
        unfinished = [run for run in runs.every(arguments.competition) if not run.finished]
        if not unfinished:
            raise UserError("--resume: no run is unfinished; leave it out to begin one.")
        run = unfinished[-1]
    if run.finished:
        raise UserError(f"--resume: {run.folder} is finished; nothing is left to do.")
    config = run.config()
    flags = recipe.flags_given(arguments) | {
        name: value for name in ("source", "limit", "config") if (value := getattr(arguments, name)) is not None
    }
    if flags:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in flags)
        raise UserError(f"--resume goes on with the recipe in {run.folder / 'config.yaml'}; leave out {given}.")
    origin = {name: config[name] for name in ("competition", "source", "limit")}
    return run, recipe.from_dict(config["recipe"]), origin


def _write_figures(run, dataset, chosen):
    import pandas as pd

    from kit import figures
    from kit.training import preview

    history = pd.read_csv(run.folder / "history.csv")
    run.write_figure("learning-curves", figures.learning_curves(history, f"{run.name} on {run.competition}"))
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
