"""python -m kit.evaluate: what a run gets right and wrong on out-of-fold images, as a table and an HTML report."""

from kit import tracking
from kit.backend import start_keras
from kit.command_line import DONE, Parser, command


@command
def main(argv: list[str] | None = None) -> int:
    """Score the run that the flags name; print its scores, write its report."""
    arguments = _parser().parse_args(argv)
    run = tracking.find(arguments.run)
    from kit import loaders
    from kit.evaluation import evaluation, report, table

    report.check_writable(run)
    found = evaluation.gather(run, arguments.data_dir)
    print(table.summary(found), table.confusion(found), sep="\n\n")
    if worst := table.mistakes(found, 5):
        print("\nworst mistakes:", *worst, sep="\n  ", flush=True)
    if found.explained_by:
        start_keras()
    path = report.write(found)
    if found.dataset.source == "sample":
        print(f"\n{loaders.describe(found.dataset)}")
    print(f"\nreport: {path}")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "kit.evaluate",
        "Score a run or an ensemble on images that its networks were not trained on.",
        [
            ("python -m kit.evaluate fast-1", "a table here, the report in runs/<competition>/fast-1/report.html"),
            ("python -m kit.evaluate digit-recognizer/fast-1", "where two competitions have a run of that name"),
            ("python -m kit.evaluate fast-1 --data-dir ~/data", "where the data have moved"),
        ],
    )
    parser.add_argument("run", metavar="RUN", help="a run's or an ensemble's folder or name")
    parser.add_argument("--data-dir", metavar="FOLDER", help="of the competitions' files (the run's own)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
