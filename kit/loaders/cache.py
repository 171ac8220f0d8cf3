"""Arrays that were slow to make, kept as `.npy` files, which are read as fast as the disk gives them."""

import contextlib
import json
import os
import pathlib
import shutil
import time
import uuid
import zlib
from collections.abc import Collection
from typing import BinaryIO

import numpy as np

from kit import files

CONTENTS = "contents.json"
LONGEST_CONTENTS = 1 << 16  # bytes
ABANDONED = 24 * 3600  # seconds; no cache takes a day to write


def folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return where the cache for the files in `folder` may be kept, best first: beside them, or in the user's cache.

    Kaggle's input folder is read-only; and what lies in its working folder would be saved with a notebook's output.
    """
    beside, user = folder / ".cache", files.user_cache()
    return [beside] if user is None else [beside, user / folder.name]


def read(folder: pathlib.Path, key: str, names: Collection[str]) -> dict[str, np.ndarray] | None:
    """Return the arrays that were written under `key`.

    They are read, not mapped: a mapped file that is cut short while a network trains ends the process.

    Args:
        folder: the cache folder.
        key: what the arrays were written under.
        names: which arrays these must be.

    Returns:
        None when there are none, or when a file is missing or differs from what was written.
    """
    kept = _kept(folder, key)
    try:
        contents = json.loads(files.content(kept / CONTENTS, LONGEST_CONTENTS))
        if contents.keys() != set(names):
            return None
        arrays = {}
        for name in names:
            with files.open_regular(kept / f"{name}.npy") as stream:
                size, checksum = contents[name]
                if os.fstat(stream.fileno()).st_size != size or _checksum(stream) != checksum:
                    return None
                stream.seek(0)
                arrays[name] = np.load(stream, allow_pickle=False)
        return arrays
    except Exception:  # whatever is wrong with a cache, the files that it was made from are still there
        return None


def write(folder: pathlib.Path, key: str, arrays: dict[str, np.ndarray]) -> None:
    """Keep `arrays` under `key`, whole or not at all, and remove what was kept there under other keys.

    The files are written into a folder aside, which is then moved: of two processes that do so at once both succeed,
    and the first one's files stay.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    kept, fresh = _kept(folder, key), folder / f"writing-{uuid.uuid4().hex}"
    fresh.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            np.save(fresh / f"{name}.npy", array, allow_pickle=False)
        contents = {}
        for name in arrays:
            with (fresh / f"{name}.npy").open("rb") as stream:
                contents[name] = [os.fstat(stream.fileno()).st_size, _checksum(stream)]
        (fresh / CONTENTS).write_text(json.dumps(contents), encoding="utf-8")
        if read(folder, key, arrays.keys()) is None:
            shutil.rmtree(kept, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process was faster, which each system reports in its own way
                fresh.rename(kept)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _sweep(folder, kept)


def _sweep(folder: pathlib.Path, current: pathlib.Path) -> None:
    """Remove what other keys left in the cache folder, and what killed processes did."""
    for other in folder.glob("arrays-*"):
        if other != current:
            shutil.rmtree(other, ignore_errors=True)
    for other in folder.glob("writing-*"):
        with contextlib.suppress(OSError):  # its process has just finished
            if time.time() - other.stat().st_mtime > ABANDONED:
                shutil.rmtree(other, ignore_errors=True)


def _kept(folder: pathlib.Path, key: str) -> pathlib.Path:
    return folder / f"arrays-{key}"


def _checksum(stream: BinaryIO) -> int:
    checksum = 0
    while chunk := stream.read(1 << 20):
        checksum = zlib.crc32(chunk, checksum)
    return checksum
