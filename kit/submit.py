"""python -m kit.submit: send a checked submission to Kaggle, once, and follow it to its score."""

import contextlib
import os
import sys

from kit import competitions
from kit.command_line import DONE, FAILED, Parser, command
from kit.errors import UserError


@command
def main(argv: list[str] | None = None) -> int:
    """Send a submission, look up what was sent, or list all."""
    arguments = _parser().parse_args(argv)
    if arguments.run and (arguments.status or arguments.list):
        raise UserError("--status and --list show all submissions; leave the run out.")
    from kit import submission

    if arguments.status:
        submission.follow(arguments.competition, wait=not arguments.no_wait)
        return DONE
    if arguments.list:
        submission.history.show(arguments.competition)
        return DONE
    result = submission.submit(
        arguments.run,
        arguments.competition,
        best=arguments.best,
        message=arguments.message,
        data_dir=arguments.data_dir,
        dry_run=arguments.dry_run,
        wait=not arguments.no_wait,
        confirm=_confirm_all if arguments.yes else _ask,
    )
    if result.sent or arguments.dry_run:
        return DONE
    print("nothing was sent.")
    return FAILED


def _confirm_all(doubts: list[str]) -> bool:
    return True


def _ask(doubts: list[str]) -> bool:
    """Ask the person at the terminal.

    Raises:
        UserError: nobody can answer.
    """
    # In a notebook, `!python -m kit.submit` has a terminal at which nobody can answer.
    if not sys.stdin or not sys.stdin.isatty() or "JPY_PARENT_PID" in os.environ:
        raise UserError(f"{doubts[0]}; nothing was sent; to send it all the same, add --yes.")
    with contextlib.suppress(EOFError):
        return input("send it all the same? [y/N] ").strip().lower() in ("y", "yes")
    return False


def _parser() -> Parser:
    parser = Parser(
        "kit.submit",
        "Check a submission, send it to Kaggle once, and wait for its score. Every submission is a line in "
        "submissions/ledger.csv.",
        [
            ("python -m kit.submit --best --dry-run", "check the best run and show what would be sent"),
            ("python -m kit.submit fast-1", "send a run by its name"),
            ("python -m kit.submit submissions/digit-recognizer/mine.csv", "send a CSV of your own"),
            ("python -m kit.submit --status", "continue after Ctrl-C, a crash or a lost network"),
        ],
    )
    what = parser.add_argument_group("what to send")
    what.add_argument("run", nargs="?", metavar="RUN", help="a run's name or folder, or a CSV; else the newest CSV")
    what.add_argument("--best", action="store_true", help="the complete run with the best validation score")
    what.add_argument(
        "--competition", metavar="NAME", help=f"{', '.join(competitions.names())} (the run's, else digit-recognizer)"
    )
    what.add_argument("--message", metavar="TEXT", help="the description on Kaggle (network, score and data)")
    what.add_argument("--data-dir", metavar="FOLDER", help="of the competitions' files (the run's own, else data)")
    how = parser.add_argument_group("how")
    how.add_argument("--yes", action="store_true", help="send it even where it looks wrong")
    how.add_argument("--no-wait", action="store_true", help="do not wait for the score")
    instead = parser.add_argument_group("instead of sending").add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="check and show, and stop before the network")
    instead.add_argument("--status", action="store_true", help="look up what was sent, and wait for scores")
    instead.add_argument("--list", action="store_true", help="show all submissions, best first, and draw them")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
