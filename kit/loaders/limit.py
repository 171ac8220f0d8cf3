"""A part of the training images, for a quick try; `kit.loaders.load(…, limit=N)` takes it."""

import dataclasses

import numpy as np

from kit.errors import UserError
from kit.loaders import Dataset


def limited(dataset: Dataset, limit: int) -> Dataset:
    """Return `dataset` with `limit` of its training images, each class in its share, always the same ones.

    Args:
        dataset: the whole.
        limit: how many training images; 0, or more than there are, for all of them.

    Raises:
        UserError: it is not a number of images, or fewer than one image a class.
    """
    labels = dataset.train_labels
    classes, counts = np.unique(labels, return_counts=True)
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 0:
        raise UserError(f"limit {limit!r}: it is a number of training images; 0 takes all of them.")
    if not limit or limit >= len(labels):
        return dataset
    if limit < len(classes):
        raise UserError(f"limit {limit}: there are {len(classes)} classes; take at least {len(classes)} images.")
    from sklearn.model_selection import train_test_split

    # train_test_split needs two images of each class, and one of each left over; without these it draws from all.
    stratify = labels if counts.min() >= 2 and len(labels) - limit >= len(classes) else None
    kept, _ = train_test_split(np.arange(len(labels)), train_size=int(limit), stratify=stratify, random_state=0)
    kept = np.sort(kept)
    copies = dataset.duplicates[np.isin(dataset.duplicates[:, 1], kept)]
    copies[:, 1] = np.searchsorted(kept, copies[:, 1])
    return dataclasses.replace(
        dataset,
        train_images=dataset.train_images[kept],
        train_labels=labels[kept],
        duplicates=copies,
        limit=int(limit),
        available=len(labels),
    )
