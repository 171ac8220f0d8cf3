"""The methods that join members, by the commands' words for them."""

from collections.abc import Sequence

from kit.ensemble.averaging import Mean, Weighted
from kit.ensemble.base import Ensemble
from kit.ensemble.hill_climb import HillClimb
from kit.ensemble.stacking import Stack
from kit.recipes.plan import METHODS

__all__ = ["METHODS", "estimator"]


def estimator(
    method: str,
    geometric: bool = False,
    weights: Sequence[float] | None = None,
    seed: int = 0,
    metric: str = "accuracy",
) -> Ensemble:
    """Make the ensemble of a method, not fitted yet.

    Args:
        method: one of METHODS, or "snapshot", the mean of one run's snapshots.
        geometric: all but "hill-climb" and "stack": average logits, not probabilities.
        weights: "weighted": one for each member; None to fit them.
        seed: of hill-climb's bags and of stack's inner folds.
        metric: the competition's, which "hill-climb" and fitted weights serve.
    """
    if method in ("mean", "snapshot"):
        return Mean(geometric)
    if method == "weighted":
        return Weighted(None if weights is None else list(weights), geometric, metric)
    if method == "hill-climb":
        return HillClimb(random_state=seed, metric=metric)
    return Stack(random_state=seed)
