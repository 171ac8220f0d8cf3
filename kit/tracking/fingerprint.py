"""What tells one set of training data from another."""

import hashlib

import numpy as np


def fingerprint(images: np.ndarray, labels: np.ndarray) -> str:
    """Return the SHA-256 of shapes, bytes and order of training data, as hex.

    Args:
        images: (n, h, w, c) uint8.
        labels: (n,) integers.
    """
    digest = hashlib.sha256()
    for array in (np.ascontiguousarray(images, np.uint8), np.ascontiguousarray(labels, np.int64)):
        digest.update(str(array.shape).encode())
        digest.update(array.data)
    return digest.hexdigest()
