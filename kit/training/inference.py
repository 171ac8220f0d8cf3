"""From images to probabilities, in batches, plain or averaged over several views of each image."""

from dataclasses import dataclass

import keras
import numpy as np

from kit.metrics import softmax
from kit.training.augmentation import Augment, affine

BATCH_SIZE = 512
CHUNK = 16 * BATCH_SIZE
"""Images handed to Keras at once: only so many are ever copied, however many there are."""


@dataclass(frozen=True)
class View:
    """One way to look at an image: moved by `shift_x`, `shift_y` pixels, turned by `degrees`, mirrored or not.

    What comes in from outside the image is black, or with `fill_mode` "reflect" the image folded back.
    """

    name: str
    shift_x: float = 0.0
    shift_y: float = 0.0
    degrees: float = 0.0
    mirror: bool = False
    fill_mode: str = "constant"


PLAIN = View("plain")


def views(mirror_symmetric: bool, fill_mode: str) -> list[list[View]]:
    """The views of test-time augmentation, in groups whose members are alike and share a weight.

    Args:
        mirror_symmetric: the competition's: mirrored pictures are of the same class (not so for digits).
        fill_mode: the recipe's; edges that a network never met in training cost it more than the views gain.
    """
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    groups = [[PLAIN], [View(f"shift {x:+d},{y:+d}", x, y, fill_mode=fill_mode) for x, y in steps]]
    if mirror_symmetric:
        groups.append([View("mirror", mirror=True)])
        groups.append([View(f"mirror, shift {x:+d},{y:+d}", x, y, mirror=True, fill_mode=fill_mode) for x, y in steps])
    else:
        groups.append([View(f"turn {degrees:+d}°", degrees=degrees, fill_mode=fill_mode) for degrees in (-7, 7)])
    return groups


def predict(network: keras.Model, images: np.ndarray, seen_as: list[View] | None = None) -> np.ndarray:
    """Predict the classes of `images`, averaged over the views `seen_as` (default: the plain image).

    Args:
        network: pixels to logits, as the zoo builds them.
        images: (n, h, w, c) uint8; may be memory-mapped.
        seen_as: views, whose probabilities are averaged with equal weights.

    Returns:
        Probabilities, float32 (n, classes).
    """
    return predict_groups(network, images, [seen_as or [PLAIN]])[0]


def predict_groups(network: keras.Model, images: np.ndarray, groups: list[list[View]]) -> np.ndarray:
    """`predict` for each group of views apart: float32 (groups, n, classes)."""
    borders = {view.fill_mode for seen_as in groups for view in seen_as if view != PLAIN}
    bent = {fill_mode: _with_view(network, images.shape[1:], fill_mode) for fill_mode in borders}
    chances = np.zeros((len(groups), len(images), network.output_shape[-1]), np.float32)
    for group, seen_as in enumerate(groups):
        for view in seen_as:
            model = network if view == PLAIN else bent[view.fill_mode]
            chances[group] += softmax(_logits(model, images, view).astype(np.float64)) / len(seen_as)
    return chances


def _with_view(network, image_shape, fill_mode):
    inputs = {
        "images": keras.Input(image_shape, dtype="uint8", name="images"),
        "affine": keras.Input((6,), dtype="float32", name="affine"),
    }
    return keras.Model(inputs, network(Augment(fill_mode, name="view")(inputs)))


def _logits(model, images, view):
    if not len(images):
        return np.zeros((0, model.output_shape[-1]), np.float32)
    parts = []
    for start in range(0, len(images), CHUNK):
        inputs = np.asarray(images[start : start + CHUNK])
        if view != PLAIN:
            numbers = affine([view.shift_x], [view.shift_y], [view.degrees], [1.0], [0.0], [view.mirror])
            inputs = {"images": inputs, "affine": np.repeat(numbers, len(inputs), axis=0)}
        parts.append(model.predict(inputs, batch_size=BATCH_SIZE, verbose=0))
    return np.concatenate(parts)
