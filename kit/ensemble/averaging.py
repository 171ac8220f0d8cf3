"""Means of the members' probabilities: plain, geometric, weighted."""

import numpy as np
from threadpoolctl import threadpool_limits

from kit import metrics
from kit.ensemble.base import Ensemble
from kit.metrics import FLOOR, softmax, true_class

STEPS = (0.2, 0.05)  # by which a weight is varied
SHARPEST = 50  # the largest 1 / temperature that a fit may choose


class Mean(Ensemble):
    """The plain mean of the members' probabilities. Nothing is fitted.

    Args:
        geometric: take the geometric mean, that is, the mean of the logits.

    Attributes:
        weights_: (members,) float64, all the same.
    """

    def __init__(self, geometric: bool = False):
        self.geometric = geometric

    def fit(self, oof: np.ndarray, labels: np.ndarray) -> "Mean":
        """Note how many members there are; the labels change nothing."""
        self._begin(oof, labels)
        self.weights_ = np.full(self.n_members_, 1 / self.n_members_)
        return self

    def predict_proba(self, test: np.ndarray) -> np.ndarray:
        """Return float32 (m, classes) for members' probabilities (members, m, classes)."""
        return pool(self._predictable(test), self.weights_, self.geometric)


class Weighted(Ensemble):
    """A weighted mean of the members' probabilities, with weights that are given, or fitted on the simplex.

    Fitted weights have the lowest log-loss on out-of-fold data, together with one temperature for the mean. Without
    the temperature, log-loss prefers the members that are most sure of themselves over those that are right: a mean
    of probabilities is less sure than its members, which log-loss punishes and accuracy does not.

    Args:
        weights: (members,) numbers of 0 or more, in any unit; None to fit them.
        geometric: pool the logits instead of the probabilities. The fit is then a convex problem.
        metric: what the weights serve. Kappa and F1 have no slope: from the lowest log-loss, the weights are varied one
            by one as long as that helps.

    Attributes:
        weights_: (members,) float64, 0 or more, their sum 1.
        temperature_: what the pooled logits are divided by; 1 with given weights.

    Reference:
        Genest and Zidek, "Combining Probability Distributions" (1986), for the two pools; Guo et al., "On Calibration
        of Modern Neural Networks" (2017), for the temperature.
    """

    def __init__(self, weights: list[float] | None = None, geometric: bool = False, metric: str = "accuracy"):
        self.weights = weights
        self.geometric = geometric
        self.metric = metric

    def fit(self, oof: np.ndarray, labels: np.ndarray) -> "Weighted":
        """Find the weights on out-of-fold probabilities (members, n, classes) and labels (n,).

        Raises:
            ValueError: the given weights do not fit the members.
        """
        oof, labels = self._begin(oof, labels)
        if self.weights is None:
            # The products are small: more threads than one wait for each other longer than they work.
            with threadpool_limits(1):
                self.weights_, self.temperature_ = _lowest_log_loss(oof, labels, self.geometric)
                if self.metric not in ("accuracy", "log-loss"):
                    self.weights_ = _climbed(oof, labels, self.weights_, self.geometric, self.metric)
            return self
        weights = np.asarray(self.weights, dtype=np.float64)
        if weights.shape != (self.n_members_,) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
            raise ValueError(f"{self.n_members_} weights of 0 or more are needed, not all 0; got {self.weights}")
        self.weights_, self.temperature_ = weights / weights.sum(), 1.0
        return self

    def predict_proba(self, test: np.ndarray) -> np.ndarray:
        """Return float32 (m, classes) for members' probabilities (members, m, classes)."""
        return pool(self._predictable(test), self.weights_, self.geometric, self.temperature_)


def pool(
    probabilities: np.ndarray, weights: np.ndarray, geometric: bool = False, temperature: float = 1.0
) -> np.ndarray:
    """Return the weighted mean over the members.

    Args:
        probabilities: float32 (members, n, classes).
        weights: (members,), on the simplex.
        geometric: average the logarithms, and bring the rows back to a sum of 1.
        temperature: what the pooled logits are divided by.

    Returns:
        float32 (n, classes).
    """
    pooled = np.zeros(probabilities.shape[1:], np.float32)
    for weight, member in zip(weights.astype(np.float32), probabilities, strict=True):
        pooled += weight * (np.log(np.maximum(member, FLOOR)) if geometric else member)
    pooled = softmax(pooled) if geometric else pooled
    return pooled if temperature == 1 else softmax(np.log(np.maximum(pooled, FLOOR)) / np.float32(temperature))


def _climbed(oof, labels, weights, geometric, name):
    """Vary weights one by one as long as the metric gains; never worse than at the start, on the data of the fit."""
    metric = metrics.named(name)

    def gain(weights):
        return metric.gain(metric.score(labels, pool(oof, weights, geometric)))

    best, highest = weights, gain(weights)
    for step in STEPS:
        improved = True
        while improved:
            improved = False
            for member in range(len(oof)):
                for change in (step, -step):
                    trial = np.clip(best + change * np.eye(len(oof))[member], 0, None)
                    if not trial.sum():
                        continue
                    trial = trial / trial.sum()
                    if (reached := gain(trial)) > highest + 1e-9:
                        best, highest, improved = trial, reached, True
    return best


def _lowest_log_loss(oof, labels, geometric):
    """Fit the weights and the temperature by L-BFGS-B, from the plain mean, so never worse than it."""
    from scipy.optimize import minimize

    members, images = oof.shape[:2]
    rows = np.arange(images)
    parts = np.log(np.maximum(oof, FLOOR)) if geometric else oof

    def loss_and_slope(parameters):
        shares, sharpness = parameters[:-1], parameters[-1]
        total = shares.sum()
        weights = shares / total
        pooled = np.tensordot(weights.astype(np.float32), parts, 1)
        logits = pooled if geometric else np.log(np.maximum(pooled, FLOOR))
        predicted = softmax(np.float32(sharpness) * logits)
        loss = -np.log(true_class(labels, predicted)).mean(dtype=np.float64)
        residual = predicted
        residual[rows, labels] -= 1
        by_sharpness = (residual * logits).sum(dtype=np.float64) / images
        upstream = residual if geometric else residual / np.maximum(pooled, FLOOR)
        by_weight = np.tensordot(parts, upstream, ((1, 2), (0, 1))).astype(np.float64) * (sharpness / images)
        by_share = (by_weight - weights @ by_weight) / total
        return loss, np.append(by_share, by_sharpness)

    start = np.append(np.full(members, 1 / members), 1.0)
    bounds = [(0, None)] * members + [(1 / SHARPEST, SHARPEST)]
    found = minimize(loss_and_slope, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return found[:-1] / found[:-1].sum(), float(1 / found[-1])
