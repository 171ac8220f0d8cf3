"""How good predictions are: accuracy, log-loss, kappa, F1, calibration; and whether a difference is more than luck.

The one home of these numbers: every command that reports one calls the function here. As in scikit-learn, the truth
comes first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.errors import UserError
from kit.suggestions import nearest

FLOOR = np.float32(1e-7)
"""The smallest probability that a log-loss counts: float32 cannot tell 1 - p from 1 below it."""
ROUNDING = 0.02
"""How far a row of 16-bit probabilities may be from a sum of 1."""
ERRORS, FEWEST = 3, 100
"""By how many standard errors, and on how many images at least, a score must be better than a constant prediction's."""
SIGNIFICANT = 0.05
"""The p-value below which a difference counts as more than luck."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities for logits, over the last axis, in the logits' dtype."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=-1, keepdims=True)


def true_class(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of each image's true class, clipped to [FLOOR, 1].

    Args:
        labels: (n,) integers.
        probabilities: (…, n, classes).

    Returns:
        (…, n).
    """
    return np.clip(probabilities[..., np.arange(len(labels)), labels], FLOOR, 1)


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the share of images, 0…1, whose likeliest class is true; labels (n,), probabilities (n, classes)."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def standard_error(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy (0…1) measured on `images` images, from the binomial distribution."""
    return float(np.sqrt(accuracy * (1 - accuracy) / images))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean of -ln(probability of the true class), in nats; labels (n,), probabilities (n, classes)."""
    return float(-np.log(true_class(labels, probabilities)).mean(dtype=np.float64))


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return (classes, classes) int64: rows are true classes, columns the likeliest ones."""
    classes = probabilities.shape[1]
    cells = np.asarray(labels, np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def quadratic_weighted_kappa(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return Cohen's kappa with quadratic weights, -1…1: how far apart true and predicted classes, in order, are.

    Args:
        labels: (n,) integers; class 2 lies between 1 and 3.
        probabilities: (n, classes); the likeliest class is taken.

    Reference: Cohen, "Weighted kappa" (1968).
    """
    return _kappa(confusion(labels, probabilities))


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean over the classes of F1, 0…1, of the likeliest classes; labels (n,), probabilities (n, classes).

    As in scikit-learn, a class that is neither there nor predicted is left out.
    """
    return _macro_f1(confusion(labels, probabilities))


def _kappa(counts: np.ndarray) -> float:
    classes = np.arange(len(counts))
    weights = (classes[:, None] - classes) ** 2.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    worst = float((weights * expected).sum())
    return 1.0 if worst == 0 else 1 - float((weights * counts).sum()) / worst


def _macro_f1(counts: np.ndarray) -> float:
    sums = counts.sum(axis=0) + counts.sum(axis=1)
    there = sums > 0
    return float((2 * np.diag(counts)[there] / sums[there]).mean())


BOOTSTRAPS = 400  # samples; the standard error of a standard error is then 4 %


def _bootstrapped(of_counts: Callable[[np.ndarray], float]) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return what estimates the standard error of a number that the confusion matrix decides."""

    def error(labels: np.ndarray, probabilities: np.ndarray) -> float:
        counts = confusion(labels, probabilities)
        images = counts.sum()
        # To draw images with replacement is to draw cells of the matrix.
        samples = np.random.default_rng(0).multinomial(images, counts.ravel() / images, BOOTSTRAPS)
        return float(np.std([of_counts(sample.reshape(counts.shape)) for sample in samples]))

    return error


def _log_loss_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    losses = -np.log(true_class(labels, probabilities).astype(np.float64))
    return float(losses.std() / np.sqrt(len(losses)))


@dataclass(frozen=True)
class Metric:
    """By what a competition scores.

    Attributes:
        name: as in `competition.yaml`, and in text.
        score: from labels (n,) and probabilities (n, classes) to a number.
        error: from the same to the number's standard error: from the binomial distribution for accuracy, from the
            images' own losses for log-loss, by bootstrap for the others.
        higher_is_better: whether a higher number is better.
    """

    name: str
    score: Callable[[np.ndarray, np.ndarray], float]
    error: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool = True

    def gain(self, score: float) -> float:
        """Return a number that is higher the better `score` is."""
        return score if self.higher_is_better else -score

    def shown(self, score: float, error: float | None = None) -> str:
        """Return a score with its standard error as text: 97.25% ± 0.40 of accuracy, 0.3121 ± 0.0100 of the others."""
        if self.name == "accuracy":
            return f"{score:.2%}" + ("" if error is None else f" ± {100 * error:.2f}")
        return f"{score:.4f}" + ("" if error is None else f" ± {error:.4f}")


METRICS = {
    one.name: one
    for one in (
        Metric("accuracy", accuracy, lambda true, found: standard_error(accuracy(true, found), len(true))),
        Metric("log-loss", log_loss, _log_loss_error, higher_is_better=False),
        Metric("quadratic-weighted-kappa", quadratic_weighted_kappa, _bootstrapped(_kappa)),
        Metric("macro-f1", macro_f1, _bootstrapped(_macro_f1)),
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


def competition_score(name: str, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return what a run's metrics say of the competition's metric; nothing where that is accuracy, which they all have.

    Args:
        name: the metric's.
        labels: (n,) integers.
        probabilities: (n, classes).
    """
    if name == "accuracy":
        return {}
    metric = named(name)
    score, error = metric.score(labels, probabilities), metric.error(labels, probabilities)
    return {"metric": name, "validation_score": score, "validation_score_error": error}


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


@dataclass(frozen=True)
class Comparison:
    """What changes from one prediction of the same images to another.

    Attributes:
        gained: images that only the second gets right.
        lost: images that only the first gets right.
        p_value: how often two equally good predictors would differ at least so much (McNemar's exact test, two-sided).
    """

    gained: int
    lost: int
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the difference is more than luck, at the 5 % level."""
        return self.p_value < SIGNIFICANT


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare two predictions of the same images by McNemar's exact test.

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
    return Comparison(gained, lost, p_value)


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


def predicted_rows(probabilities: np.ndarray, shape: tuple[int, int], where: str) -> np.ndarray:
    """Check probabilities, and return which rows hold a prediction.

    Args:
        probabilities: float (n, classes); a row of NaN means that nothing was predicted for it.
        shape: the (n, classes) that they must have.
        where: what errors call them, such as the file's path.

    Returns:
        (n,) bool.

    Raises:
        UserError: another shape, a row that is partly NaN, negative numbers, or rows that do not sum to 1 (logits).
    """
    if probabilities.shape != shape or probabilities.dtype.kind != "f":
        raise UserError(
            f"{where} holds {probabilities.dtype} of shape {probabilities.shape}, but the data have {shape[0]:,} "
            f"images of {shape[1]} classes; train the run again."
        )
    absent = np.isnan(probabilities)
    known = ~absent.any(axis=1)
    broken = ~known & ~absent.all(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = probabilities.sum(axis=1, dtype=np.float64)
        broken |= known & ((probabilities < 0).any(axis=1) | ~(np.abs(sums - 1) <= ROUNDING))
    if broken.any():
        row = int(broken.argmax())
        raise UserError(
            f"{where}, row {row}: {np.round(probabilities[row].astype(float), 4).tolist()[:10]} are not probabilities; "
            "train the run again."
        )
    return known
