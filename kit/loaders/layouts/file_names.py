"""Image files whose names hold the class, such as `train/cat.0.jpg`."""

import posixpath

import numpy as np

from kit.competitions import Competition, FileNames
from kit.errors import UserError
from kit.loaders import sample_submission
from kit.loaders.layouts import Arrays, images
from kit.loaders.tree import Tree


def read(competition: Competition, tree: Tree) -> Arrays:
    """Read all images; training images stand in the order of their paths.

    Raises:
        UserError: a name holds no class, or a class has no images, or an image is missing or damaged.
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
        UserError: a name holds no class, or a class has no images.
    """
    names = competition.files
    assert isinstance(names, FileNames)
    paths = images.of_folder(tree, names.train, without=names.test)
    labels = np.empty(len(paths), np.int64)
    for row, path in enumerate(paths):
        found = images.class_in_name(posixpath.splitext(posixpath.basename(path))[0], competition.class_names)
        if found is None:
            raise UserError(
                f"{tree.where(path)}: its name holds no class ({', '.join(competition.class_names[:20])}); "
                f"{tree.remedy}"
            )
        labels[row] = found
    images.check_counts(labels, competition, tree, names.train)
    return paths, labels
