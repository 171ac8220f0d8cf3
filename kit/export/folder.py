"""The folder that an export leaves: whole, or not there."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from kit import locks
from kit.errors import UserError
from kit.tracking import Run

EXPORTS = pathlib.Path("exports")


def usual(run: Run, name: str, int8: bool, tta: bool) -> pathlib.Path:
    """Return where a run's export lies by default: `exports/<competition>/<run>[-tta]-<format>[-int8]`."""
    return EXPORTS / run.competition / f"{run.name}{'-tta' if tta else ''}-{name}{'-int8' if int8 else ''}"


@contextlib.contextmanager
def whole(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a new, empty folder beside `folder`, which takes its place when the block ends well, and else is removed.

    What a killed process left of it is removed first.

    Raises:
        UserError: `folder` exists already, or another process writes it.
    """
    check(folder)
    unfinished, lock = (folder.with_name(f".{folder.name}.{kind}") for kind in ("partial", "lock"))
    try:
        with locks.locked(lock, wait=False):
            check(folder)
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                yield unfinished
                os.rename(unfinished, folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
                lock.unlink(missing_ok=True)
    except locks.Busy:
        raise UserError(f"{folder} is being written by another process; let it finish.") from None


def check(folder: str | pathlib.Path) -> None:
    """Refuse a folder that is there already.

    Raises:
        UserError: it is.
    """
    if os.path.lexists(folder):
        raise UserError(f"{folder} exists already; take another --output, or remove it.")


def size(path: pathlib.Path) -> int:
    """Return how many bytes a network's file has, with what belongs to it: a folder's files, OpenVINO's `.bin`."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.stem}.*") if file.suffix != ".json")
