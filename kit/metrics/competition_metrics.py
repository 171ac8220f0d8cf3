"""By what competitions score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.errors import UserError
from kit.metrics import bootstrap
from kit.metrics.scores import (
    accuracy,
    f1_of,
    kappa_of,
    log_loss,
    macro_f1,
    quadratic_weighted_kappa,
    standard_error,
    true_class,
)
from kit.suggestions import nearest

ERRORS, FEWEST = 3, 100
"""By how many standard errors, and on how many images at least, a score must be better than a constant prediction's."""


@dataclass(frozen=True)
class Metric:
    """By what a competition scores.

    Attributes:
        name: as in `competition.yaml`, and in text.
        score: from labels (n,) and probabilities (n, classes) to a number.
        error: from the same to the number's standard error: from the binomial distribution for accuracy, from the
            images' own losses for log-loss, by bootstrap for the others.
        resampled: from labels and several predictions to their scores on the same bootstrap samples of the images.
        lowest, highest: the bounds of the number.
        higher_is_better: whether a higher number is better.
    """

    name: str
    score: Callable[[np.ndarray, np.ndarray], float]
    error: Callable[[np.ndarray, np.ndarray], float]
    resampled: bootstrap.Resample
    lowest: float = 0.0
    highest: float = 1.0
    higher_is_better: bool = True

    def gain(self, score: float) -> float:
        """Return a number that is higher the better `score` is."""
        return score if self.higher_is_better else -score

    @property
    def too_good(self) -> str:
        """Which way the number errs where it is too good: "high", or "low"."""
        return "high" if self.higher_is_better else "low"

    def shown(self, score: float, error: float | None = None) -> str:
        """Return a score with its standard error as text: 97.25% ± 0.40 of accuracy, 0.3121 ± 0.0100 of the others."""
        if self.name == "accuracy":
            return f"{score:.2%}" + ("" if error is None else f" ± {100 * error:.2f}")
        return f"{score:.4f}" + ("" if error is None else f" ± {error:.4f}")

    def shown_difference(self, difference: float) -> str:
        """Return the difference of two scores as text: +0.25 points of accuracy, -0.0210 of the others."""
        return f"{100 * difference:+.2f} points" if self.name == "accuracy" else f"{difference:+.4f}"


def _accuracy_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return standard_error(accuracy(labels, probabilities), len(labels))


def _log_loss_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    losses = -np.log(true_class(labels, probabilities).astype(np.float64))
    return float(losses.std() / np.sqrt(len(losses)))


def _bootstrapped(resampled: bootstrap.Resample) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda labels, probabilities: float(resampled(labels, [probabilities]).std())


def _share_right(labels: np.ndarray, predicted: np.ndarray, counts: np.ndarray) -> float:
    return float(counts[labels == predicted].sum() / counts.sum())


_KAPPA, _F1 = bootstrap.of_classes(kappa_of), bootstrap.of_classes(f1_of)
METRICS = {
    one.name: one
    for one in (
        Metric("accuracy", accuracy, _accuracy_error, bootstrap.of_classes(_share_right)),
        Metric("log-loss", log_loss, _log_loss_error, bootstrap.of_losses, highest=np.inf, higher_is_better=False),
        Metric("quadratic-weighted-kappa", quadratic_weighted_kappa, _bootstrapped(_KAPPA), _KAPPA, lowest=-1.0),
        Metric("macro-f1", macro_f1, _bootstrapped(_F1), _F1),
    )
}
"""What competitions score by, by name."""


def named(name: str) -> Metric:
    """Return the metric called `name`.

    Raises:
        UserError: there is none; names the nearest.
    """
    if name not in METRICS:
        raise UserError(
            f"metric: {str(name)[:60]!r} is not one of {', '.join(METRICS)}.{nearest(str(name)[:99], METRICS)}"
        )
    return METRICS[name]


def competition_score(
    name: str, labels: np.ndarray, probabilities: np.ndarray, folds: Sequence[np.ndarray] = ()
) -> dict[str, Any]:
    """Return what a run's metrics say of the competition's metric; nothing where that is accuracy, which they all have.

    Args:
        name: the metric's.
        labels: (n,) integers.
        probabilities: (n, classes).
        folds: the rows of each fold, where there are folds.
    """
    if name == "accuracy":
        return {}
    metric = named(name)
    score, error = metric.score(labels, probabilities), metric.error(labels, probabilities)
    found = {"metric": name, "validation_score": score, "validation_score_error": error}
    if len(folds):
        found["fold_scores"] = [metric.score(labels[rows], probabilities[rows]) for rows in folds]
    return found


def against_baseline(name: str, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return what a run's metrics say of the score beside that of the best constant prediction.

    That predicts every class with its share of the labels: the accuracy of always guessing the most frequent class, the
    log-loss of knowing the shares alone, a kappa of 0.

    Args:
        name: the metric's.
        labels: (n,) integers.
        probabilities: (n, classes).

    Returns:
        baseline_score, and beats_baseline: whether the score is better by more than ERRORS standard errors; None below
        FEWEST images, where luck decides.
    """
    metric, classes = named(name), probabilities.shape[1]
    shares = np.bincount(labels, minlength=classes) / len(labels)
    constant = np.tile(shares.astype(np.float32), (len(labels), 1))
    baseline = metric.score(labels, constant)
    if len(labels) < FEWEST:
        return {"baseline_score": baseline, "beats_baseline": None}
    error = max(metric.error(labels, constant), metric.error(labels, probabilities))
    ahead = metric.gain(metric.score(labels, probabilities)) - metric.gain(baseline)
    return {"baseline_score": baseline, "beats_baseline": bool(ahead > ERRORS * error)}
