"""One process at a time: a lock that the operating system lets go when its holder dies, however it dies."""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator

from kit.errors import UserError

POLL_SECONDS = 0.1


class Busy(Exception):
    """Another process holds the lock."""


@contextlib.contextmanager
def locked(path: str | os.PathLike, waiting: Callable[[], None] | None = None, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path` for the length of the block; it stays behind, empty.

    Args:
        path: the lock file; folders on the way are made.
        waiting: called once when another process holds the lock and this one has to wait.
        wait: whether to wait for it at all.

    Raises:
        Busy: another process holds the lock, and `wait` is False.
        UserError: the folder cannot be written.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(f"{path.parent} cannot be written ({error.strerror}); choose a folder of your own.") from None
    try:
        while not _take(handle):
            if not wait:
                raise Busy(path)
            if waiting:
                waiting()
                waiting = None
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)  # closing lets the lock go


def _take(handle: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
