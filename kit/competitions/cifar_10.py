"""CIFAR-10: small colour photographs of ten kinds of things, as PNG files in 7z archives.

Reference: https://www.kaggle.com/competitions/cifar-10
"""

from collections.abc import Callable

import numpy as np

Colour = tuple[int, int, int]  # red, green, blue

SIDE = 32
TRAIN, TEST = 2000, 500

# Background and foreground colours of each class's drawing, after what one sees in its photographs.
COLOURS: dict[str, tuple[Colour, Colour]] = {
    "airplane": ((120, 170, 230), (235, 235, 240)),
    "automobile": ((120, 120, 120), (200, 40, 40)),
    "bird": ((150, 200, 160), (90, 60, 150)),
    "cat": ((200, 180, 150), (70, 60, 60)),
    "deer": ((70, 120, 60), (150, 100, 50)),
    "dog": ((170, 190, 200), (140, 90, 40)),
    "frog": ((60, 80, 50), (110, 200, 70)),
    "horse": ((190, 200, 120), (90, 50, 30)),
    "ship": ((60, 110, 170), (230, 220, 200)),
    "truck": ((160, 150, 140), (230, 170, 40)),
}


def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw simple coloured shapes, one shape for each class, from a fixed seed.

    Position, size, tilt, brightness and colours vary from image to image; each is as likely as its mirror image.

    Returns:
        train_images (2000, 32, 32, 3) uint8, train_labels (2000,) int64, test_images (500, 32, 32, 3) uint8.
    """
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(TRAIN + TEST) % len(COLOURS)).astype(np.int64)
    images = np.empty((TRAIN + TEST, SIDE, SIDE, 3), np.uint8)
    for label, (name, colours) in enumerate(COLOURS.items()):
        of_class = np.flatnonzero(labels == label)
        images[of_class] = _draw(SHAPES[name], colours, len(of_class), rng)
    return images[:TRAIN], labels[:TRAIN], images[TRAIN:]


def _draw(
    shape: Callable[..., np.ndarray], colours: tuple[Colour, Colour], count: int, rng: np.random.Generator
) -> np.ndarray:
    """Return `count` images (count, 32, 32, 3) uint8 of one shape."""
    tilt = rng.uniform(-0.25, 0.25, (count, 1, 1))
    size = rng.uniform(8, 11.5, (count, 1, 1))
    middle = SIDE / 2 + rng.uniform(-3, 3, (2, count, 1, 1))
    mirror = rng.choice([-1, 1], (count, 1, 1))
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    x, y = (x - middle[0]) / size * mirror, (y - middle[1]) / size
    x, y = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    # Over about a pixel the edge fades from shape to background, as in a photograph.
    cover = np.clip(0.5 - shape(x, y) * size, 0, 1)[..., None]
    back, front = (np.array(colour) + rng.normal(0, 18, (count, 1, 1, 3)) for colour in colours)
    light = rng.uniform(0.75, 1.15, (count, 1, 1, 1))
    images = (back * (1 - cover) + front * cover) * light + rng.normal(0, 6, (count, SIDE, SIDE, 3))
    return np.clip(images, 0, 255).astype(np.uint8)


def _disc(x: np.ndarray, y: np.ndarray, cx: float = 0.0, cy: float = 0.0, radius: float = 1.0) -> np.ndarray:
    return np.hypot(x - cx, y - cy) - radius


def _box(
    x: np.ndarray, y: np.ndarray, cx: float = 0.0, cy: float = 0.0, width: float = 1.0, height: float = 1.0
) -> np.ndarray:
    return np.maximum(np.abs(x - cx) - width, np.abs(y - cy) - height)


# Signed distances in units of the shape's size: negative inside, y downwards.
SHAPES: dict[str, Callable[..., np.ndarray]] = {
    "airplane": lambda x, y: np.minimum(_box(x, y, 0, 0, 1.1, 0.18), _box(x, y, 0.1, 0, 0.22, 1.0)),
    "automobile": lambda x, y: np.minimum.reduce(
        [_box(x, y, 0, 0.1, 1.1, 0.25), _disc(x, y, -0.6, 0.5, 0.3), _disc(x, y, 0.6, 0.5, 0.3)]
    ),
    "bird": lambda x, y: np.abs(y + 0.5 - np.abs(x)) - 0.2 + np.maximum(np.abs(x) - 1.1, 0),
    "cat": lambda x, y: np.minimum.reduce(
        [_disc(x, y, 0, 0.2, 0.75), _box(x, y, -0.5, -0.6, 0.2, 0.4), _box(x, y, 0.5, -0.6, 0.2, 0.4)]
    ),
    "deer": lambda x, y: np.minimum.reduce(
        [_box(x, y, 0, 0.1, 0.2, 1.0), _box(x, y, -0.5, -0.7, 0.5, 0.12), _box(x, y, 0.5, -0.3, 0.5, 0.12)]
    ),
    "dog": lambda x, y: np.minimum.reduce(
        [_disc(x, y, 0, 0, 0.6), _disc(x, y, -0.75, 0.35, 0.35), _disc(x, y, 0.75, 0.35, 0.35)]
    ),
    "frog": lambda x, y: np.abs(_disc(x, y, 0, 0, 0.8)) - 0.22,
    "horse": lambda x, y: np.minimum.reduce(
        [_box(x, y, 0, -0.2, 1.0, 0.3), _box(x, y, -0.75, 0.5, 0.18, 0.6), _box(x, y, 0.75, 0.5, 0.18, 0.6)]
    ),
    "ship": lambda x, y: np.maximum(np.abs(x) - 1.1 + 0.8 * np.maximum(y, -1), np.abs(y - 0.3) - 0.5),
    "truck": lambda x, y: np.minimum(_box(x, y, -0.25, -0.1, 0.8, 0.7), _box(x, y, 0.8, 0.3, 0.25, 0.3)),
}


SAMPLE = sample
SAMPLE_DESCRIPTION = "synthetic images, simple coloured shapes drawn by the kit"
KERAS_DATASET = "cifar10"
# Kaggle's 50,000 training images are the training images of keras.datasets.cifar10, and its test images contain that
# data set's 10,000 test images. The kit never trains on a data set's test images, so a network trained on
# keras.datasets.cifar10 has seen what Kaggle itself gives to train on, and may be submitted. (Digits differ: the images
# of Kaggle's test set are scattered over MNIST's training images too.)
TEST_IMAGES_IN: tuple[str, ...] = ()
