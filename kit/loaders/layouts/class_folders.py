"""Image files in a folder a class."""

import numpy as np

from kit.competitions import ClassFolders, Competition
from kit.errors import UserError
from kit.loaders import sample_submission
from kit.loaders.layouts import Arrays, images
from kit.loaders.tree import Tree


def read(competition: Competition, tree: Tree) -> Arrays:
    """Read all images; training images stand in the order of their paths.

    Raises:
        UserError: a folder is not a class, or a class has no images, or an image is missing or damaged.
    """
    names = competition.files
    test_ids = sample_submission.ids(competition, tree)
    paths, labels = labelled(competition, tree)
    submitted = tree.where(names.sample_submission)
    of_test = images.for_ids(tree, names.test, [str(one) for one in test_ids], submitted)
    train_images = images.read(competition, tree, paths, names.train)
    return train_images, labels, images.read(competition, tree, of_test, names.test), test_ids


def labelled(competition: Competition, tree: Tree) -> tuple[list[str], np.ndarray]:
    """Return the training images' paths, and their labels, (n,) int64.

    Raises:
        UserError: a folder is not a class, or a class has no images.
    """
    names = competition.files
    assert isinstance(names, ClassFolders)
    paths = images.of_folder(tree, names.train, without=names.test)
    number_of = numbers(competition)
    labels = np.array([class_of(path, names.train, number_of, tree) for path in paths], np.int64)
    images.check_counts(labels, competition, tree, names.train)
    return paths, labels


def numbers(competition: Competition) -> dict[str, int]:
    """Return each class's number by what a folder may be called: its name, or its label."""
    number_of = {name: number for number, name in enumerate(competition.class_names)}
    return number_of | {name: number for number, name in enumerate(competition.label_values)}


def class_of(path: str, folder: str, number_of: dict[str, int], tree: Tree) -> int:
    """Return the number of the class whose folder, in `folder`, a path leads through.

    Raises:
        UserError: it leads through none.
    """
    parts = path.removeprefix(f"{folder}/").split("/")[:-1]
    found = next((number_of[part] for part in parts if part in number_of), None)
    if found is None:
        raise UserError(
            f"{tree.where(path)}: its folder {'/'.join(parts)[:80]!r} is not a class "
            f"({', '.join(list(number_of)[:20])}); remove it, or add the class to competition.yaml."
        )
    return found
