"""A competition's own files, brought into a `Dataset`, and kept in a cache until they change."""

import hashlib
import pathlib
import sys
from math import prod

import numpy as np

from kit.competitions import Competition, PixelTables
from kit.errors import UserError
from kit.loaders import Dataset, cache, id_tables, image_archives, pixel_tables
from kit.loaders.kaggle_files import KaggleFiles
from kit.loaders.leaks import duplicates

READER = 1  # raised when the same files give other arrays than before


def load(competition: Competition, files: KaggleFiles) -> Dataset:
    """Return the images and labels that lie in `files`: from the cache, or read, and then kept there.

    Raises:
        UserError: a file is missing, damaged or not as Kaggle serves it; names file, row and column.
    """
    meaning = (READER, competition.image_shape, competition.class_names, files.fingerprint())
    key = hashlib.blake2b(repr(meaning).encode(), digest_size=16).hexdigest()
    places = cache.places(files.folder)
    arrays = next((found for place in places if (found := cache.read(place, key))), None)
    if arrays is None:
        arrays = _read(competition, files)
        _keep(places, key, arrays)
    return Dataset(competition=competition, source="kaggle", origin=str(files.folder), **arrays)


def sample_submission(competition: Competition, files: KaggleFiles) -> np.ndarray:
    """Return the test images' ids, (m,) int64, in the order of the sample submission.

    Raises:
        UserError: the file is missing or not as Kaggle serves it.
    """
    name = competition.files.sample_submission
    with files.open(name) as stream:
        columns = (competition.id_column, competition.label_column)
        return id_tables.read(stream, files.where(name), columns, files.remedy)[0]


def _keep(places: list[pathlib.Path], key: str, arrays: dict[str, np.ndarray]) -> None:
    """Write the cache into the first place that takes it; without a cache the data are no worse, only slower."""
    reasons = []
    for place in places:
        try:
            cache.write(place, key, arrays)
            return
        except OSError as error:
            reasons.append(str(error))
    print(f"no cache could be written ({'; '.join(reasons)}); the next start reads the files again.", file=sys.stderr)


def _read(competition: Competition, files: KaggleFiles) -> dict[str, np.ndarray]:
    read = _read_tables if isinstance(competition.files, PixelTables) else _read_archives
    train_images, train_labels, test_images, test_ids = read(competition, files)
    return {
        "train_images": train_images,
        "train_labels": train_labels,
        "test_images": test_images,
        "test_ids": test_ids,
        "duplicates": duplicates(train_images, test_images),
    }


def _read_tables(competition: Competition, files: KaggleFiles) -> tuple[np.ndarray, ...]:
    names = competition.files
    pixels = [f"pixel{number}" for number in range(prod(competition.image_shape))]

    def table(name: str, columns: list[str]) -> np.ndarray:
        with files.open(name) as stream:
            return pixel_tables.read(stream, files.where(name), columns, files.remedy)

    test_ids = sample_submission(competition, files)
    train = table(names.train, ["label", *pixels])
    labels = train[:, 0].copy()
    wrong = np.flatnonzero(labels >= competition.classes)
    if len(wrong):
        raise UserError(
            f"{files.where(names.train)}, line {wrong[0] + 2}, column 'label': {labels[wrong[0]]} is no class "
            f"(0 to {competition.classes - 1}); {files.remedy}"
        )
    test = table(names.test, pixels)
    if len(test) != len(test_ids):
        raise UserError(
            f"{files.where(names.test)} has {len(test)} rows, but {files.where(names.sample_submission)} has "
            f"{len(test_ids)}; {files.remedy}"
        )
    train_images = np.ascontiguousarray(train[:, 1:]).reshape(-1, *competition.image_shape)
    return train_images, labels, test.reshape(-1, *competition.image_shape), test_ids


def _read_archives(competition: Competition, files: KaggleFiles) -> tuple[np.ndarray, ...]:
    names = competition.files
    test_ids = sample_submission(competition, files)
    with files.open(names.labels) as stream:
        ids, words = id_tables.read(stream, files.where(names.labels), ("id", "label"), files.remedy)
    class_of = {name: label for label, name in enumerate(competition.class_names)}
    for row, word in enumerate(words):
        if word not in class_of:
            raise UserError(
                f"{files.where(names.labels)}, line {row + 2}, column 'label': {word[:20]!r} is no class "
                f"({', '.join(competition.class_names)}); {files.remedy}"
            )
    order = np.argsort(ids)
    labels = np.array([class_of[word] for word in words], np.uint8)[order]
    train_images = image_archives.read(
        files, names.train, ids[order], files.where(names.labels), competition.image_shape
    )
    test_images = image_archives.read(
        files, names.test, test_ids, files.where(names.sample_submission), competition.image_shape
    )
    return train_images, labels, test_images, test_ids
