"""Where images come from: Kaggle's files, `keras.datasets`, the built-in sample. All give the same `Dataset`."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """A competition's images, wherever they came from.

    Attributes:
        competition: the competition's name.
        source: "kaggle", "keras" or "sample".
        origin: where the images were read from, in words or as a path.
        train_images: (n, h, w, c) uint8.
        train_labels: (n,) uint8.
        test_images: (m, h, w, c) uint8, in the order of the competition's sample submission.
        test_ids: (m,) int64, the submission's ids.
        test_labels: (m,) uint8 where the source has them (`keras.datasets`), else None. Never trained on.
        seen: the public data sets that a network trained on this one has seen, as `keras.datasets` names them.
    """

    competition: str
    source: str
    origin: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_ids: np.ndarray
    test_labels: np.ndarray | None = None
    seen: tuple[str, ...] = field(default=())
