"""python -m kit.runs: all runs side by side, as a table; or some of them against each other."""

import pathlib
import sys

from kit import comparison, lazy_imports
from kit.command_line import DONE, Parser, command
from kit.errors import UserError, printable

__getattr__, __dir__ = lazy_imports.attributes(comparison.__name__, {"compare": "pairs", "table": "overview"})

SORTS = ("metric", "accuracy", "seconds", "name", "time", "score")


@command
def main(argv: list[str] | None = None) -> int:
    """Print the runs that the flags name, or compare them."""
    arguments = _parser().parse_args(argv)
    return _compare(arguments) if arguments.compare else _list(arguments)


def _list(arguments) -> int:
    if arguments.figure or arguments.data_dir:
        raise UserError("--figure and --data-dir go with --compare.")
    from kit.comparison import overview, terminal, view

    frame, problem = overview.collect(arguments.competition, arguments.pattern, arguments.sort)
    if frame.empty:
        print("no runs yet. Train one: python -m kit.train")
        return DONE
    print(view.text(frame, terminal.width()))
    if problem:
        print(f"no public scores: {printable(problem)}", file=sys.stderr)
    for path, write in ((arguments.csv, view.write_csv), (arguments.html, view.write_html)):
        if path:
            write(frame, pathlib.Path(path))
            print(f"table: {printable(path)}")
    return DONE


def _compare(arguments) -> int:
    if arguments.csv or arguments.html or arguments.pattern:
        raise UserError("--compare takes the names of runs, and neither PATTERN, --csv nor --html.")
    print("reading the runs and their data", flush=True)
    from kit.comparison import pairs, terminal

    found = pairs.compare(*arguments.compare, competition=arguments.competition, data_dir=arguments.data_dir)
    print(found.text(terminal.width()))
    first = next(iter(found.runs.values()))
    path = pathlib.Path(arguments.figure or first.folder.parent / "comparison.png")
    if pairs.draw(found, path):
        print(f"learning curves: {printable(path)}")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "kit.runs",
        "Show what was trained: every run with what it reached, what is its own, and how to go on with what is "
        "unfinished. With --compare, set some runs against each other.",
        [
            ("python -m kit.runs", "all runs of all competitions, the best on top"),
            ("python -m kit.runs 'resnet_*' --sort seconds", "those whose names fit, the fastest on top"),
            ("python -m kit.runs --compare fast-1 fast-2", "differences, a test of significance, learning curves"),
        ],
    )
    table = parser.add_argument_group("table")
    table.add_argument("pattern", nargs="?", metavar="PATTERN", help="names such as 'resnet_*', or COMPETITION/NAME")
    table.add_argument("--sort", choices=SORTS, default="metric", help="what stands on top; score is the public one")
    table.add_argument("--csv", metavar="FILE", help="also write every column as CSV")
    table.add_argument("--html", metavar="FILE", help="also write a page")
    against = parser.add_argument_group("comparison")
    against.add_argument("--compare", nargs="+", metavar="RUN", help="two runs or more, by name or folder")
    against.add_argument("--figure", metavar="FILE", help="where the learning curves go (runs/…/comparison.png)")
    against.add_argument("--data-dir", metavar="FOLDER", help="of the competitions' files (the runs' own)")
    parser.add_argument("--competition", metavar="NAME", help="whose runs are meant (all)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
