"""Ctrl-C in a command, and `| head`: a quiet stop while it imports modules, a KeyboardInterrupt while it works.

Python shows a traceback where it is interrupted before a command's `main` begins, and an interrupted import may go on
as if nothing had been, or end as another error. Only processes that are a command are concerned, never a notebook or
a program that imports the kit.
"""

import _thread
import os
import select
import signal
import stat
import sys
import threading
import types

_working = False
_unread = False


class NobodyReads(KeyboardInterrupt):
    """What reads this process's output has ended, as `head` does."""


def listen() -> None:
    """Take over Ctrl-C, unless it is ignored or somebody else's; from now on it ends this process at once."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        _watch_output()


def _watch_output() -> None:
    """End this process when its output is a pipe that nobody reads any more; a write would show that only later."""
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(1).st_mode)
    except OSError:  # closed
        return
    if is_pipe and hasattr(select, "poll"):
        threading.Thread(target=_end_unread, daemon=True).start()


def _end_unread() -> None:
    global _unread
    output = select.poll()
    output.register(1, 0)  # an error is reported in any case
    output.poll()
    _unread = True
    _thread.interrupt_main()


def started_as_command() -> bool:
    """Whether this process was started as `kit …` or `python -m kit…`, asked while `kit` itself is imported."""
    if os.path.basename(sys.argv[0] if sys.argv else "") in ("kit", "kit.exe"):
        return True
    # runpy leaves "-m" there until it has found the module: https://docs.python.org/3/using/cmdline.html#cmdoption-m
    if sys.argv[:1] != ["-m"] or "-m" not in sys.orig_argv[:-1]:
        return False
    return sys.orig_argv[sys.orig_argv.index("-m") + 1].partition(".")[0] == "kit"


def set_working(working: bool) -> None:
    """Say that the command's `main` begins, which turns a KeyboardInterrupt into its own ending, or that it is over."""
    global _working
    _working = working


def _interrupt(number: int, frame: types.FrameType | None) -> None:
    if _working and not _importing(frame):
        if _unread:
            raise NobodyReads
        signal.default_int_handler(number, frame)
    try:
        if not _unread:
            os.write(2, b"stopped.\n")
    finally:
        os._exit(1)


def _importing(frame: types.FrameType | None) -> bool:
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
