"""Test-time augmentation inside a network: augmented copies by Keras's own operations on constants.

`kit.training.augmentation.Augment` warps each image by numbers of its own, which are inputs. Here they are known, so
that each pixel of a copy is a fixed mixture of at most four pixels of the image. That takes no layer of the kit's, and
every format knows the two operations that it is made of.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from kit.training.inference import IDENTITY, Transform, numbers


def view(images: Any, transform: Transform) -> Any:
    """Return the augmented copy of `images`, a Keras tensor (n, h, w, c) of pixels in 0–255."""
    if transform == IDENTITY:
        return images
    height, width, channels = images.shape[1:]
    pixels = ops.reshape(images, (-1, height * width, channels))
    parts = [ops.take(pixels, rows, axis=1) * shares for rows, shares in _mixture(transform, height, width)]
    mixed = parts[0]
    for part in parts[1:]:
        mixed = mixed + part
    return ops.reshape(mixed, (-1, height, width, channels))


def _mixture(transform: Transform, height: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pixels of the image, (h·w,) int32, and their shares in the pixels of the copy, (h·w, 1) float32."""
    a, b, c, d, e, f = numbers(transform)[0].astype(np.float64)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    from_x, from_y = a * x + b * y + c + (width - 1) / 2, d * x + e * y + f + (height - 1) / 2
    if transform.fill_mode == "reflect":
        from_x, from_y = _reflected(from_x, width), _reflected(from_y, height)
    # Rounded, so that whole pixels stay whole.
    from_x, from_y = np.round(from_x, 5), np.round(from_y, 5)
    left, top = np.floor(from_x), np.floor(from_y)
    for low in (0, 1):
        for right in (0, 1):
            column, row = left + right, top + low
            share = np.where(right, from_x - left, 1 - from_x + left) * np.where(low, from_y - top, 1 - from_y + top)
            share = np.where((column >= 0) & (column < width) & (row >= 0) & (row < height), share, 0)
            if share.any():
                place = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
                yield place.ravel().astype(np.int32), share.reshape(-1, 1).astype(np.float32)


def _reflected(position: np.ndarray, size: int) -> np.ndarray:
    period = 2 * (size - 1)
    folded = np.mod(np.abs(position), period)
    return np.minimum(folded, period - folded)
