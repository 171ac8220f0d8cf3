"""How good an ensemble is on images that it was not fitted on: nested cross-validation."""

import numpy as np

from kit.ensemble.base import Ensemble


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
