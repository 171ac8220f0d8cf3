"""The flags of a training, which `python -m kit.train` and `python -m kit.remote` share."""

import math
from argparse import Namespace

from kit import competitions
from kit.command_line import Parser
from kit.errors import UserError
from kit.recipes import flags

DEFAULT_COMPETITION = "digit-recognizer"
SOURCES = ("auto", "kaggle", "keras", "sample")


def add_flags(parser: Parser) -> None:
    """Give `parser` the flags of data and run, and one for every field of the recipe."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--competition", metavar="NAME", help=f"{', '.join(competitions.names())} ({DEFAULT_COMPETITION})"
    )
    data.add_argument("--source", choices=SOURCES, help="where the images come from (auto)")
    data.add_argument("--data-dir", metavar="FOLDER", help="the folder of all competitions' files (data)")
    data.add_argument("--limit", type=int, metavar="N", help="take N training images only, for a quick try")
    data.add_argument("--extra-data", metavar="FOLDER", help="train on your own images too: a folder of them a class")
    run = parser.add_argument_group("run")
    run.add_argument("--config", metavar="RECIPE", help="a recipe or a plan, by its name in configs/ or its file")
    run.add_argument(
        "--seeds", type=int, metavar="N", help="train N networks that differ in their seeds, and join them"
    )
    run.add_argument("--name", metavar="RUN", help="of the run and its submission (the network's, with date and time)")
    run.add_argument("--resume", action="store_true", help="go on with the run --name, or with the newest unfinished")
    run.add_argument(
        "--time-limit", type=float, metavar="MINUTES", help="stop after a whole epoch in time; --resume goes on"
    )
    run.add_argument("--tensorboard", action="store_true", help="also write what TensorBoard shows")
    run.add_argument("--verbose", action="store_true", help="tell seconds and memory of each step")
    flags.add_flags(parser)


def check(arguments: Namespace) -> None:
    """Check the numbers that the recipe does not check.

    Raises:
        UserError: one makes no sense.
    """
    if arguments.limit is not None and arguments.limit < 1:
        raise UserError(f"--limit {arguments.limit}: take 1 or more, or leave it out for all images.")
    if arguments.time_limit is not None and not 0 < arguments.time_limit < math.inf:
        raise UserError(f"--time-limit {arguments.time_limit:g}: take a number of minutes above 0.")
