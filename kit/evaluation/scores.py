"""Accuracy, log-loss, precision, recall, F1 and calibration of predicted probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kit import metrics

RANGES = 15  # of confidence, as in Guo et al. (2017)


@dataclass(frozen=True)
class Scores:
    """What `score` measures.

    Attributes:
        images: how many images were judged.
        accuracy: the share that is right, 0…1.
        accuracy_error: the accuracy's standard error, from the binomial distribution.
        log_loss: mean of -ln(probability of the truth); 0 is perfect.
        calibration_error: expected calibration error (ECE), 0…1, over `RANGES` ranges of confidence.
        confusion: (classes, classes) int64, rows the truth, columns the prediction.
        by_class: one row a class: precision, recall, f1 (0…1), images, and `mistaken_for`, the class it is most often
            taken for (an empty text where it never is).
    """

    images: int
    accuracy: float
    accuracy_error: float
    log_loss: float
    calibration_error: float
    confusion: np.ndarray
    by_class: pd.DataFrame

    @property
    def wrong(self) -> int:
        """How many images were judged wrong."""
        return int(self.confusion.sum() - np.trace(self.confusion))


def score(labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> Scores:
    """Judge predicted probabilities against the truth.

    Args:
        labels: (n,) integers, the truth.
        probabilities: (n, classes), rows that sum to 1.
        class_names: what each class is called, in the labels' order.

    Returns:
        The scores.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    known = list(range(len(class_names)))
    predicted = probabilities.argmax(1)
    confusion = confusion_matrix(labels, predicted, labels=known)
    precision, recall, f1, images = precision_recall_fscore_support(labels, predicted, labels=known, zero_division=0)
    mistakes = confusion - np.diag(np.diag(confusion))
    mistaken_for = [class_names[row.argmax()] if row.any() else "" for row in mistakes]
    by_class = pd.DataFrame(
        {"precision": precision, "recall": recall, "f1": f1, "images": images, "mistaken_for": mistaken_for},
        index=pd.Index(class_names, name="class"),
    )
    accuracy = metrics.accuracy(labels, probabilities)
    return Scores(
        images=len(labels),
        accuracy=accuracy,
        accuracy_error=metrics.standard_error(accuracy, len(labels)),
        log_loss=metrics.log_loss(labels, probabilities),
        calibration_error=metrics.calibration(labels, probabilities, RANGES).error,
        confusion=confusion,
        by_class=by_class,
    )
