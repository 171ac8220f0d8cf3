"""Accuracy, log-loss, precision, recall, F1 and calibration of predicted probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kit import metrics
from kit.errors import UserError

BINS = 15  # of confidence, as in Guo et al. (2017)


@dataclass(frozen=True)
class Scores:
    """How good predicted probabilities are.

    Attributes:
        images: how many images were predicted.
        accuracy: the share of correct predictions, 0…1.
        standard_error: of the accuracy, from the binomial distribution.
        log_loss: the mean of -ln(probability of the true class); 0 is perfect.
        calibration_error: expected calibration error (ECE), 0…1, over `BINS` bins of confidence.
        confusion: (classes, classes) int64; rows are true classes, columns predicted ones.
        by_class: one row for each class: precision, recall, f1 (0…1), images, and `mistaken_for`, the class that it is
            most often mistaken for (an empty text where there is none).
    """

    images: int
    accuracy: float
    standard_error: float
    log_loss: float
    calibration_error: float
    confusion: np.ndarray
    by_class: pd.DataFrame

    @property
    def wrong(self) -> int:
        """How many predictions are wrong."""
        return int(self.confusion.sum() - np.trace(self.confusion))


def score(labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> Scores:
    """Score predicted probabilities.

    Args:
        labels: (n,) integers, the true classes.
        probabilities: float (n, classes); every row sums to 1.
        class_names: the name of each class, in the labels' order.

    Raises:
        UserError: there is nothing to score, a label is no class, or a row holds no probabilities; names the row.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels, probabilities = _checked(np.asarray(labels), np.asarray(probabilities), len(class_names))
    classes = list(range(len(class_names)))
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, labels=classes)
    precision, recall, f1, images = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
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
        standard_error=metrics.standard_error(accuracy, len(labels)),
        log_loss=metrics.log_loss(labels, probabilities),
        calibration_error=metrics.calibration(labels, probabilities, BINS).error,
        confusion=confusion,
        by_class=by_class,
    )


def _checked(labels: np.ndarray, probabilities: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise UserError(f"labels of shape {labels.shape} and type {labels.dtype}: give one integer for each image.")
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(outside.argmax())
        raise UserError(f"label {labels[row]} in row {row} is not one of the {classes} classes, 0 to {classes - 1}.")
    known = metrics.predicted_rows(probabilities, (len(labels), classes), "the array of probabilities")
    if not known.all():
        raise UserError(f"row {int((~known).argmax())} of the probabilities holds no prediction; leave such rows out.")
    return labels, probabilities
