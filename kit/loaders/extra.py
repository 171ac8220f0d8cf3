"""A person's own images that a training adds to the competition's: files in a folder a class."""

import contextlib
import dataclasses
import functools
import os
import pathlib
from dataclasses import dataclass

import numpy as np

from kit import tracking
from kit.competitions import Competition
from kit.errors import UserError
from kit.loaders import Dataset, decoding, leaks
from kit.loaders.layouts import class_folders, images
from kit.loaders.tree import Tree


@dataclass(frozen=True, eq=False)
class ExtraImages:
    """Images that train and never validate.

    Attributes:
        folder: where they lie, absolute.
        names: each one's path in the folder.
        images: (n, h, w, c) uint8 in the competition's shape.
        labels: (n,) int64.
    """

    folder: str
    names: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray

    @functools.cached_property
    def record(self) -> tracking.ExtraData:
        """What a run remembers of them."""
        fingerprint = tracking.fingerprint(self.images, self.labels)
        return tracking.ExtraData(folder=self.folder, images=len(self.labels), fingerprint=fingerprint)


def read(folder: str | os.PathLike[str], competition: Competition) -> ExtraImages:
    """Read the images in `<folder>/<class>/`, in the order of their paths; not every class needs some.

    Args:
        folder: with a folder for each class, called as the class.
        competition: says the classes and the images' shape. Of handwriting, images have to have that size already: one
            that is only made smaller looks like none of the competition's. `kit.demo` keeps drawings so.

    Raises:
        UserError: there is no such folder, it has no images, one is of no class, damaged, or of another size.
    """
    place = pathlib.Path(os.path.abspath(folder))
    if not place.is_dir():
        raise UserError(f"--extra-data {folder}: there is no such folder; give one with a folder of images a class.")
    tree = Tree(place, "", "mend it, or remove it from the folder of --extra-data.")
    paths = images.of_folder(tree, "")
    number_of = class_folders.numbers(competition)
    labels = np.array([class_folders.class_of(path, "", number_of, tree) for path in paths], np.int64)
    if competition.handwriting:
        _check_sizes(tree, paths, competition)
    return ExtraImages(str(place), tuple(paths), images.read(competition, tree, paths, "extra data"), labels)


def add(dataset: Dataset, extra: ExtraImages) -> Dataset:
    """Return `dataset` with images that are trained on too.

    Raises:
        UserError: one of them equals a training or a test image: it may be validated on, or be submitted, and what a
            training reaches on images that it has seen says nothing.
    """
    for kind, own in (("training", dataset.train_images), ("test", dataset.test_images)):
        copies = leaks.duplicates(own, extra.images)
        if len(copies):
            raise UserError(
                f"{pathlib.Path(extra.folder) / extra.names[copies[0, 0]]} is a copy of {dataset.competition.name}'s "
                f"{kind} image {copies[0, 1]} ({len(copies):,} copies in all): the accuracy would be false; remove it."
            )
    return dataclasses.replace(dataset, extra=extra)


def again(dataset: Dataset, record: tracking.ExtraData) -> Dataset:
    """Return `dataset` with the images that a run was begun with.

    Raises:
        UserError: as `read`, or they are not the same any more.
    """
    found = read(record.folder, dataset.competition)
    if found.record.fingerprint != record.fingerprint:
        raise UserError(
            f"{record.folder} holds other images than the run was begun with ({record.images:,} then, "
            f"{len(found.labels):,} now); put those back, or begin a new training."
        )
    return add(dataset, found)


def _check_sizes(tree: Tree, paths: list[str], competition: Competition) -> None:
    height, width = competition.image_shape[:2]
    with contextlib.closing(tree.contents(paths)) as found:
        for path, content in found:
            try:
                size = decoding.size_of(content())[:2]
            except ValueError as error:
                raise UserError(f"{tree.where(path)} {error}; {tree.remedy}") from None
            if size != (height, width):
                raise UserError(
                    f"{tree.where(path)} has {size[1]}×{size[0]} pixels, not {width}×{height} as the images of "
                    f"{competition.name}; `python -m kit.demo` makes such images of drawings and photos."
                )
