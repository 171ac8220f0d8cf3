"""python -m kit.benchmark: time and accuracy of recipes side by side, several seeds each: tables, a CSV, a figure."""

import datetime
import pathlib
from typing import Any

from kit import competitions, tracking
from kit.benchmarking import contenders, measuring, report
from kit.benchmarking.jobs import Job, Measured
from kit.command_line import DONE, Parser, command
from kit.errors import Failure, UserError
from kit.recipes import Recipe

ROOT = pathlib.Path("benchmarks")
KERAS_MNIST_CONVNET = "keras-mnist-convnet"
SOURCES = ("auto", "kaggle", "keras", "sample")


@command
def main(argv: list[str] | None = None) -> int:
    """Measure every recipe once for each seed, in turns, so that a busy minute of the machine delays all of them."""
    arguments = _parser().parse_args(argv)
    _check(arguments)
    competition = competitions.get(arguments.competition).name
    recipes: dict[str, Recipe | None] = dict(
        contenders.resolve(competition, arguments.recipes or ["resnet_small"], arguments.epochs)
    )
    if arguments.against:
        recipes[arguments.against] = None
    name = arguments.name or f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    path = ROOT / competition / f"{tracking.place(competition, name).name}.csv"
    if path.exists():
        raise UserError(f"{path} exists already; take another --name, or remove it.")
    results = _measured(arguments, competition, recipes, path)
    if not results:
        raise Failure("nothing could be measured; the lines above say why.")
    report.write_figure(path.with_suffix(".png"), competition, results)
    table = report.markdown if arguments.markdown else report.text
    print(f"\n{table(results, arguments.target, arguments.within)}\n")
    print(f"measurements: {path}\nfigure: {path.with_suffix('.png')}")
    return DONE


def _measured(
    arguments: Any, competition: str, recipes: dict[str, Recipe | None], path: pathlib.Path
) -> list[Measured]:
    """Train all, and write the CSV after each; with "all", networks that cannot be trained are left out."""
    results: list[Measured] = []
    for seed in range(arguments.seeds):
        for name, recipe in recipes.items():
            print(f"{name}, seed {seed}: training", flush=True)
            job = Job(
                name, recipe, competition, arguments.source, arguments.data_dir, arguments.limit, seed, arguments.target
            )
            try:
                results.append(measuring.measure(job))
            except (UserError, Failure) as error:
                if contenders.ALL not in arguments.recipes:
                    raise
                print(f"{name}, seed {seed}: left out: {error}", flush=True)
                continue
            print(report.line(results[-1], arguments.target), flush=True)
            report.write_csv(path, competition, results)
    return results


def _check(arguments: Any) -> None:
    if arguments.seeds < 1 or arguments.limit < 0:
        raise UserError("take --seeds 1 or more, and --limit 1 or more (0: all images).")
    if not 0 < arguments.target <= 1 or not arguments.within > 0:
        raise UserError("take --target between 0 and 1, as 0.99, and --within more than 0 seconds.")


def _parser() -> Parser:
    parser = Parser(
        "kit.benchmark",
        "Train recipes several times, each time with another split; compare accuracy, time, speed and memory.",
        [
            ("python -m kit.benchmark fast --seeds 5 --against keras-mnist-convnet", "beside Keras's own example"),
            ("python -m kit.benchmark fast resnet_small --limit 2000 --epochs 2 --seeds 1", "a quick try"),
            ("python -m kit.benchmark all --epochs 1 --seeds 1 --markdown", "every network of the zoo, as Markdown"),
        ],
    )
    parser.add_argument(
        "recipes",
        nargs="*",
        metavar="RECIPE",
        help="networks, names in configs/<competition>/, or recipe files; "
        f"{contenders.ALL}: every network that needs no runs (resnet_small)",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--competition", default="digit-recognizer", metavar="NAME", help=", ".join(competitions.names()))
    data.add_argument("--source", choices=SOURCES, default="auto", help="where the images come from")
    data.add_argument("--data-dir", default="data", metavar="FOLDER", help="the folder of all competitions' files")
    data.add_argument("--limit", type=int, default=0, metavar="N", help="take N training images only, for a quick try")
    training = parser.add_argument_group("trainings")
    training.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each recipe")
    training.add_argument("--epochs", type=int, metavar="N", help="the same for every recipe (its own)")
    training.add_argument("--against", choices=[KERAS_MNIST_CONVNET], help="a training from elsewhere, in the same run")
    results = parser.add_argument_group("results")
    results.add_argument("--target", type=float, default=0.99, metavar="X", help="validation accuracy to time")
    results.add_argument("--within", type=float, default=15.0, metavar="SECONDS", help="fit time to take accuracy at")
    results.add_argument("--name", metavar="NAME", help="of the files in benchmarks/<competition>/ (date and time)")
    results.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
