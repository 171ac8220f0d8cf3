"""Features of frozen layers on disk: computed once for each image, found again by what they depend on."""

import contextlib
import hashlib
import json
import math
import pathlib
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tqdm

from kit import files, locks
from kit.errors import Failure, UserError
from kit.training import inference
from kit.training.augmentation import Augment
from kit.training.frozen import Parts

LIMIT = 20 * 10**9
"""Bytes that all features of a data folder may take; those that were used least recently make room for new ones."""
RESERVE = 2 * 10**9
"""Bytes that stay free on the disk."""
CHUNK_BYTES, MOST_BATCHES = 32 * 2**20, 8  # what is computed between two notes of the progress
PROGRESS = "progress.json"
LARGEST_PROGRESS = 1 << 24  # bytes


class Cache:
    """Where features are kept: in folders under keys of everything that they are computed from.

    Args:
        places: the folders to choose from, best first; the first that can be written is taken.
    """

    def __init__(self, places: Sequence[pathlib.Path]):
        self.places = [place / "features" for place in places]
        self._used: set[pathlib.Path] = set()

    def features(
        self,
        parts: Parts,
        images: np.ndarray,
        numbers: dict[str, np.ndarray] | None = None,
        fill_mode: str = "constant",
    ) -> "Features | None":
        """Return the features of images: those that are kept, and computed now where some are missing.

        Args:
            parts: the network.
            images: (n, h, w, c) uint8.
            numbers: what augments them, as `augmentation.draw` returns it.
            fill_mode: of the augmentation.

        An interrupted computation goes on where it was.

        Returns:
            The features; None where no disk has room for them, which one line says.
        """
        found = Features(parts, images, numbers or {}, fill_mode)
        size = found.bytes
        for place in self.places:
            folder = place / found.key
            try:
                place.mkdir(parents=True, exist_ok=True)
                with locks.locked(place / f"{found.key}.lock"):
                    self._used.add(folder)
                    if not folder.exists() and not self._make_room(place, size):
                        continue
                    found.compute(folder)
                return found
            except (OSError, UserError, Failure):
                shutil.rmtree(folder, ignore_errors=True)
        print(
            f"features of {len(images):,} images are not kept, but computed in every epoch: they would take "
            f"{size / 1e9:.1f} GB (at most {LIMIT / 1e9:.0f} GB are kept, and {RESERVE / 1e9:.0f} GB stay free)"
        )
        return None

    def _make_room(self, place: pathlib.Path, size: int) -> bool:
        """Remove what was used least recently until `size` bytes fit; whether they do."""
        kept = [folder for folder in place.iterdir() if folder.is_dir()]
        sizes = {folder: sum(path.stat().st_size for path in folder.iterdir()) for folder in kept}
        oldest = sorted((folder for folder in kept if folder not in self._used), key=_last_use)
        while size + sum(sizes.values()) > LIMIT or size + RESERVE > shutil.disk_usage(place).free:
            if size > LIMIT or not oldest:
                return False
            outdated = oldest.pop(0)
            with contextlib.suppress(locks.Busy), locks.locked(place / f"{outdated.name}.lock", wait=False):
                shutil.rmtree(outdated, ignore_errors=True)
                sizes.pop(outdated)
        return True


