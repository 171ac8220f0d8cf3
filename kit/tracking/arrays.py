"""Arrays on disk, checked before they are read: whatever a file holds, it ends in an array or in one line.

numpy's own reader raises a dozen kinds of exceptions for damaged files, believes a header that promises terabytes, and
waits for ever for a pipe.
"""

import io
import math
import os
import pathlib
import stat
import warnings
import zipfile
from collections.abc import Collection
from typing import BinaryIO

import numpy as np

from kit.errors import UserError

LARGEST = 1 << 31  # bytes of probabilities; those of a million images and 200 classes have 0.8 GB
LARGEST_STATE = 1 << 35  # bytes of a training's state: weights, momenta and averages of a large network
TRAIN_AGAIN = "train the run again"


def read(path: pathlib.Path) -> np.ndarray:
    """Read a `.npy` file of floating-point numbers.

    Returns:
        float32, of the file's shape.

    Raises:
        UserError: the file is missing, not a regular file, damaged, too large, or holds something else.
    """
    with _opened(path, TRAIN_AGAIN) as file:
        array = _array(file, _size(file), path, TRAIN_AGAIN)
    if array.dtype.kind != "f":
        raise _damaged(path, f"it holds {array.dtype}, not floating-point numbers", TRAIN_AGAIN)
    with np.errstate(over="ignore"):
        return array.astype(np.float32, order="C")


def shape(path: pathlib.Path) -> tuple[int, ...]:
    """Return the shape of the array in a `.npy` file, whose numbers are not read.

    Raises:
        UserError: as `read`.
    """
    with _opened(path, TRAIN_AGAIN) as file:
        return _header(file, _size(file), path, TRAIN_AGAIN)[0]


def read_all(
    path: pathlib.Path, remedy: str = TRAIN_AGAIN, names: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Read a `.npz` file that `numpy.savez` wrote, every checksum compared.

    Args:
        path: the file.
        remedy: what to do if it is damaged.
        names: of the arrays that are wanted; None for all.

    Returns:
        The arrays by name; no objects.

    Raises:
        UserError: the file is missing, not a regular file, damaged or too large.
    """
    with _opened(path, remedy, LARGEST_STATE) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                if any(one.compress_type != zipfile.ZIP_STORED or one.file_size > _size(file) for one in members):
                    raise _damaged(path, "it is not what was written", remedy)
                named = {one.filename.removesuffix(".npy"): one for one in members}
                wanted = {name: named[name] for name in (named if names is None else names)}
                content = {name: archive.read(one) for name, one in wanted.items()}
        except UserError:
            raise
        except Exception as error:  # zipfile raises seven kinds for damaged archives, struct.error among them
            raise _damaged(path, " ".join(str(error).split())[:120], remedy) from None
    return {name: _array(io.BytesIO(part), len(part), path, remedy).copy() for name, part in content.items()}


def _opened(path: pathlib.Path, remedy: str, largest: int = LARGEST) -> BinaryIO:
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{path} is not a file; remove it, and {remedy}.")
        if state.st_size > largest:
            raise UserError(f"{path} has {state.st_size / 1e9:,.0f} GB, more than a run can have; {remedy}.")
        return open(path, "rb")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; finish the run, or {remedy}.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _array(file: BinaryIO, size: int, path: pathlib.Path, remedy: str) -> np.ndarray:
    shape, fortran, dtype = _header(file, size, path, remedy)
    return np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran else "C")


def _header(file: BinaryIO, size: int, path: pathlib.Path, remedy: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the order is Fortran's, and dtype; the file is then at its first number.

    Raises:
        UserError: the header is damaged, or the numbers that it promises are not those that follow.
    """
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy parses headers as Python, and warns of what it finds there
            shape, fortran, dtype = readers[np.lib.format.read_magic(file)](file)
        promised = math.prod(shape) * dtype.itemsize
    except Exception:  # the parser's: SyntaxError, MemoryError, TokenError, KeyError …
        raise _damaged(path, "its header cannot be read", remedy) from None
    plain = not dtype.hasobject and dtype.names is None and dtype.subdtype is None and dtype.itemsize
    if not plain or any(length < 0 for length in shape) or promised != size - file.tell():
        raise _damaged(path, "its header does not fit what follows", remedy)
    return shape, fortran, dtype


def _damaged(path: pathlib.Path, reason: str, remedy: str) -> UserError:
    return UserError(f"{path} is damaged ({reason}); {remedy}.")
