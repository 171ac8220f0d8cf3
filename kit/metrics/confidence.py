"""Whether predictions are as often right as they are confident."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """How confident predictions are beside how often they are right, in equally wide ranges of confidence.

    Attributes:
        count: (bins,) integers, images in each range.
        confidence, accuracy: (bins,) float64, the mean in each range; NaN where it has no image.
        error: the expected calibration error (ECE), 0…1: the mean of |accuracy - confidence|, weighted by the counts.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> Calibration:
    """Compare the confidence of predictions with their accuracy.

    Args:
        labels: (n,) integers, the truth.
        probabilities: (n, classes).
        bins: how many equally wide ranges of the predicted class's probability; 15 as in the reference.

    Reference: Guo et al., "On Calibration of Modern Neural Networks" (2017), https://arxiv.org/abs/1706.04599.
    """
    confidence = np.asarray(probabilities, float).max(axis=1)
    right = np.asarray(probabilities).argmax(axis=1) == np.asarray(labels)
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bin_of, confidence, bins) / count
        mean_accuracy = np.bincount(bin_of, right, bins) / count
    filled = count > 0
    error = np.sum(count[filled] * np.abs(mean_accuracy - mean_confidence)[filled]) / len(confidence)
    return Calibration(count, mean_confidence, mean_accuracy, float(error))
