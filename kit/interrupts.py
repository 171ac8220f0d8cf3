"""Ctrl-C while a command still imports its modules: a quiet stop, where Python would show a traceback."""

import os
import signal
import sys
import types


def stop_quietly() -> None:
    """From now on, until `raise_again`, Ctrl-C ends this process at once, with one line and status 1.

    Nothing is lost: a command that imports its modules has written nothing yet. An exception would not do: it may
    come up inside a library that takes it for a failed import.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def raise_again() -> None:
    """Let Ctrl-C be a KeyboardInterrupt again, if it is not."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def started_as_command() -> bool:
    """Whether this process was started as `python -m kit…` and has not got further than to import `kit`."""
    # runpy leaves "-m" there until it has found the module: https://docs.python.org/3/using/cmdline.html#cmdoption-m
    if sys.argv[:1] != ["-m"] or "-m" not in sys.orig_argv[:-1]:
        return False
    return sys.orig_argv[sys.orig_argv.index("-m") + 1].partition(".")[0] == "kit"


def _stop(number: int, frame: types.FrameType | None) -> None:
    try:
        os.write(2, b"stopped.\n")
    finally:
        os._exit(1)
