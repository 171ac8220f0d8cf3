"""Checks of images, labels, probabilities and predictions."""

from typing import Any

import numpy as np

from kit.loaders import Dataset
from kit.workshop.checks.answers import StillMissing, array, good


def examples(chosen: Any, images: np.ndarray, labels: np.ndarray, digit: int) -> None:
    """Check that `chosen` are all of `images` (n, h, w, c) whose label is `digit`, in their order."""
    chosen = array(chosen)
    wanted = images[labels == digit]
    if chosen.dtype == bool:
        raise StillMissing(f"this is True or False for each label. Use it as an index: images[labels == {digit}]")
    if chosen.shape == images.shape[1:]:
        raise StillMissing(f"this is one image. All images with the label {digit} are wanted: images[labels == …]")
    if chosen.shape != wanted.shape or not np.array_equal(chosen, wanted):
        raise StillMissing(
            f"there are {len(wanted):,} images with the label {digit}, and these are {len(chosen):,} others."
        )
    good(f"{len(chosen):,} images of a {digit}, each {' × '.join(map(str, chosen.shape[1:]))}.")


def split(train_images: Any, train_labels: Any, validation_images: Any, validation_labels: Any, whole: int) -> None:
    """Check two parts, images (n, h, w, c) and labels (n,) each, of a data set of `whole` images."""
    parts = [array(part) for part in (train_images, train_labels, validation_images, validation_labels)]
    if [part.ndim for part in parts] != [4, 1, 4, 1]:
        raise StillMissing(
            "images and labels are mixed up. train_test_split returns, in this order: training images, validation "
            "images, training labels, validation labels."
        )
    train, labels, held_out, held_out_labels = parts
    if (len(train), len(held_out)) != (len(labels), len(held_out_labels)):
        raise StillMissing(
            f"{len(train):,} training images have {len(labels):,} labels, and {len(held_out):,} validation images "
            f"{len(held_out_labels):,}: give images and labels to one and the same train_test_split."
        )
    if len(train) + len(held_out) != whole:
        raise StillMissing(f"{len(train):,} + {len(held_out):,} images are not {whole:,}: each belongs to one part.")
    if not 0.05 <= len(held_out) / whole <= 0.4:
        raise StillMissing(
            f"{len(held_out) / whole:.0%} of the images are for validation. Take about a fifth (test_size=0.2): fewer "
            "say little about the network, and with more it has less to learn from."
        )
    classes = held_out_labels.max() + 1
    shares = [np.bincount(part, minlength=classes) / len(part) for part in (labels, held_out_labels)]
    if np.abs(shares[0] - shares[1]).max() > 1.5 / len(held_out_labels):
        raise StillMissing("the digits do not have the same shares in both parts: add stratify=labels.")
    good(f"{len(train):,} images to train on, {len(held_out):,} to validate on.")


def from_table(labels: Any, images: Any, dataset: Dataset) -> None:
    """Check labels (n,) and images (n, h, w, c) uint8 that were read from the first rows of `dataset` as a table."""
    labels, images = array(labels), array(images)
    shape, count = dataset.competition.image_shape, len(labels)
    if labels.ndim != 1 or not np.array_equal(labels, dataset.train_labels[:count]):
        raise StillMissing('the labels are the column "label", as an array: table["label"].to_numpy()')
    if images.shape == (count, np.prod(shape) + 1):
        raise StillMissing('the label is still among the pixels: table.drop(columns="label") leaves it out.')
    if images.shape != (count, *shape):
        raise StillMissing(
            f"the images' shape is {images.shape}, and ({count}, {', '.join(map(str, shape))}) is wanted."
        )
    if not np.array_equal(images, dataset.train_images[:count]):
        raise StillMissing("the pixels are not where they belong. A row of the table is one image, row by row.")
    if images.dtype != np.uint8:
        raise StillMissing(f'the images are {images.dtype}; .astype("uint8") saves seven eighths of the memory.')
    good(f"{count:,} images of {' × '.join(map(str, shape))}, and their labels.")


def probabilities(answer: Any, images: np.ndarray, classes: int) -> None:
    """Check probabilities (n, classes) for `images`: none negative, each row adding up to 1."""
    answer = array(answer)
    if answer.shape == (len(images),):
        raise StillMissing("this is one number for each image. Keep all ten for now; argmax comes later.")
    if answer.shape != (len(images), classes):
        raise StillMissing(
            f"the shape is {answer.shape}, and ({len(images)}, {classes}) is wanted: predict these images."
        )
    if answer.min() < 0 or not np.allclose(answer.sum(axis=1), 1, atol=1e-3):
        raise StillMissing(
            "these are logits: the rows do not add up to 1. keras.ops.softmax makes probabilities of them."
        )
    good(f"each of the {len(images):,} rows adds up to 1.")


def mistakes(rows: Any, labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Check that `rows` (k,) are the numbers of the rows whose likeliest class is not the label."""
    rows, likeliest = array(rows), np.asarray(probabilities).argmax(axis=1)
    wanted = np.flatnonzero(likeliest != labels)
    if rows.dtype != bool and len(wanted) != len(labels) / 2 and len(rows) == len(labels) - len(wanted):
        raise StillMissing("these are the right predictions: != instead of == finds the wrong ones.")
    _row_numbers(rows, wanted, "are wrong")
    good(f"{len(wanted):,} of {len(labels):,} are wrong, {len(wanted) / len(labels):.2%}.")


def different(rows: Any, first: np.ndarray, second: np.ndarray) -> None:
    """Check that `rows` (k,) are the numbers of the rows for which two networks predict different classes.

    Args:
        rows: the answer.
        first, second: probabilities of the two networks, (n, classes).
    """
    wanted = np.flatnonzero(first.argmax(axis=1) != second.argmax(axis=1))
    _row_numbers(array(rows), wanted, "differ")
    good(f"the networks differ on {len(wanted):,} of {len(first):,} images, {len(wanted) / len(first):.2%}.")


def predicted(digits: Any, dataset: Dataset) -> None:
    """Check the predicted classes (m,) of `dataset`'s test images."""
    digits, count = array(digits), len(dataset.test_images)
    classes = dataset.competition.classes
    if digits.shape == (count, classes):
        raise StillMissing("these are ten numbers for each image. The largest is at: .argmax(axis=1)")
    if digits.shape == (classes,) and classes != count:
        raise StillMissing("this is one number for each class: argmax goes along the classes, axis=1.")
    if digits.shape != (count,):
        raise StillMissing(f"the shape is {digits.shape}, and ({count},) is wanted: predict the test_images.")
    if digits.dtype.kind not in "ui":
        raise StillMissing(f"the digits are {digits.dtype}; whole numbers are wanted.")
    if len(np.unique(digits)) == 1:
        raise StillMissing(f"every prediction is {digits[0]}: was this network trained?")
    good(f"{count:,} predictions.")


def _row_numbers(rows: np.ndarray, wanted: np.ndarray, verb: str) -> None:
    if rows.dtype == bool:
        raise StillMissing("this is True or False for each image: np.flatnonzero makes row numbers of it.")
    if not np.array_equal(np.sort(rows.ravel()), wanted):
        raise StillMissing(f"{len(wanted):,} predictions {verb}, and these are {rows.size:,} other rows.")
