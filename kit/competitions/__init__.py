"""What a competition is: its images, its classes, its files, its rules. One module each, found by name.

A new competition is one module in this folder that sets `COMPETITION`.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kit.errors import UserError
from kit.suggestions import nearest


@dataclass(frozen=True)
class PixelTables:
    """CSV files with one image a row: `label,pixel0,…` to train on, `pixel0,…` to predict."""

    train: str
    test: str
    sample_submission: str


@dataclass(frozen=True)
class ImageArchives:
    """7z archives of `<id>.png`, with a CSV of the training labels beside them."""

    train: str
    test: str
    labels: str
    sample_submission: str


@dataclass(frozen=True)
class Competition:
    """One Kaggle competition.

    Attributes:
        name: Kaggle's own name, as in kaggle.com/competitions/<name>.
        image_shape: (height, width, channels) of every image.
        class_names: what each class is called, in the order of the labels 0, 1, …; also what is written in the
            submission's label column.
        files: which files Kaggle serves and in which form.
        id_column, label_column: the submission's header.
        daily_limit: submissions a day that Kaggle accepts.
        mirror_symmetric: whether a mirrored image is still of its class.
        sample: draws the built-in stand-in data; returns train_images (n, h, w, c) uint8, train_labels (n,) int64,
            test_images (m, h, w, c) uint8.
        sample_description: what the sample is, for the person who trains on it.
        keras_dataset: the module of `keras.datasets` that holds the same kind of images.
        test_images_in: public data sets, as `keras.datasets` names them, whose images include this competition's
            test images, so that a network trained on them must not be submitted.
        most_images: how many images the competition has in all. It bounds how large its files can be, so that a file
            with more is refused before it fills the memory.
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    files: PixelTables | ImageArchives
    id_column: str
    label_column: str
    daily_limit: int
    mirror_symmetric: bool
    sample: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]
    sample_description: str
    keras_dataset: str
    test_images_in: tuple[str, ...] = ()
    most_images: int = 1_000_000

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def page(self) -> str:
        """The competition's page, where its rules are accepted."""
        return f"https://www.kaggle.com/competitions/{self.name}"


@functools.cache
def names() -> tuple[str, ...]:
    """The competitions that the kit knows, by Kaggle's names."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def get(name: str) -> Competition:
    """Return the competition called `name`.

    Raises:
        UserError: there is no such competition; names the nearest.
    """
    if name not in names():
        raise UserError(f"unknown competition {name!r}; known: {', '.join(names())}.{nearest(name, names())}")
    module = importlib.import_module(f"kit.competitions.{name.replace('-', '_')}")
    competition: Competition = module.COMPETITION
    return competition
