"""python -m kit.download: fetch a competition's files from Kaggle; an interrupted download continues where it was."""

import pathlib

from kit import competitions
from kit.command_line import DONE, Parser, command


@command
def main(argv: list[str] | None = None) -> int:
    """Download the competition that the flags name, unless its files are there."""
    arguments = _parser().parse_args(argv)
    competition = competitions.get(arguments.competition)
    from kit import kaggle_client
    from kit.loaders import kaggle_files

    there = kaggle_files.locate(competition, arguments.data_dir)
    if there and there.folder.is_relative_to(kaggle_files.KAGGLE_INPUT):
        print(f"{there.folder}: Kaggle's own copy; there is nothing to download")
        return DONE
    bundle = kaggle_client.download(competition.name, pathlib.Path(arguments.data_dir) / competition.name)
    print(f"{bundle}: whole, {bundle.stat().st_size / 1e6:,.1f} MB")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "kit.download",
        "Download a competition's files from Kaggle. You need Kaggle credentials and must have joined the competition.",
        [
            ("python -m kit.download digit-recognizer", "into data/digit-recognizer"),
            ("python -m kit.download cifar-10 --data-dir ~/data", "into ~/data/cifar-10"),
        ],
    )
    parser.add_argument("competition", metavar="COMPETITION", help=", ".join(competitions.names()))
    parser.add_argument("--data-dir", default="data", metavar="FOLDER", help="of all competitions' files")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
