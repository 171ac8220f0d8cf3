"""python -m kit.evaluate: what a run gets right and wrong on out-of-fold images, as a table and an HTML report."""

import argparse

from kit import tracking
from kit.backend import start_keras
from kit.command_line import DONE, command


@command
def main(argv: list[str] | None = None) -> int:
    """Judge the run that the flags name; print its scores, write its report."""
    arguments = _parser().parse_args(argv)
    run = tracking.find(arguments.run)
    from kit import loaders
    from kit.evaluation import evaluation, table

    found = evaluation.gather(run, arguments.data_dir)
    print(table.summary(found), table.confusion(found), sep="\n\n")
    if worst := table.mistakes(found, 5):
        print("\nworst mistakes:", *worst, sep="\n  ", flush=True)
    if found.explained_by:
        start_keras()
    from kit.evaluation import report

    path = report.write(found)
    if found.dataset.source == "sample":
        print(f"\n{loaders.describe(found.dataset)}")
    print(f"\nreport: {path}")
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kit.evaluate", description=__doc__.partition(": ")[2])
    parser.add_argument("run", metavar="RUN", help="a run's or an ensemble's folder or name")
    parser.add_argument(
        "--data-dir", default="data", metavar="FOLDER", help="of the competitions' files (default: data)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
