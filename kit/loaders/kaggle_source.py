"""A competition's own files, brought into a `Dataset`."""

from math import prod

import numpy as np

from kit.competitions import Competition
from kit.errors import UserError
from kit.loaders import Dataset, pixel_tables
from kit.loaders.id_tables import read as read_ids
from kit.loaders.kaggle_files import KaggleFiles
from kit.loaders.leaks import duplicates


def load(competition: Competition, files: KaggleFiles) -> Dataset:
    """Return the images and labels that lie in `files`.

    Raises:
        UserError: a file is missing, damaged or not as Kaggle serves it; names file, row and column.
    """
    arrays = _read_tables(competition, files)
    return Dataset(competition=competition.name, source="kaggle", origin=str(files.folder), **arrays)


def _read_tables(competition: Competition, files: KaggleFiles) -> dict[str, np.ndarray]:
    names = competition.files
    pixels = [f"pixel{number}" for number in range(prod(competition.image_shape))]

    def table(name: str, columns: list[str]) -> np.ndarray:
        with files.open(name) as stream:
            return pixel_tables.read(stream, files.where(name), columns, files.remedy)

    with files.open(names.sample_submission) as stream:
        test_ids, _ = read_ids(
            stream,
            files.where(names.sample_submission),
            (competition.id_column, competition.label_column),
            files.remedy,
        )
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
    test_images = test.reshape(-1, *competition.image_shape)
    return {
        "train_images": train_images,
        "train_labels": labels,
        "test_images": test_images,
        "test_ids": test_ids,
        "duplicates": duplicates(train_images, test_images),
    }
