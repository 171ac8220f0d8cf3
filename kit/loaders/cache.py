"""Arrays that were slow to make, kept as `.npy` files, which are read as fast as the disk gives them."""

import contextlib
import json
import os
import pathlib
import shutil
import time
import uuid
import zlib

import numpy as np

CONTENTS = "contents.json"
ABANDONED = 24 * 3600  # seconds; no cache takes a day to write


def places(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return where the cache for the files in `folder` may be kept, best first: beside them, or in the user's cache.

    Kaggle's input folder is read-only; and what lies in its working folder would be saved with a notebook's output.
    """
    user = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return [folder / ".cache", user / "kaggle-submission-kit" / folder.name]


def read(place: pathlib.Path, key: str) -> dict[str, np.ndarray] | None:
    """Return the arrays that were written under `key`.

    They are read, not mapped: a mapped file that is cut short while a network trains ends the process.

    Returns:
        None when there are none, or when a file is missing or differs from what was written.
    """
    folder = _folder(place, key)
    try:
        contents = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        paths = {name: folder / f"{name}.npy" for name in contents}
        if not contents or any(_checksum(path) != contents[name] for name, path in paths.items()):
            return None
        return {name: np.load(path, allow_pickle=False) for name, path in paths.items()}
    except (OSError, ValueError, TypeError):
        return None


def write(place: pathlib.Path, key: str, arrays: dict[str, np.ndarray]) -> None:
    """Keep `arrays` under `key`, whole or not at all, and let go of what was kept there under other keys.

    The files are written into a folder aside, which is then moved: of two processes that do so at once both succeed,
    and the one that comes first stays.

    Raises:
        OSError: the place cannot be written, or the disk is full.
    """
    folder, fresh = _folder(place, key), place / f"writing-{uuid.uuid4().hex}"
    fresh.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            np.save(fresh / f"{name}.npy", array, allow_pickle=False)
        contents = {name: _checksum(fresh / f"{name}.npy") for name in arrays}
        (fresh / CONTENTS).write_text(json.dumps(contents), encoding="utf-8")
        if read(place, key) is None:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process was faster, which each system reports in its own way
                fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    outdated = [other for other in place.glob("arrays-*") if other != folder]
    abandoned = [other for other in place.glob("writing-*") if time.time() - other.stat().st_mtime > ABANDONED]
    for other in outdated + abandoned:
        shutil.rmtree(other, ignore_errors=True)


def _folder(place: pathlib.Path, key: str) -> pathlib.Path:
    return place / f"arrays-{key}"


def _checksum(path: pathlib.Path) -> int:
    checksum = 0
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
