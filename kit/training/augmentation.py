"""Augmentation in two halves: the host draws a few numbers an image, the accelerator warps the pixels.

`draw` makes an epoch's random numbers with NumPy, so that they depend on the seed and the epoch alone: the same on
every Keras backend and for any number of devices, and a resumed training draws what it would have drawn. `Augment` is
a layer inside the compiled step: uint8 images in, float32 images out. One bilinear interpolation does all of shift,
rotation, zoom, shear, flip and elastic distortion.
"""

import math

import keras
import numpy as np
from keras import ops

from kit.recipes.recipe import Recipe

ELASTIC_GRID = 5
"""Side of the grid of random displacements that the elastic distortion interpolates between."""


def draw(
    recipe: Recipe, count: int, image_shape: tuple[int, int, int], epoch: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw the numbers that augment `count` images in epoch `epoch` (counted from 0).

    Returns:
        The arrays that `Augment` reads, only those that the recipe needs; empty means no augmentation:
        affine (count, 6) float32: from a pixel of the new image to its position in the old one,
            x' = a·x + b·y + c, y' = d·x + e·y + f, in pixels from the image's centre;
        elastic (count, 5, 5, 2) float32: displacements in pixels (x, y) on a coarse grid;
        cutout (count, 4) float32: the erased box, x0, y0, x1, y1.
    """
    height, width, _ = image_shape
    numbers: dict[str, np.ndarray] = {}
    if recipe.shift or recipe.rotate or recipe.zoom or recipe.shear or recipe.flip != "none":
        numbers["affine"] = _affine(recipe, count, epoch, rng)
    if recipe.elastic:
        numbers["elastic"] = rng.normal(0, recipe.elastic, (count, ELASTIC_GRID, ELASTIC_GRID, 2)).astype(np.float32)
    if recipe.cutout:
        numbers["cutout"] = _boxes(recipe.cutout, count, height, width, rng)
    return numbers


@keras.saving.register_keras_serializable(package="kit")
class Augment(keras.layers.Layer):
    """Apply what `draw` has drawn: `{"images": uint8 (n, h, w, c), …} -> float32 (n, h, w, c)`, pixels in 0–255.

    Args:
        fill_mode: what lies outside the image: "constant" (black) or "reflect".
    """

    def __init__(self, fill_mode: str = "constant", **options):
        super().__init__(dtype="float32", autocast=False, **options)
        self.fill_mode = fill_mode

    def call(self, inputs):
        """Warp, then erase; each only if its numbers are there."""
        images = ops.cast(inputs["images"], "float32")
        if "affine" in inputs or "elastic" in inputs:
            images = _resample(images, inputs.get("affine"), inputs.get("elastic"), self.fill_mode)
        if "cutout" in inputs:
            images = _erased(images, inputs["cutout"])
        return images

    def compute_output_shape(self, input_shape):
        """The images' shape."""
        return input_shape["images"]

    def compute_output_spec(self, inputs):
        """float32 images of the same shape."""
        return keras.KerasTensor(inputs["images"].shape, dtype="float32")

    def get_config(self) -> dict:
        """The arguments, as Keras asks for them."""
        return {**super().get_config(), "fill_mode": self.fill_mode}


def affine(
    shift_x: np.ndarray,
    shift_y: np.ndarray,
    degrees: np.ndarray,
    zoom: np.ndarray,
    shear: np.ndarray,
    mirror: np.ndarray,
) -> np.ndarray:
    """Return affine transformations as the numbers that `Augment` reads, (n, 6) float32; all arguments are (n,).

    Args:
        shift_x, shift_y: pixels by which the image moves right and down.
        degrees: clockwise rotation.
        zoom: factor of its size.
        shear: degrees by which upright lines lean to the left.
        mirror: whether it is flipped left to right.
    """
    shift_x, shift_y, zoom = np.asarray(shift_x), np.asarray(shift_y), np.asarray(zoom)
    angle, lean = np.deg2rad(degrees), np.tan(np.deg2rad(shear))
    sign = np.where(mirror, -1.0, 1.0)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    a, b, d, e = sign * (cos + lean * sin), sign * (sin - lean * cos), -sin, cos
    return np.stack([a, b, -a * shift_x - b * shift_y, d, e, -d * shift_x - e * shift_y], axis=1).astype(np.float32)


def _affine(recipe: Recipe, count: int, epoch: int, rng: np.random.Generator) -> np.ndarray:
    def uniform(most):
        return rng.uniform(-most, most, count)

    mirror = np.zeros(count, bool)
    if recipe.flip == "random":
        mirror = rng.random(count) < 0.5
    elif recipe.flip == "alternating":  # each image is flipped in every second epoch, half of them in the first
        mirror = (np.arange(count) + epoch) % 2 == 1
    shift_x, shift_y = uniform(recipe.shift), uniform(recipe.shift)
    if recipe.shift % 1 == 0 and not (recipe.rotate or recipe.zoom or recipe.shear or recipe.elastic):
        # By whole pixels, all equally likely: parts of a pixel would blur the image, which nothing else here does, and
        # the network would learn from blurred images and predict sharp ones.
        shift_x, shift_y = rng.integers(-int(recipe.shift), int(recipe.shift), (2, count), endpoint=True)
    return affine(
        shift_x, shift_y, uniform(recipe.rotate), np.exp(uniform(math.log1p(recipe.zoom))), uniform(recipe.shear),
        mirror,
    )  # fmt: skip


def _boxes(side: int, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Boxes of side `side` around a random pixel, cut off at the image's edges: (count, 4) float32, whole numbers."""
    x, y = rng.integers(0, width, count), rng.integers(0, height, count)
    x0, y0 = x - side // 2, y - side // 2
    box = np.stack([x0, y0, x0 + side, y0 + side], axis=1)
    return np.clip(box, 0, [width, height, width, height]).astype(np.float32)


def _erased(images, box):
    """`images` with their own mean colour inside `box`.

    DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552, write zeros into normalised images, which is the mean.
    Black squares would give batch norms statistics that images without them do not have.
    """
    inside = _inside(box, images.shape)
    return images + inside * (ops.mean(images, axis=(1, 2), keepdims=True) - images)


def _inside(box, shape):
    """1.0 in the pixels inside `box` (n, 4), else 0.0: (n, h, w, 1)."""
    x = ops.reshape(ops.arange(shape[2], dtype="float32"), (1, 1, -1))
    y = ops.reshape(ops.arange(shape[1], dtype="float32"), (1, -1, 1))
    x0, y0, x1, y1 = (ops.reshape(box[:, side], (-1, 1, 1)) for side in range(4))
    inside = ops.logical_and(ops.logical_and(x >= x0, x < x1), ops.logical_and(y >= y0, y < y1))
    return ops.expand_dims(ops.cast(inside, "float32"), -1)


def _resample(images, affine_numbers, elastic, fill_mode):
    """Read every pixel of the new images from its position in the old ones, by one bilinear interpolation."""
    _, height, width, channels = images.shape
    x = ops.reshape(ops.arange(width, dtype="float32") - (width - 1) / 2, (1, 1, -1))
    y = ops.reshape(ops.arange(height, dtype="float32") - (height - 1) / 2, (1, -1, 1))
    if affine_numbers is None:
        from_x, from_y = x + 0 * y, y + 0 * x
    else:
        a, b, c, d, e, f = (ops.reshape(affine_numbers[:, term], (-1, 1, 1)) for term in range(6))
        from_x, from_y = a * x + b * y + c, d * x + e * y + f
    if elastic is not None:
        rows, columns = _spline(height), _spline(width)
        displacement = ops.einsum("hg,ngkd,wk->nhwd", rows, elastic, columns)
        from_x, from_y = from_x + displacement[..., 0], from_y + displacement[..., 1]
    from_x, from_y = from_x + (width - 1) / 2, from_y + (height - 1) / 2
    if fill_mode == "reflect":
        from_x, from_y = _reflected(from_x, width), _reflected(from_y, height)
    # One pixel of zeros around the image, and positions clipped to it, let the image fade out at its edges.
    padded = ops.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    from_x, from_y = ops.clip(from_x, -1, width) + 1, ops.clip(from_y, -1, height) + 1
    left, top = ops.minimum(ops.floor(from_x), width), ops.minimum(ops.floor(from_y), height)
    right_share, low_share = ops.expand_dims(from_x - left, -1), ops.expand_dims(from_y - top, -1)
    row = width + 2
    # One flat gather: on CPU three times as fast as take_along_axis per image.
    pixels = ops.reshape(padded, (-1, channels))
    image = ops.reshape(ops.arange(ops.shape(images)[0], dtype="int32") * (row * (height + 2)), (-1, 1, 1))
    first = ops.cast(top * row + left, "int32") + image
    upper = _between(ops.take(pixels, first, axis=0), ops.take(pixels, first + 1, axis=0), right_share)
    lower = _between(ops.take(pixels, first + row, axis=0), ops.take(pixels, first + row + 1, axis=0), right_share)
    return _between(upper, lower, low_share)


def _between(first, second, share):
    return first + (second - first) * share


def _reflected(position, size):
    """Reflect positions outside 0 … size - 1 at the centres of the edge pixels."""
    period = 2 * (size - 1)
    folded = ops.mod(ops.abs(position), period)
    return ops.minimum(folded, period - folded)


def _spline(size: int) -> np.ndarray:
    """Weights (size, ELASTIC_GRID) float32 of a smooth interpolation from the coarse grid to the pixels."""
    distance = np.linspace(0, ELASTIC_GRID - 1, size)[:, None] - np.arange(ELASTIC_GRID)[None]
    weights = np.exp(-(distance**2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
