"""A competition's own files, brought into a `Dataset`, and kept in a cache until they change."""

import hashlib
import pathlib
import sys

import numpy as np

from kit.competitions import Competition
from kit.loaders import Dataset, cache, layouts
from kit.loaders.kaggle_files import KaggleFiles
from kit.loaders.leaks import duplicates
from kit.loaders.tree import Tree

READER = 3  # raised when the same files give other arrays than before
ARRAYS = ("train_images", "train_labels", "test_images", "test_ids", "duplicates")


def load(competition: Competition, files: KaggleFiles | Tree) -> Dataset:
    """Return the images and labels that lie in `files`: from the cache, or read, and then kept there.

    Raises:
        UserError: a file is missing, damaged or not as Kaggle serves it; names file, row and column.
    """
    how = (competition.files, competition.label_values, competition.fit, competition.columns)
    meaning = (READER, competition.image_shape, competition.class_names, how, files.fingerprint())
    key = hashlib.blake2b(repr(meaning).encode(), digest_size=16).hexdigest()
    folders = cache.folders(files.folder)
    arrays = next((found for folder in folders if (found := cache.read(folder, key, ARRAYS))), None)
    if arrays is None:
        arrays = _read(competition, files)
        _keep(folders, key, arrays)
    return Dataset(
        competition=competition,
        source="kaggle",
        origin=str(files.folder),
        train_images=arrays["train_images"],
        train_labels=arrays["train_labels"],
        test_images=arrays["test_images"],
        test_ids=arrays["test_ids"],
        duplicates=arrays["duplicates"],
    )


def _keep(folders: list[pathlib.Path], key: str, arrays: dict[str, np.ndarray]) -> None:
    """Write the first cache folder that can be written; without a cache the data are no worse, only slower."""
    reasons = []
    for folder in folders:
        try:
            cache.write(folder, key, arrays)
            return
        except OSError as error:
            reasons.append(str(error))
    print(f"no cache could be written ({'; '.join(reasons)}); the next start reads the files again.", file=sys.stderr)


def _read(competition: Competition, files: KaggleFiles | Tree) -> dict[str, np.ndarray]:
    arrays = layouts.reader(competition.files.layout)(competition, files)
    return dict(zip(ARRAYS, (*arrays, duplicates(arrays[0], arrays[2])), strict=True))
