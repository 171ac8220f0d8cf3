"""Digit Recognizer: handwritten digits, MNIST's own images in another order, as rows of a CSV file.

Reference: https://www.kaggle.com/competitions/digit-recognizer
"""

import numpy as np

SIDE, BOX = 28, 20  # MNIST's digits fill a box of 20 × 20, centred by their mass in 28 × 28
TRAIN_SHARE = 0.83


def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw scikit-learn's 1,797 handwritten digits of 8 × 8 pixels as MNIST would show them.

    Returns:
        train_images (1491, 28, 28, 1) uint8, train_labels (1491,) int64, test_images (306, 28, 28, 1) uint8; the
        same split every time.

    Reference: https://archive.ics.uci.edu/dataset/80 (Alpaydin and Kaynak 1998)
    """
    from sklearn.datasets import load_digits

    digits, labels = load_digits(return_X_y=True)
    images = np.stack([_as_mnist(digit.reshape(8, 8)) for digit in digits])[..., None]
    order = np.random.default_rng(0).permutation(len(images))
    train, test = np.split(order, [int(TRAIN_SHARE * len(images))])
    return images[train], labels[train].astype(np.int64), images[test]


def _as_mnist(digit: np.ndarray) -> np.ndarray:
    """Enlarge one 8 × 8 digit of values 0 to 16 smoothly, and centre it by its mass in 28 × 28."""
    from PIL import Image

    grey = Image.fromarray((digit * (255 / 16)).astype(np.uint8))
    box = np.asarray(grey.resize((BOX, BOX), Image.Resampling.BICUBIC), dtype=np.float32)
    # Enlarging blurs; MNIST's strokes are nearly black or white, so the contrast is stretched around their edge.
    box = np.clip((box - 48) * 1.6, 0, 255)
    corner = []
    for axis in (0, 1):
        mass = box.sum(axis=1 - axis)
        centre = (mass * np.arange(BOX)).sum() / mass.sum()
        corner.append(int(np.clip(round((SIDE - 1) / 2 - centre), 0, SIDE - BOX)))
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[corner[0] : corner[0] + BOX, corner[1] : corner[1] + BOX] = box
    return image


SAMPLE = sample
SAMPLE_DESCRIPTION = "scikit-learn's 1,797 small handwritten digits, enlarged to 28×28"
KERAS_DATASET = "mnist"
TEST_IMAGES_IN = ("mnist",)
