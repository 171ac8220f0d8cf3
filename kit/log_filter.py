"""TensorFlow's C++ log, kept off the screen; everything else that is written to stderr passes.

TensorFlow writes to the file descriptor from its own threads, some of it whatever its log level is. So this process's
descriptor 2 leads to a small program (this file), which copies what it reads to the real stderr, without the log. A
thread of this process could not: it would wait for the interpreter that waits for it, and a crash's last words would
be lost with it.
"""

import contextlib
import os
import re
import select
import signal
import sys
from typing import TextIO

_LOGGED = re.compile(
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "  # TensorFlow's own format, until 2.20
    rb"|[IWE]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ [\w./-]+:\d+\] "  # abseil's: I0000 00:00:1795542433.9 1374 port.cc:153]
    rb"|WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|To enable the following instructions: "
    rb"|Skipping registering GPU devices"
    rb"|The error could be from a previous operation"
    rb"|INFO: Created TensorFlow Lite "
    rb"|fully_quantize: "
)
_MAY_BE_LOGGED = re.compile(rb"[\dIWETSf \t]")
_HEAD = 200  # bytes, within which it shows whether a line is of the log
_PATIENCE = 0.2  # seconds for the rest of a line
_CHUNK = 1 << 16


class Filter:
    """Bytes in, bytes out, without the lines of the log; indented lines that continue one go with it."""

    def __init__(self):
        self._head = b""  # the beginning of a line that may turn out to be of the log
        self._dropping: bool | None = None  # what becomes of the line that has begun; None: not known yet
        self._dropped = False  # what became of the line before

    @property
    def waiting(self) -> bool:
        """Whether the beginning of a line is held back until more of it is there."""
        return bool(self._head)

    def feed(self, chunk: bytes) -> bytes:
        """Return what of `chunk`, and of what was held back, can be shown."""
        return b"".join(self._line(part) for part in chunk.splitlines(keepends=True))

    def settle(self) -> bytes:
        """Return what was held back, unless it is of the log: its rest does not come."""
        if not self._head:
            return b""
        head, self._head = self._head, b""
        self._dropping = bool(_LOGGED.match(head)) or (self._dropped and head[:1] in b" \t")
        return b"" if self._dropping else head

    def _line(self, part: bytes) -> bytes:
        """Take a line, or a part of one."""
        ended = part.endswith((b"\n", b"\r"))
        if self._dropping is None:
            self._head += part
            clear = ended or len(self._head) > _HEAD or not _MAY_BE_LOGGED.match(self._head)
            shown = self.settle() if clear else b""
        else:
            shown = b"" if self._dropping else part
        if ended:
            self._dropped, self._dropping = bool(self._dropping), None
        return shown


def install() -> bool:
    """Filter what this process writes to descriptor 2 until its very end; return whether that is possible here.

    Python's own stderr stays what it is: a terminal stays a terminal, and tracebacks take no detour. Where stderr is
    not the process's own (in notebooks, under pytest) or the system is Windows, nothing is done.
    """
    if os.name != "posix" or not sys.executable or not _is_plain(sys.stderr):
        return False
    sys.stderr.flush()
    try:
        own = os.dup(2)
        source, target = os.pipe()
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", os.path.abspath(__file__)],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, *pair) for pair in ((source, 0), (own, 1), (own, 2))],
            setsigmask=[signal.SIGINT],  # Ctrl-C is for the command, which has something to say after it
        )
    except OSError:  # no more processes or descriptors; a noisy command is better than none
        return False
    os.close(source)
    os.dup2(target, 2)
    os.close(target)
    sys.stderr = open(  # noqa: SIM115
        own, "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors
    )
    return True


def _is_plain(stream: TextIO | None) -> bool:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return stream is not None and stream.fileno() == 2 and stream is sys.__stderr__
    return False


def main() -> None:
    """Copy stdin to stderr until all who write to it are gone."""
    lines = Filter()
    while True:
        if select.select([0], [], [], _PATIENCE if lines.waiting else None)[0]:
            chunk = os.read(0, _CHUNK)
            shown = lines.feed(chunk) if chunk else lines.settle()
        else:
            chunk, shown = b"waiting", lines.settle()
        while shown:
            shown = shown[os.write(2, shown) :]
        if not chunk:
            return


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        main()
