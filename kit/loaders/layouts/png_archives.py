"""7z archives of `<id>.png`, and a table of the training labels."""

import numpy as np

from kit.competitions import Competition, ImageArchives
from kit.errors import UserError
from kit.loaders import id_tables, image_archives, sample_submission
from kit.loaders.kaggle_files import KaggleFiles
from kit.loaders.layouts import Arrays


def read(competition: Competition, files: KaggleFiles) -> Arrays:
    """Read both archives; training images stand in the order of their ids.

    Raises:
        UserError: a file is missing or wrong; names line and column, or the image.
    """
    names = competition.files
    assert isinstance(names, ImageArchives)
    test_ids = sample_submission.ids(competition, files)
    with files.open(names.labels) as stream:
        ids, classes = id_tables.read(stream, files.where(names.labels), ("id", "label"), files.remedy)
    label_of = {name: label for label, name in enumerate(competition.class_names)}
    known = ", ".join(competition.class_names[:20]) + (", …" if competition.classes > 20 else "")
    for row, name in enumerate(classes):
        if name not in label_of:
            raise UserError(
                f"{files.where(names.labels)}, line {row + 2}, column 'label': {name[:20]!r} is not a class "
                f"({known}); {files.remedy}"
            )
    order = np.argsort(ids)
    labels = np.array([label_of[name] for name in classes], np.int64)[order]
    train_images = image_archives.read(
        files, names.train, ids[order], files.where(names.labels), competition.image_shape
    )
    test_images = image_archives.read(
        files, names.test, test_ids, files.where(names.sample_submission), competition.image_shape
    )
    return train_images, labels, test_images, test_ids
