"""How good an ensemble is on images that it was not fitted on, and whether that is more than luck."""

from dataclasses import dataclass

import numpy as np

from kit.ensemble.contract import Ensemble, true_class

SIGNIFICANT = 0.05


def fold_of_each(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deal images out to folds, stratified by label, whatever the classes' sizes.

    Args:
        labels: (n,) integers.
        folds: how many.
        seed: of the order in which a class's images are dealt.

    Returns:
        (n,) integers from 0 to folds - 1.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    fold = np.empty(len(labels), np.intp)
    fold[order] = np.arange(len(labels)) % folds
    return fold


def nested_probabilities(
    estimator: Ensemble, oof: np.ndarray, labels: np.ndarray, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """Predict every image by a clone of `estimator` that was fitted on the other folds' images only.

    Args:
        estimator: any of this package's ensembles.
        oof: float32 (members, n, classes), without NaN.
        labels: (n,) integers.
        folds: how many times to fit.
        seed: of the folds.

    Returns:
        float32 (n, classes), out-of-fold probabilities of the ensemble itself.

    Raises:
        ValueError: there are fewer images than folds.
    """
    from sklearn.base import clone

    if len(labels) < folds:
        raise ValueError(f"{len(labels)} images are too few for {folds} folds")
    fold = fold_of_each(labels, folds, seed)
    nested = np.empty(oof.shape[1:], np.float32)
    for number in range(folds):
        fitting, held_out = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        fitted = clone(estimator).fit(np.take(oof, fitting, axis=1), labels[fitting])
        nested[held_out] = fitted.predict_proba(np.take(oof, held_out, axis=1))
    return nested


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images, 0…1, whose likeliest class is the true one; (n, classes) and (n,)."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of -ln(probability of the truth), in nats; (n, classes) and (n,)."""
    return float(-np.log(true_class(probabilities, labels)).mean(dtype=np.float64))


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
    """Return for each pair of members the share of images that they put into different classes.

    Args:
        predicted: (members, n) integers, each member's labels.

    Returns:
        float64 (members, members), symmetric, 0 on the diagonal.
    """
    agreed = np.zeros((len(predicted), len(predicted)))
    for label in np.unique(predicted):
        said = (predicted == label).astype(np.float32)
        agreed += said @ said.T
    return 1 - agreed / predicted.shape[1]
