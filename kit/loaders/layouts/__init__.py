"""One reader for each layout of a competition's files; all return the same four arrays.

read(competition, files) -> train_images (n, h, w, c) uint8, train_labels (n,) int64,
                            test_images (m, h, w, c) uint8, test_ids (m,) int64 or texts
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def reader(layout: str) -> Callable[[Any, Any], Arrays]:
    """Return the reader of a layout, by its name in `competition.yaml`."""
    module = importlib.import_module(f"{__name__}.{layout.replace('-', '_')}")
    read: Callable[[Any, Any], Arrays] = module.read
    return read