class Features:
    """The features of some images at the cut of a network, read from disk once they are computed.

    Args:
        parts: the network.
        images: (n, h, w, c) uint8.
        numbers: what augments them, an array of n rows each; empty for the plain images.
        fill_mode: of the augmentation.
    """

    def __init__(self, parts: Parts, images: np.ndarray, numbers: dict[str, np.ndarray], fill_mode: str):
        self.parts, self.images, self.numbers, self.fill_mode = parts, images, numbers, fill_mode
        self._arrays: list[np.ndarray] = []
        inputs = {name: keras.Input(array.shape[1:], dtype=str(array.dtype), name=name) for name, array in self._all()}
        self._model = keras.Model(inputs, parts.frozen(Augment(fill_mode)(inputs)))

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.images)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the tensors at the cut, for one image."""
        return [tuple(tensor.shape[1:]) for tensor in self.parts.frozen.outputs]

    @property
    def bytes(self) -> int:
        """How many bytes the features take on disk."""
        return len(self.images) * self._row_bytes

    @property
    def key(self) -> str:
        """What tells these features from others: hashed weights, structure, images, augmentation and versions."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{self.parts.structure} {keras.__version__} {keras.backend.backend()} {self.fill_mode}".encode())
        arrays = [keras.ops.convert_to_numpy(weight) for weight in self.parts.frozen.weights]
        for array in [*arrays, *(array for _, array in self._all())]:
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()

    def rows(self, rows: np.ndarray | slice) -> dict[str, np.ndarray]:
        """Return the features of the images with these numbers, float32 arrays by the names of the head's inputs."""
        return {f"features{number}": _as_float(array[rows]) for number, array in enumerate(self._arrays)}

    def compute(self, folder: pathlib.Path) -> None:
        """Compute what is missing in `folder`, chunk by chunk, and read features from there from now on.

        Raises:
            OSError: the folder cannot be written, or the disk is full.
        """
        folder.mkdir(exist_ok=True)
        step = self.parts.batch_size
        step *= int(np.clip(CHUNK_BYTES // (self._row_bytes * step), 1, MOST_BATCHES))
        chunks = [slice(start, min(start + step, len(self))) for start in range(0, len(self), step)]
        shapes = {folder / f"{number}.npy": (len(self), *shape) for number, shape in enumerate(self.shapes)}
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(_opened(path, self._dtype, shape)) for path, shape in shapes.items()]
            checksums = _checksums(folder, len(chunks))
            missing = [
                number
                for number, chunk in enumerate(chunks)
                if checksums[number] is None or _checksum(opened, chunk) != checksums[number]
            ]
            for number in self._shown(missing, chunks):
                values = [_narrowed(value, self._dtype) for value in self._computed(chunks[number])]
                checksums[number] = _written(opened, chunks[number], values)
                files.write_text(folder / PROGRESS, json.dumps(checksums))
        (folder / PROGRESS).touch()
        self._arrays = [np.load(path, mmap_mode="r") for path in shapes]

    def _shown(self, missing: list[int], chunks: list[slice]) -> Iterator[int]:
        """The numbers of the missing chunks, with a line and, on a terminal, a progress bar."""
        if not missing:
            return
        print(f"computing features of {len(self):,} images once ({self.bytes / 1e6:,.0f} MB)", flush=True)
        sizes = [chunk.stop - chunk.start for chunk in chunks]
        done = len(self) - sum(sizes[number] for number in missing)
        with tqdm.tqdm(total=len(self), initial=done, unit=" images", leave=False, disable=None) as bar:
            for number in missing:
                yield number
                bar.update(sizes[number])

    def predict(self, head: keras.Model) -> np.ndarray:
        """Predict the classes of the images: probabilities, float32 (n, classes).

        Raises:
            Failure: the network's answer is not finite.
        """
        logits = np.zeros((len(self), head.output_shape[-1]), np.float32)
        step = inference.BATCH_SIZE * max(1, CHUNK_BYTES // (self._row_bytes * inference.BATCH_SIZE))
        for start in range(0, len(self), step):
            values = list(self.rows(slice(start, start + step)).values())
            batch: Any = values if len(values) > 1 else values[0]
            logits[start : start + step] = head.predict(batch, batch_size=inference.BATCH_SIZE, verbose=0)
        return inference.probabilities(head, logits)

    def _all(self) -> list[tuple[str, np.ndarray]]:
        return [("images", self.images), *sorted(self.numbers.items())]

    def _computed(self, rows) -> list[np.ndarray]:
        inputs = {name: array[rows] for name, array in self._all()}
        return _listed(self._model.predict(inputs, batch_size=self.parts.batch_size, verbose=0))

    @property
    def _row_bytes(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes) * self._dtype.itemsize

    @property
    def _dtype(self) -> np.dtype:
        """What stands in the files, in the precision of the frozen part: bfloat16 as its bits, uint16."""
        kinds = {str(tensor.dtype) for tensor in self.parts.frozen.outputs}
        return np.dtype({"bfloat16": np.uint16, "float16": np.float16}.get("".join(kinds), np.float32))


def _listed(values: Any) -> list[np.ndarray]:
    return list(values) if isinstance(values, list | tuple) else [values]


def _narrowed(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """What stands in the files for `array`: NumPy knows no bfloat16, which is the first half of a float32."""
    if dtype != np.uint16:
        return array.astype(dtype)
    return (array.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def _as_float(array: np.ndarray) -> np.ndarray:
    """float32 values of what stands in the files."""
    array = np.asarray(array)
    if array.dtype != np.uint16:
        return array.astype(np.float32)
    return (array.astype(np.uint32) << 16).view(np.float32)


def _last_use(folder: pathlib.Path) -> float:
    path = folder / PROGRESS
    return path.stat().st_mtime if path.exists() else 0.0


def _checksums(folder: pathlib.Path, count: int) -> list[int | None]:
    """The checksums of the chunks that are done."""
    try:
        noted = json.loads(files.content(folder / PROGRESS, LARGEST_PROGRESS))
    except (OSError, ValueError, RecursionError):
        noted = None
    return noted if isinstance(noted, list) and len(noted) == count else [None] * count


@dataclass(frozen=True)
class _Open:
    """An array in a file: written by rows, with errors where a mapped file would end the process on a full disk."""

    stream: Any
    header: int
    row: int

    def read(self, rows: slice) -> bytes:
        self.stream.seek(self.header + rows.start * self.row)
        return self.stream.read((rows.stop - rows.start) * self.row)

    def write(self, rows: slice, content: memoryview) -> None:
        self.stream.seek(self.header + rows.start * self.row)
        self.stream.write(content)
        self.stream.flush()


@contextlib.contextmanager
def _opened(path: pathlib.Path, dtype: np.dtype, shape: tuple[int, ...]) -> Iterator[_Open]:
    """Open an array's file, or make it at its full length."""
    row = math.prod(shape[1:]) * dtype.itemsize
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with path.open("r+b" if path.exists() else "w+b") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        length = stream.tell()
        stream.truncate(length + shape[0] * row)
        yield _Open(stream, length, row)


def _written(opened: list[_Open], rows: slice, values: list[np.ndarray]) -> int:
    checksum = 0
    for file, value in zip(opened, values, strict=True):
        content = np.ascontiguousarray(value).view(np.uint8).data.cast("B")
        file.write(rows, content)
        checksum = zlib.crc32(content, checksum)
    return checksum


def _checksum(opened: list[_Open], rows: slice) -> int:
    checksum = 0
    for file in opened:
        checksum = zlib.crc32(file.read(rows), checksum)
    return checksum
