"""How a score varies with the images that it is measured on: the bootstrap, which draws them with replacement."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kit.metrics.scores import true_class

SAMPLES = 1000  # the standard error of a standard error is then 2 %, and the least p-value 0.002
Score = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
Resample = Callable[[np.ndarray, Sequence[np.ndarray]], np.ndarray]


def of_classes(score: Score) -> Resample:
    """Return what resamples a score that the likeliest classes decide.

    Args:
        score: of labels (k,), predicted classes (k,), and how often each pair counts (k,).

    Returns:
        A function from labels (n,) and several predictions of them, (n, classes) each, to their scores on the same
        samples, float64 (SAMPLES, predictions).
    """

    def resampled(labels: np.ndarray, predictions: Sequence[np.ndarray]) -> np.ndarray:
        columns = np.stack([labels, *(one.argmax(axis=1) for one in predictions)])
        kinds, counts = np.unique(columns, axis=1, return_counts=True)
        # To draw images is to draw the few combinations of true and predicted classes that they have.
        rng = np.random.default_rng(0)
        drawn = (rng.multinomial(len(labels), counts / len(labels)) for _ in range(SAMPLES))
        return np.array([[score(kinds[0], one, times) for one in kinds[1:]] for times in drawn])

    return resampled


def of_losses(labels: np.ndarray, predictions: Sequence[np.ndarray]) -> np.ndarray:
    """Resample the log-loss; arguments and result as of what `of_classes` returns."""
    losses = -np.log(np.stack([true_class(labels, one) for one in predictions]).astype(np.float64))
    return np.array([losses[:, rows].mean(axis=1) for rows in _draws(len(labels))])


def _draws(images: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    return (rng.integers(images, size=images) for _ in range(SAMPLES))
