"""A part of the training images, for a quick try."""

import dataclasses

import numpy as np

from kit.errors import UserError
from kit.loaders import Dataset


def limited(dataset: Dataset, limit: int) -> Dataset:
    """Return `dataset` with `limit` of its training images, each class in its share, always the same ones.

    Args:
        dataset: the whole.
        limit: how many training images; 0 for all of them.

    Raises:
        UserError: fewer than one image a class.
    """
    if not limit or limit >= len(dataset.train_labels):
        return dataset
    from sklearn.model_selection import train_test_split

    classes = len(np.unique(dataset.train_labels))
    if limit < classes:
        raise UserError(f"--limit {limit}: there are {classes} classes; take at least {2 * classes}.")
    rows = np.arange(len(dataset.train_labels))
    # train_test_split wants something of each class left over; of the last few images, the first ones will do.
    stratify = dataset.train_labels if len(rows) - limit >= classes else None
    kept, _ = train_test_split(rows, train_size=limit, stratify=stratify, random_state=0)
    kept = np.sort(kept)
    copies = dataset.duplicates[np.isin(dataset.duplicates[:, 1], kept)]
    copies[:, 1] = np.searchsorted(kept, copies[:, 1])
    return dataclasses.replace(
        dataset, train_images=dataset.train_images[kept], train_labels=dataset.train_labels[kept], duplicates=copies
    )
