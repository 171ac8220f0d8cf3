"""Files that are either the old one or the whole new one, whatever happens in between; and files that end."""

import contextlib
import errno
import io
import os
import pathlib
import stat
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a fresh path beside `path`; on a clean exit what was written there takes `path`'s place.

    The new file is flushed to disk before it is moved, and removed when the block raises, so that `path` is never
    half written. Folders on the way are made. The fresh path keeps `path`'s suffix, for writers that look at it. If
    `path` is a symbolic link, the file that it leads to is replaced, and the link stays.

    Raises:
        OSError: the disk is full, the folder cannot be written, or `path` is a pipe or a device, which stays; it names
            `path`, which is as it was.
    """
    path = pathlib.Path(path)
    _check_replaceable(path)
    target = pathlib.Path(os.path.realpath(path))
    with _fresh_beside(path, target) as fresh:
        yield fresh
        with fresh.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(fresh, target)


def check_writable(path: str | os.PathLike, size: int = 0) -> None:
    """Check that a file of `size` bytes can be written to `path`, before the work for it; nothing changes.

    Raises:
        OSError: the disk is full or the folder cannot be written; it names `path`.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    _check_replaceable(path)
    target = pathlib.Path(os.path.realpath(path))
    folder = next(parent for parent in target.parents if os.path.lexists(parent))
    with _fresh_beside(path, folder / target.name) as fresh:
        fresh.write_bytes(bytes(size))


def _check_replaceable(path: pathlib.Path) -> None:
    """Refuse pipes and devices: an administrator could replace `/dev/null` with a file for the whole machine."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # missing, or what the writing itself will say
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "a pipe or a device, not a file", str(path))


@contextlib.contextmanager
def _fresh_beside(path: pathlib.Path, target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a new, empty file beside `target` and remove it if it is still there; errors name `path`."""
    # Of a long name a part will do: together with what is added it would be longer than file systems take.
    fresh, prefix = target, f".{target.stem[:32]}-"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=target.suffix[:32])
        os.close(handle)
        fresh = pathlib.Path(name)
        fresh.chmod(0o666 & ~_umask())  # mkstemp's 0600 would follow the file to its final place
        yield fresh
    except OSError as error:
        if error.filename and not pathlib.Path(os.fsdecode(error.filename)).name.startswith(prefix):
            raise
        raise _named(error, path, fresh) from error
    finally:
        if fresh != target:
            with contextlib.suppress(OSError):
                fresh.unlink()


def _named(error: OSError, path: pathlib.Path, fresh: pathlib.Path) -> OSError:
    """Return the operating system's error as one of `path`; libraries name no file, or even no reason."""
    number = error.errno or _reason(fresh)
    return OSError(number, os.strerror(number), str(path)) if number else error


def _reason(fresh: pathlib.Path) -> int | None:
    """Return why a file cannot grow: NumPy says only how much of an array was written."""
    try:
        with fresh.open("ab") as file:
            file.write(bytes(1 << 16))
    except OSError as error:
        return error.errno
    return None


def open_regular(path: str | os.PathLike) -> io.BufferedReader:
    """Open a file for reading, if it is one: a pipe or a device may never end.

    Raises:
        OSError: it is missing, unreadable, a folder, a pipe or a device, or its name cannot be a file's.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a NUL in its name
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "a folder, not a file", os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "a pipe or a device, not a file", os.fspath(path))
    return open(path, "rb")


def content(path: str | os.PathLike, most: int) -> bytes:
    """Return what a file holds.

    Args:
        path: the file; pipes, devices and folders, which may be endless, are not read.
        most: bytes that it may have.

    Raises:
        FileNotFoundError: it is missing.
        OSError: it is not a file, larger than `most`, or cannot be read.
    """
    with open_regular(path) as stream:
        read = stream.read(most + 1)
    if len(read) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return read


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to `path` as UTF-8 with Unix line ends, whole or not at all.

    What no encoding holds, such as the bytes of a file's name that are no UTF-8, is written as `\\udcff`.
    """
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def path_text(path: str | os.PathLike[str]) -> str:
    """Return a path as text that any file can hold: bytes of it that are no UTF-8 become `\\udcff`."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


def user_cache() -> pathlib.Path | None:
    """Return the folder for what the kit may keep between commands, or None for a user without a home."""
    configured = os.environ.get("XDG_CACHE_HOME")
    try:
        return pathlib.Path(configured or pathlib.Path.home() / ".cache") / "kaggle-submission-kit"
    except RuntimeError:  # no HOME, and a user without an entry in the password file
        return None


def sweep(folder: pathlib.Path) -> None:
    """Remove what killed processes left in `folder` of files not yet whole; nobody else may write there."""
    for fresh in folder.glob(".*-????????.*"):
        fresh.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
