"""The exercise without Kaggle's files: real digits in Kaggle's form, and a board that scores on withheld labels."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd

from kit import submission
from kit.errors import UserError
from kit.loaders import Dataset

WITHHELD = 0.2


def practice(dataset: Dataset) -> Dataset:
    """Return `dataset` with test images whose labels the practice board knows.

    MNIST from Keras has such test images. Of other data the last fifth of the labelled images becomes the test images.
    """
    if dataset.test_labels is not None:
        return dataset
    first = round(len(dataset.train_labels) * (1 - WITHHELD))
    return dataclasses.replace(
        dataset,
        train_images=dataset.train_images[:first],
        train_labels=dataset.train_labels[:first],
        test_images=dataset.train_images[first:],
        test_labels=dataset.train_labels[first:],
        test_ids=np.arange(1, len(dataset.train_labels) - first + 1),
        duplicates=np.empty((0, 2), np.int64),
    )


def practice_score(path: str | pathlib.Path, dataset: Dataset) -> float:
    """Return the share of right labels, 0…1, of a submission's CSV for `dataset`'s test images.

    Raises:
        UserError: the CSV is not what the competition wants, or the labels are with Kaggle only.
    """
    if dataset.test_labels is None:
        raise UserError("only Kaggle has these labels: python -m kit.submit sends the predictions there.")
    checked = submission.check(pathlib.Path(path), dataset.competition, dataset.test_ids)
    return float(np.mean(checked.labels == dataset.test_labels))


def train_csv(dataset: Dataset, path: str | pathlib.Path, rows: int = 2_000) -> pathlib.Path:
    """Write the first labelled images as Kaggle's `train.csv` has them: `label,pixel0,pixel1,…`, a row an image.

    Args:
        dataset: images of one channel.
        path: the file; its folder is made.
        rows: how many images.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = dataset.train_images[:rows].reshape(min(rows, len(dataset.train_images)), -1)
    columns = ["label", *(f"pixel{number}" for number in range(pixels.shape[1]))]
    table = pd.DataFrame(np.column_stack([dataset.train_labels[:rows], pixels]), columns=columns)
    table.to_csv(path, index=False)
    return path
