"""The exercises without Kaggle: real images in Kaggle's form, and a board that scores on withheld labels."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd

from kit import loaders, submission
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


def public(competition: str) -> Dataset:
    """Return the data set of `keras.datasets` with a competition's kind of images, as everybody may download it.

    Where it cannot be downloaded, Kaggle's files take its place if they are there, and a line says so. In the short
    form it is the sample.

    Raises:
        UserError: there is neither.
    """
    from kit import workshop

    if workshop.is_short():
        return loaders.load(competition, "sample")
    try:
        return loaders.load(competition, "keras")
    except UserError as error:
        if workshop.source(competition) != "kaggle":
            raise
        print(f"Kaggle's images take the place of Keras's: {error}")
        return loaders.load(competition, "kaggle")


def answered(dataset: Dataset, answers: pd.DataFrame) -> Dataset:
    """Return `dataset` with the labels of its test images, for the practice board.

    Args:
        dataset: its test images have file names as ids.
        answers: the columns `id` and `label`, the class's name; from `kit.workshop.as_competition`.

    Raises:
        UserError: a test image has no answer: the photos were copied anew after `dataset` was loaded.
    """
    class_of = dict(zip(answers["id"], answers["label"], strict=True))
    names = dataset.competition.class_names
    missing = [one for one in dataset.test_ids if class_of.get(str(one)) not in names]
    if missing:
        raise UserError(f"the answers have no class for {missing[0]}; run the notebook from the top.")
    labels = np.array([names.index(class_of[str(one)]) for one in dataset.test_ids])
    return dataclasses.replace(dataset, test_labels=labels)


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
