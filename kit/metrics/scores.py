"""Accuracy, log-loss, kappa and F1 of predicted probabilities. As in scikit-learn, the truth comes first."""

import numpy as np

FLOOR = np.float32(1e-7)
"""The smallest probability that a log-loss counts: float32 cannot tell 1 - p from 1 below it."""


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


def quadratic_weighted_kappa(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return Cohen's kappa with quadratic weights, -1…1: how far apart true and predicted classes, in order, are.

    Args:
        labels: (n,) integers; class 2 lies between 1 and 3.
        probabilities: (n, classes); the likeliest class is taken.

    Reference: Cohen, "Weighted kappa" (1968).
    """
    return kappa_of(labels, probabilities.argmax(axis=1))


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean over the classes of F1, 0…1, of the likeliest classes; labels (n,), probabilities (n, classes).

    As in scikit-learn, a class that is neither there nor predicted is left out.
    """
    return f1_of(labels, probabilities.argmax(axis=1))


def kappa_of(labels: np.ndarray, predicted: np.ndarray, counts: np.ndarray | None = None) -> float:
    """Return the quadratic weighted kappa of predicted classes.

    Args:
        labels, predicted: (n,) integers.
        counts: (n,), how often each pair of them counts; once by default.
    """
    true, other = np.asarray(labels, np.float64), np.asarray(predicted, np.float64)
    weights = np.ones(len(true)) if counts is None else np.asarray(counts, np.float64)
    # The mean squared distance of two labels drawn independently, by the moments of both.
    images = weights.sum()
    expected = (weights @ true**2 + weights @ other**2 - 2 * (weights @ true) * (weights @ other) / images) / images
    return 1.0 if expected == 0 else 1 - float(weights @ (true - other) ** 2 / images / expected)


def f1_of(labels: np.ndarray, predicted: np.ndarray, counts: np.ndarray | None = None) -> float:
    """Return the macro F1 of predicted classes; arguments as of `kappa_of`."""
    classes = int(max(np.max(labels), np.max(predicted))) + 1
    weights = np.ones(len(labels)) if counts is None else np.asarray(counts, np.float64)
    both = np.bincount(labels, weights, classes) + np.bincount(predicted, weights, classes)
    right = np.bincount(labels, weights * (labels == predicted), classes)
    return float((2 * right[both > 0] / both[both > 0]).mean())
