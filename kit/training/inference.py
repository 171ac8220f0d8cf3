"""From images to probabilities, in batches, plain or averaged over augmented copies (test-time augmentation, TTA)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kit.errors import Failure
from kit.metrics import softmax
from kit.training.augmentation import Augment, affine

BATCH_SIZE = 512
CHUNK = 16 * BATCH_SIZE
"""Images handed to Keras at once: only so many are ever copied, however many there are."""


@dataclass(frozen=True)
class Transform:
    """One augmented copy of an image: moved by `shift_x`, `shift_y` pixels, rotated by `degrees`, mirrored or not.

    What comes in from outside the image is black, or with `fill_mode` "reflect" the image folded back.
    """

    name: str
    shift_x: float = 0.0
    shift_y: float = 0.0
    degrees: float = 0.0
    mirror: bool = False
    fill_mode: str = "constant"


IDENTITY = Transform("plain")


def tta_groups(mirror_symmetric: bool, fill_mode: str) -> list[list[Transform]]:
    """Return the transforms of test-time augmentation, in groups whose members are alike and share a weight.

    Args:
        mirror_symmetric: the competition's: a mirrored image is still of its class (not so for digits).
        fill_mode: the recipe's; edges that a network never met in training cost it more than the copies gain.
    """
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    groups = [[IDENTITY], [Transform(f"shift {x:+d},{y:+d}", x, y, fill_mode=fill_mode) for x, y in steps]]
    if mirror_symmetric:
        mirrored = [Transform(f"mirror, shift {x:+d},{y:+d}", x, y, mirror=True, fill_mode=fill_mode) for x, y in steps]
        groups += [[Transform("mirror", mirror=True)], mirrored]
    else:
        groups.append([Transform(f"rotate {degrees:+d}°", degrees=degrees, fill_mode=fill_mode) for degrees in (-7, 7)])
    return groups


def predict(network: keras.Model, images: np.ndarray, transforms: Sequence[Transform] = (IDENTITY,)) -> np.ndarray:
    """Predict the classes of `images`, averaged over augmented copies (default: the plain image).

    Args:
        network: pixels to logits, as the zoo builds them.
        images: (n, h, w, c) uint8; may be memory-mapped.
        transforms: the copies, whose probabilities are averaged with equal weights.

    Returns:
        Probabilities, float32 (n, classes).

    Raises:
        Failure: the network's answer is not finite.
    """
    return predict_groups(network, images, [transforms])[0]


def predict_groups(network: keras.Model, images: np.ndarray, groups: Sequence[Sequence[Transform]]) -> np.ndarray:
    """`predict` for each group of transforms apart: float32 (groups, n, classes)."""
    fill_modes = {transform.fill_mode for group in groups for transform in group if transform != IDENTITY}
    transformed = {mode: _with_transform(network, images.shape[1:], mode) for mode in fill_modes}
    averaged = np.zeros((len(groups), len(images), network.output_shape[-1]), np.float32)
    for number, group in enumerate(groups):
        for transform in group:
            model = network if transform == IDENTITY else transformed[transform.fill_mode]
            averaged[number] += probabilities(network, _logits(model, images, transform)) / len(group)
    return averaged


def probabilities(network: keras.Model, logits: np.ndarray) -> np.ndarray:
    """Return the softmax of a network's logits, float64 (n, classes).

    Raises:
        Failure: they are not finite.
    """
    if not np.isfinite(logits).all():
        raise Failure(
            f"{network.name} predicts numbers that are not finite: the training diverged; "
            "take a smaller --learning-rate."
        )
    return softmax(logits.astype(np.float64))


def _with_transform(network, image_shape, fill_mode):
    inputs = {
        "images": keras.Input(image_shape, dtype="uint8", name="images"),
        "affine": keras.Input((6,), dtype="float32", name="affine"),
    }
    return keras.Model(inputs, network(Augment(fill_mode, name="transform")(inputs)))


def _logits(model, images, transform):
    if not len(images):
        return np.zeros((0, model.output_shape[-1]), np.float32)
    parts = []
    for start in range(0, len(images), CHUNK):
        chunk = np.asarray(images[start : start + CHUNK])
        inputs: Any = chunk
        if transform != IDENTITY:
            inputs = {"images": chunk, "affine": np.repeat(numbers(transform), len(chunk), axis=0)}
        parts.append(model.predict(inputs, batch_size=BATCH_SIZE, verbose=0))
    return np.concatenate(parts)


def numbers(transform: Transform) -> np.ndarray:
    """The numbers (1, 6) float32 by which `Augment` makes the transform."""
    shift_x, shift_y, degrees, mirror = (
        np.array([value]) for value in (transform.shift_x, transform.shift_y, transform.degrees, transform.mirror)
    )
    return affine(shift_x, shift_y, degrees, np.ones(1), np.zeros(1), mirror)
