"""Whether two programs predict the same from the same images, and what is lost where they do not."""

from dataclasses import dataclass

import numpy as np

from kit import metrics

TOLERANCE = 1e-4
"""How far a probability may be from Keras's."""
TIE = 1e-6
"""Two classes whose probabilities are as close as this in Keras are equally likely: either is the right answer."""


@dataclass(frozen=True)
class Agreement:
    """How two predictions of the same images compare.

    Attributes:
        images: how many were compared.
        differing: images whose likeliest class differs, ties aside.
        ties: images whose likeliest class differs because Keras finds two equally likely.
        largest: the largest difference of two probabilities; infinite where one is not a number.
    """

    images: int
    differing: int
    ties: int
    largest: float

    @property
    def equal(self) -> bool:
        """Whether all labels agree, and all probabilities to within TOLERANCE."""
        return not self.differing and self.largest <= TOLERANCE

    def __str__(self) -> str:
        labels = f"{self.differing:,} of {self.images:,} labels differ" if self.differing else "all labels agree"
        tied = f" ({self.ties:,} that Keras finds tied aside)" if self.ties else ""
        return f"{labels}{tied}, probabilities differ by up to {self.largest:.1e}"


def agreement(expected: np.ndarray, found: np.ndarray) -> Agreement:
    """Compare probabilities (n, classes) with those that Keras predicts."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return Agreement(len(expected), len(expected), 0, float("inf"))
    rows, before, after = np.arange(len(expected)), expected.argmax(axis=1), found.argmax(axis=1)
    changed = before != after
    tied = changed & (expected[rows, before] - expected[rows, after] <= TIE)
    largest = float(np.abs(found.astype(np.float64) - expected).max(initial=0))
    return Agreement(len(expected), int((changed & ~tied).sum()), int(tied.sum()), largest)


@dataclass(frozen=True)
class Lost:
    """The accuracy that 8-bit integers cost, on the same images.

    Attributes:
        before, after: accuracy in float32, and of the exported file, 0…1.
        gained, lost: images that only the file, only float32 gets right.
        images: how many there are.
    """

    before: float
    after: float
    gained: int
    lost: int
    images: int

    @property
    def standard_error(self) -> float:
        """Of the difference."""
        return metrics.difference_error(self.gained, self.lost, self.images)

    def __str__(self) -> str:
        counts = f"{self.lost:,} images lost, {self.gained:,} gained of {self.images:,}"
        points = f"{100 * (self.before - self.after):.2f} points ± {100 * self.standard_error:.2f}"
        return f"{points} ({self.before:.2%} → {self.after:.2%}; {counts})"


def accuracy_lost(labels: np.ndarray, expected: np.ndarray, found: np.ndarray) -> Lost:
    """Measure what the accuracy of `found` loses against `expected`, both (n, classes); labels (n,)."""
    changed = metrics.mcnemar(labels, expected, found)
    before, after = metrics.accuracy(labels, expected), metrics.accuracy(labels, found)
    return Lost(before, after, changed.gained, changed.lost, len(labels))
