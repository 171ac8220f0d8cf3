"""One process at a time: a lock that the operating system lets go when its holder dies, however it dies."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator

import filelock

from kit.errors import UserError, kind_of

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
        Failure: the disk is full.
    """
    path = pathlib.Path(path)
    lock = filelock.FileLock(path, mode=0o666)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        if not wait:
            raise Busy(path) from None
        if waiting:
            waiting()
        lock.acquire(poll_interval=POLL_SECONDS)
    except NotImplementedError as error:
        raise UserError(f"{path.parent} cannot be written ({error}); choose a folder of your own.") from None
    except OSError as error:
        kind = kind_of(error)
        remedy = (
            "choose a folder of your own"
            if kind is UserError
            else "free some space, or choose a folder on another disk"
        )
        raise kind(f"{path.parent} cannot be written ({error.strerror or error}); {remedy}.") from None
    try:
        yield
    finally:
        lock.release()
