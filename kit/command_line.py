"""What every `python -m kit.<verb>` shares: exit statuses, and the words for bad input."""

import functools
import os
import sys
from collections.abc import Callable

from kit.errors import Failure, UserError

DONE, FAILED, WRONG_INPUT = 0, 1, 2


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Wrap a command's `main(argv=None) -> int` so that it keeps the exit-status contract.

    A `UserError` becomes one line on stderr and status 2, a `Failure` one line and status 1, Ctrl-C status 1; any
    other exception keeps its traceback, which Python itself ends with status 1.
    """

    @functools.wraps(main)
    def guarded(argv: list[str] | None = None) -> int:
        try:
            return main(argv)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return WRONG_INPUT
        except Failure as failure:
            print(f"failed: {failure}", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            print("stopped.", file=sys.stderr)
            return FAILED
        except BrokenPipeError:  # `… | head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED

    return guarded
