"""Features of the frozen part of a network, computed once for each image and kept on disk.

While layers are frozen their outputs for an image never change. `split` cuts a network where its frozen part ends; the
head after the cut then trains on stored features, as it would have within the whole network.
"""

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
import ml_dtypes
import numpy as np
import tqdm

from kit import files, locks
from kit.errors import Failure, UserError
from kit.recipes.recipe import Recipe
from kit.training import inference, norm_statistics
from kit.training.augmentation import Augment
from kit.training.batches import Batches

LIMIT = 20 * 10**9
"""Bytes that all features of a data folder may take; those that were used least recently make room for new ones."""
RESERVE = 2 * 10**9
"""Bytes that stay free on the disk."""
CHUNK_BYTES = 32 * 2**20  # what is computed between two notes of the progress
ACTIVATION_BYTES = 256 * 2**20  # what the largest layer's output may take for one batch
PROGRESS = "progress.json"


@dataclass(frozen=True)
class Parts:
    """A network, cut where its frozen part ends; the parts share its layers.

    Attributes:
        frozen: from images to the tensors at the cut.
        head: from the tensors at the cut to the network's output.
        structure: what tells the frozen part's arithmetic from another's, without its weights.
    """

    frozen: keras.Model
    head: keras.Model
    structure: str

    @property
    def batch_size(self) -> int:
        """How many images the frozen part computes at once, bounded by the largest layer's memory."""
        sizes = [
            math.prod(layer.output.shape[1:]) for layer in self.frozen.layers if layer.output.shape.count(None) == 1
        ]
        return int(np.clip(ACTIVATION_BYTES // (4 * max(sizes, default=1)), 1, 256))


def split(network: keras.Model) -> Parts | None:
    """Cut a network where its frozen part ends.

    A layer is frozen if nothing in it learns or is random and all its inputs are frozen: batch norms only where they
    are not trainable.

    Returns:
        The parts; None where the frozen part has fewer than two layers with weights, so that little would be gained.
    """
    if len(getattr(network, "inputs", ())) != 1:
        return None
    calls: list[tuple[Any, list, list]] = []

    def record(layer, *arguments, **keywords):
        outputs = layer(*arguments, **keywords)
        calls.append((layer, _tensors((arguments, keywords)), _tensors(outputs)))
        return outputs

    # Keras lets one watch the calls only while it clones a network; here the "clone" keeps the layers themselves.
    images = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype)
    plain = keras.Model(network.inputs[0], network.outputs[0])
    clone = keras.models.clone_model(plain, images, clone_function=lambda layer: layer, call_function=record)
    numbers, parts = {id(images): "images"}, []
    for layer, inputs, outputs in calls:
        if _is_constant(layer) and all(id(tensor) in numbers for tensor in inputs):
            parts.append((layer, [numbers[id(tensor)] for tensor in inputs]))
            numbers |= {id(tensor): f"{len(parts)}.{number}" for number, tensor in enumerate(outputs)}
    frozen = {id(layer) for layer, _ in parts}
    used = [tensor for layer, inputs, _ in calls if id(layer) not in frozen for tensor in inputs]
    cut = list({id(tensor): tensor for tensor in used if id(tensor) in numbers}.values())
    learnt = [layer for layer, _ in parts if isinstance(layer, keras.Layer) and layer.weights and not layer.trainable]
    if not cut or len(learnt) < 2 or any(tensor is images for tensor in cut):
        return None
    structure = [(_described(layer), inputs) for layer, inputs in parts]
    with _policy(network):
        return Parts(
            keras.Model(images, cut if len(cut) > 1 else cut[0]),
            keras.Model(cut if len(cut) > 1 else cut[0], clone.outputs[0]),
            json.dumps([structure, [numbers[id(tensor)] for tensor in cut]], sort_keys=True, default=str),
        )


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
            f"features of {len(images):,} images are not kept: they need {size / 1e9:.1f} GB, of {LIMIT / 1e9:.0f} GB at "
            f"most, on a disk with {RESERVE / 1e9:.0f} GB to spare"
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
        step *= max(1, CHUNK_BYTES // (self._row_bytes * step))
        starts = range(0, len(self.images), step)
        paths = [folder / f"{number}.npy" for number in range(len(self.shapes))]
        checksums = _checksums(folder, len(starts))
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(_opened(path, self._dtype, (len(self), *shape)))
                      for path, shape in zip(paths, self.shapes, strict=True)]  # fmt: skip
            missing = [
                number
                for number, start in enumerate(starts)
                if checksums[number] is None
                or _checksum(opened, start, min(step, len(self) - start)) != checksums[number]
            ]
            if missing:
                print(
                    f"computing features of {len(self.images):,} images once ({self.bytes / 1e6:,.0f} MB)", flush=True
                )
            bar = tqdm.tqdm(total=len(self), unit=" images", leave=False, disable=None if missing else True)
            bar.update(len(self) - sum(min(step, len(self) - starts[number]) for number in missing))
            for number in missing:
                start = starts[number]
                values = self._computed(slice(start, start + step))
                checksums[number] = _written(opened, start, [value.astype(self._float) for value in values])
                files.write_text(folder / PROGRESS, json.dumps(checksums))
                bar.update(len(values[0]))
            bar.close()
        (folder / PROGRESS).touch()
        self._arrays = [np.load(path, mmap_mode="r") for path in paths]

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
    def _float(self) -> np.dtype:
        """The precision in which the frozen part computes; nothing is lost."""
        narrow = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
        kinds = {str(tensor.dtype) for tensor in self.parts.frozen.outputs}
        return np.dtype(narrow.get(kinds.pop(), np.float32)) if len(kinds) == 1 else np.dtype(np.float32)

    @property
    def _dtype(self) -> np.dtype:
        """What stands in the files: NumPy writes bfloat16 as whole numbers of as many bits."""
        return np.dtype(np.uint16) if self._float == ml_dtypes.bfloat16 else self._float


class FeatureBatches:
    """The batches of `Batches` in the same order, as features in place of images.

    Args:
        batches: the training batches.
        parts: the network, cut.
        cache: where the features are kept.

    Epoch k gets the images as they were augmented in epoch k modulo the recipe's `feature_copies`: with as many copies
    as epochs the training is that of the whole network.
    """

    def __init__(self, batches: Batches, parts: Parts, cache: Cache):
        self.batches, self.recipe, self.size, self.steps = batches, batches.recipe, batches.size, batches.steps
        self._parts, self._cache = parts, cache
        self._copies: dict[int, Features] = {}

    def compute(self, first: int, last: int) -> bool:
        """Compute what the epochs from `first` up to `last` need, and epoch 0; whether the disk has room for it."""
        for copy in sorted({self._copy(epoch) for epoch in (0, *range(first, last))}):
            if copy not in self._copies:
                _, numbers = self.batches.draw(copy)
                found = self._cache.features(self._parts, self.batches.images, numbers, self.recipe.fill_mode)
                if found is None:
                    return False
                self._copies[copy] = found
        return True

    def epoch(self, epoch: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Yield epoch `epoch`'s batches, counted from 0: what the head takes, and targets (size, classes) float32."""
        features = self._copies[self._copy(epoch)]
        order, _ = self.batches.draw(epoch)
        for step in range(self.steps):
            rows = order[step * self.size : (step + 1) * self.size]
            yield features.rows(rows), self.batches.targets[rows]

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape without the batch, and dtype, of every input, by name."""
        return {
            f"features{number}": (tuple(tensor.shape[1:]), str(tensor.dtype))
            for number, tensor in enumerate(self._parts.frozen.outputs)
        }

    @staticmethod
    def prepared(inputs: dict[str, Any]) -> Any:
        """What the head takes, from a batch's inputs."""
        values = list(inputs.values())
        return values if len(values) > 1 else values[0]

    def _copy(self, epoch: int) -> int:
        return epoch % max(1, self.recipe.feature_copies) if self.recipe.augments else 0


def usable(recipe: Recipe, network: keras.Model, announce: bool = False) -> Parts | None:
    """Return the parts of a network whose features a training of `recipe` may keep; None where it may not.

    Args:
        recipe: says whether, and how many augmented copies.
        network: as it stands; what is frozen may change from stage to stage.
        announce: whether to print a line where only the augmentation is in the way.
    """
    if recipe.cache_features == "off":
        return None
    parts = split(network)
    if parts and recipe.augments and not recipe.feature_copies:
        if announce:
            print("features are computed in every epoch, because the recipe augments; --feature-copies N keeps N copies")
        return None
    return parts


def _is_constant(layer: Any) -> bool:
    """Whether a layer, or an operation that is no layer, always gives the same for the same inputs."""
    if not isinstance(layer, keras.Layer):
        return True
    random = len(layer.variables) > len(layer.weights)  # the state of its random numbers is a variable, but no weight
    return not (layer.trainable_weights or random or norm_statistics.variables(layer))


def _described(layer: Any) -> Any:
    described = keras.saving.serialize_keras_object(layer)
    return _nameless({name: described.get(name) for name in ("class_name", "config")})


def _nameless(value: Any) -> Any:
    """`value` without the names, which Keras numbers through all networks of a process, and what follows from them."""
    if isinstance(value, dict):
        ignored = ("name", "shared_object_id", "build_config", "trainable")
        return {key: _nameless(inner) for key, inner in value.items() if key not in ignored}
    return [_nameless(inner) for inner in value] if isinstance(value, list | tuple) else value


@contextlib.contextmanager
def _policy(network: keras.Model) -> Iterator[None]:
    """The precision that `network` was built in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(network.dtype_policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _tensors(structure: Any) -> list:
    return [item for item in keras.tree.flatten(structure) if isinstance(item, keras.KerasTensor)]


def _listed(values: Any) -> list[np.ndarray]:
    return list(values) if isinstance(values, list | tuple) else [values]


def _as_float(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    return (array.view(ml_dtypes.bfloat16) if array.dtype == np.uint16 else array).astype(np.float32)


def _last_use(folder: pathlib.Path) -> float:
    path = folder / PROGRESS
    return path.stat().st_mtime if path.exists() else 0.0


def _checksums(folder: pathlib.Path, count: int) -> list[int | None]:
    """The checksums of the chunks that are done."""
    try:
        noted = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = None
    return noted if isinstance(noted, list) and len(noted) == count else [None] * count


@dataclass(frozen=True)
class _Open:
    """An array in a file: written by rows, with errors where a mapped file would end the process on a full disk."""

    stream: Any
    header: int
    row: int

    def read(self, start: int, count: int) -> bytes:
        self.stream.seek(self.header + start * self.row)
        return self.stream.read(count * self.row)

    def write(self, start: int, content: memoryview) -> None:
        self.stream.seek(self.header + start * self.row)
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


def _written(opened: list[_Open], start: int, values: list[np.ndarray]) -> int:
    checksum = 0
    for file, value in zip(opened, values, strict=True):
        content = np.ascontiguousarray(value).view(np.uint8).data.cast("B")
        file.write(start, content)
        checksum = zlib.crc32(content, checksum)
    return checksum


def _checksum(opened: list[_Open], start: int, count: int) -> int:
    checksum = 0
    for file in opened:
        checksum = zlib.crc32(file.read(start, count), checksum)
    return checksum
