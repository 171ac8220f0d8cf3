"""A competition's own files, brought into a `Dataset`, and kept in a cache until they change."""

import hashlib
import pathlib
import sys
from math import prod

import numpy as np

from kit.competitions import Competition, ImageArchives, PixelTables
from kit.errors import UserError
from kit.loaders import Dataset, cache, id_tables, image_archives, pixel_tables
from kit.loaders.kaggle_files import KaggleFiles
from kit.loaders.leaks import duplicates

READER = 2  # raised when the same files give other arrays than before
ARRAYS = ("train_images", "train_labels", "test_images", "test_ids", "duplicates")


def load(competition: Competition, files: KaggleFiles) -> Dataset:
    """Return the images and labels that lie in `files`: from the cache, or read, and then kept there.

    Raises:
        UserError: a file is missing, damaged or not as Kaggle serves it; names file, row and column.
    """
    meaning = (READER, competition.image_shape, competition.class_names, files.fingerprint())
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


def sample_submission(competition: Competition, files: KaggleFiles) -> np.ndarray:
    """Return the test images' ids, (m,) int64, in the order of the sample submission.

    Raises:
        UserError: the file is missing or not as Kaggle serves it.
    """
    name = competition.files.sample_submission
    with files.open(name) as stream:
        columns = (competition.id_column, competition.label_column)
        return id_tables.read(stream, files.where(name), columns, files.remedy)[0]


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


def _read(competition: Competition, files: KaggleFiles) -> dict[str, np.ndarray]:
    if isinstance(competition.files, PixelTables):
        arrays = _read_tables(competition, competition.files, files)
    else:
        arrays = _read_archives(competition, competition.files, files)
    return dict(zip(ARRAYS, (*arrays, duplicates(arrays[0], arrays[2])), strict=True))


def _read_tables(competition: Competition, names: PixelTables, files: KaggleFiles) -> tuple[np.ndarray, ...]:
    pixels = [f"pixel{number}" for number in range(prod(competition.image_shape))]

    def table(name: str, label: str | None) -> tuple[np.ndarray, np.ndarray]:
        with files.open(name) as stream:
            layout = pixel_tables.Layout(pixels, label, competition.classes, competition.most_images)
            return pixel_tables.read(stream, files.where(name), layout, files.remedy)

    test_ids = sample_submission(competition, files)
    train, labels = table(names.train, "label")
    test, _ = table(names.test, None)
    if len(test) != len(test_ids):
        raise UserError(
            f"{files.where(names.test)} has {len(test)} rows, but {files.where(names.sample_submission)} has "
            f"{len(test_ids)}; {files.remedy}"
        )
    shape = (-1, *competition.image_shape)
    return train.reshape(shape), labels, test.reshape(shape), test_ids


def _read_archives(competition: Competition, names: ImageArchives, files: KaggleFiles) -> tuple[np.ndarray, ...]:
    test_ids = sample_submission(competition, files)
    with files.open(names.labels) as stream:
        ids, classes = id_tables.read(stream, files.where(names.labels), ("id", "label"), files.remedy)
    label_of = {name: label for label, name in enumerate(competition.class_names)}
    known = ", ".join(competition.class_names[:20]) + (", …" if competition.classes > 20 else "")
    for row, name in enumerate(classes):
        if name not in label_of:
            raise UserError(
                f"{files.where(names.labels)}, line {row + 2}, column 'label': {name[:20]!r} is not a class "
                f"({known}); {files.remedy}"
            )
    order = np.argsort(ids)
    labels = np.array([label_of[name] for name in classes], np.int64)[order]
    train_images = image_archives.read(
        files, names.train, ids[order], files.where(names.labels), competition.image_shape
    )
    test_images = image_archives.read(
        files, names.test, test_ids, files.where(names.sample_submission), competition.image_shape
    )
    return train_images, labels, test_images, test_ids
