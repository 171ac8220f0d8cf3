"""What every `python -m kit.<verb>` shares: exit statuses, and the words for bad input."""

import difflib
import functools
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable

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


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" for the known name closest to `name`, or an empty text when none is close."""
    close = difflib.get_close_matches(str(name), [str(one) for one in known], n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""


def start_keras() -> None:
    """Import Keras and its backend without the dozen lines of notices that TensorFlow prints as it starts.

    The notices come from C++, before any log level counts, so the process's stderr is turned aside meanwhile; if the
    import fails, what was said is shown after all.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    own = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            importlib.import_module("keras")
        except BaseException:
            aside.seek(0)
            os.write(own, aside.read())
            raise
        finally:
            os.dup2(own, 2)
            os.close(own)
    # It warns of every second input shape; only now, since in notebooks its import sets the level itself.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
