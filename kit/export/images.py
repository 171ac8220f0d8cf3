"""Which images an exported network is compared on, and which calibrate its integers."""

from dataclasses import dataclass

import numpy as np

from kit import loaders
from kit.loaders import Dataset
from kit.prediction.parts import Joined, Networks
from kit.tracking import Run
from kit.training.splits import splits

MOST = 5000  # images to compare on: more would tell no more, and take the time of large networks
CALIBRATION = 300  # images


@dataclass(frozen=True, eq=False)
class Images:
    """A run's images, as exporting uses them.

    Attributes:
        dataset: what the run was trained on.
        compared: (n, h, w, c) uint8, to compare predictions on.
        labels: (n,) integers, their classes; None of test images.
        unseen: whether none of the run's networks was trained on them, so that their accuracy says what is expected
            of others. With folds and nothing held out there are no such images with labels.
        calibration: (m, h, w, c) uint8, training images.
    """

    dataset: Dataset
    compared: np.ndarray
    labels: np.ndarray | None
    unseen: bool
    calibration: np.ndarray

    @property
    def described(self) -> str:
        """How many there are, and what they are."""
        if self.labels is None:
            return f"{len(self.compared):,} test images"
        return f"{len(self.compared):,} {'validation' if self.unseen else 'training'} images"


def choose(run: Run, part: Networks | Joined, data_dir: str | None = None) -> Images:
    """Choose a run's images: those that it held out from all of its networks.

    Where each network has seen what the others held out, it is images that all members predicted out of fold; where a
    run held out nothing, the competition's test images.

    Raises:
        UserError: the run's data are missing, or have changed.
    """
    dataset = loaders.load_for(run.config().data, data_dir)
    trained = np.zeros(len(dataset.train_labels), bool)
    for leaf in part.leaves():
        recipe = leaf.run.config().recipe
        assert recipe is not None
        for rows, _ in splits(dataset.train_labels, recipe):
            trained[rows] = True
    calibration = dataset.train_images[_spread(np.flatnonzero(trained), CALIBRATION)]
    unseen = np.flatnonzero(~trained)
    rows = unseen if len(unseen) else np.flatnonzero(np.isfinite(run.oof()).all(axis=1))
    if not len(rows):
        return Images(dataset, dataset.test_images[_spread(np.arange(len(dataset.test_images)), MOST)], None, True,
                      calibration)  # fmt: skip
    rows = _spread(rows, MOST)
    return Images(dataset, dataset.train_images[rows], dataset.train_labels[rows], bool(len(unseen)), calibration)


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly spread."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
