"""The methods that join members, by the commands' words for them."""

from collections.abc import Sequence

METHODS = ("mean", "weighted", "hill-climb", "stack")


def estimator(method: str, geometric: bool = False, weights: Sequence[float] | None = None, seed: int = 0):
    """Make the ensemble of a method, not fitted yet.

    Args:
        method: one of METHODS, or "snapshot", the mean of one run's snapshots.
        geometric: all but "hill-climb" and "stack": average logits, not probabilities.
        weights: "weighted": one for each member; None to fit them.
        seed: of hill-climb's bags and of stack's inner folds.
    """
    from kit import ensemble

    if method in ("mean", "snapshot"):
        return ensemble.Mean(geometric)
    if method == "weighted":
        return ensemble.Weighted(weights, geometric)
    if method == "hill-climb":
        return ensemble.HillClimb(random_state=seed)
    return ensemble.Stack(random_state=seed)
