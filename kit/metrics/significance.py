"""Whether the difference between two predictions of the same images is more than luck."""

from dataclasses import dataclass

import numpy as np

from kit.metrics.competition_metrics import named
from kit.metrics.scores import accuracy

SIGNIFICANT = 0.05
"""The p-value below which a difference counts as more than luck."""


@dataclass(frozen=True)
class Comparison:
    """What changes from one prediction of the same images to another.

    Attributes:
        gained: images that only the second gets right.
        lost: images that only the first gets right.
        difference: the second's score less the first's, by the metric that was compared.
        p_value: how often two equally good predictors would differ at least so much (two-sided).
        test: the test that says so.
    """

    gained: int
    lost: int
    difference: float
    p_value: float
    test: str

    @property
    def significant(self) -> bool:
        """Whether the difference is more than luck, at the 5 % level."""
        return self.p_value < SIGNIFICANT


def compare(metric: str, labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare two predictions of the same images by a metric: accuracy by McNemar's test, others by a paired bootstrap.

    Args:
        metric: its name, one of `METRICS`.
        labels: (n,) integers, the truth.
        first, second: (n, classes) probabilities.
    """
    of_accuracy = mcnemar(labels, first, second)
    if metric == "accuracy":
        return of_accuracy
    chosen = named(metric)
    before, after = chosen.resampled(labels, [first, second]).T
    # Of equal predictors, half of the samples would lie on either side; the sample that was measured counts as one.
    side = min((after <= before).sum(), (after >= before).sum())
    p_value = min(1.0, 2 * float(1 + side) / (1 + len(before)))
    difference = chosen.score(labels, second) - chosen.score(labels, first)
    return Comparison(of_accuracy.gained, of_accuracy.lost, difference, p_value, "paired bootstrap")


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare the accuracy of two predictions of the same images by McNemar's exact test.

    Args:
        labels: (n,) integers, the truth.
        first, second: (n, classes) probabilities.

    Reference:
        McNemar, "Note on the sampling error of the difference between correlated proportions" (1947).
    """
    from scipy.stats import binomtest

    before, after = first.argmax(axis=1) == labels, second.argmax(axis=1) == labels
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    difference = accuracy(labels, second) - accuracy(labels, first)
    return Comparison(gained, lost, difference, p_value, "McNemar's test")


def difference_error(gained: int, lost: int, images: int) -> float:
    """Return the standard error of the difference between two accuracies on the same images.

    Args:
        gained, lost: images that only the second, only the first prediction gets right.
        images: how many were predicted.
    """
    return float(np.sqrt(gained + lost - (gained - lost) ** 2 / images) / images)


def disagreement(predicted: np.ndarray) -> np.ndarray:
    """Return for each pair of predictors the share of images that they put into different classes.

    Args:
        predicted: (predictors, n) integers, each predictor's labels.

    Returns:
        float64 (predictors, predictors), symmetric, 0 on the diagonal.
    """
    agreed = np.zeros((len(predicted), len(predicted)))
    for label in np.unique(predicted):
        of_label = (predicted == label).astype(np.float32)
        agreed += of_label @ of_label.T
    return 1 - agreed / predicted.shape[1]
