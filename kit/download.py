"""python -m kit.download: fetch a competition's files from Kaggle; an interrupted download goes on where it was."""

import argparse
import pathlib
import sys

from kit import competitions
from kit.command_line import command


@command
def main(argv: list[str] | None = None) -> int:
    """Run `python -m kit.download`; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m kit.download", description=__doc__.partition(": ")[2])
    parser.add_argument("competition", help=f"Kaggle's name of it: {', '.join(competitions.names())}")
    parser.add_argument("--data-dir", default="data", help="the folder of all data (%(default)s)")
    arguments = parser.parse_args(argv)
    competition = competitions.get(arguments.competition)

    from kit import kaggle_client
    from kit.loaders import kaggle_files

    there = kaggle_files.locate(competition.name, arguments.data_dir)
    if there and there.folder.is_relative_to(kaggle_files.KAGGLE_INPUT):
        print(f"{there.folder}: Kaggle's own copy; there is nothing to download")
        return 0
    bundle = kaggle_client.download(competition.name, pathlib.Path(arguments.data_dir) / competition.name)
    print(f"{bundle}: whole, {bundle.stat().st_size / 1e6:,.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
