"""Which images train and which validate."""

import numpy as np

from kit.errors import UserError
from kit.recipes.recipe import Recipe


def splits(labels: np.ndarray, recipe: Recipe) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split stratified by label, from the recipe's `split_seed`.

    Args:
        labels: (n,) integers.
        recipe: `folds` of them, or one split with `validation_share` of the images for validation. `held_out_share`
            leaves images out of all folds: those that one split of the same size and seed validates on.

    Returns:
        For each fold (training rows, validation rows), integer arrays in ascending order.

    Raises:
        UserError: a class has too few images for the split.
    """
    if not recipe.folds:
        return [_one_split(labels, recipe.validation_share, recipe.split_seed, "validation_share")]
    from sklearn.model_selection import StratifiedKFold

    rows, _ = _one_split(labels, recipe.held_out_share, recipe.split_seed, "held_out_share")
    fewest = np.unique(labels[rows], return_counts=True)[1].min()
    if fewest < recipe.folds:
        remedy = f"take at most {fewest} folds" if fewest > 1 else "take a larger --limit, or no folds"
        raise UserError(f"folds: the smallest class has {fewest} of the images; {remedy}.")
    splitter = StratifiedKFold(recipe.folds, shuffle=True, random_state=recipe.split_seed)
    return [(rows[train], rows[rest]) for train, rest in splitter.split(np.zeros(len(rows)), labels[rows])]


def _one_split(labels, share, seed, setting):
    """The rows left, and a `share` of them all that is kept apart."""
    if not share:
        return np.arange(len(labels)), np.arange(0)
    from sklearn.model_selection import StratifiedShuffleSplit

    counts = np.unique(labels, return_counts=True)[1]
    apart = round(len(labels) * share)
    if counts.min() < 2 or apart < len(counts):
        raise UserError(
            f"{setting}: {apart} of {len(labels)} images cannot stand for all {len(counts)} classes; "
            "take a larger share or a larger --limit."
        )
    splitter = StratifiedShuffleSplit(1, test_size=apart, random_state=seed)
    ((rows, rest),) = splitter.split(np.zeros(len(labels)), labels)
    return np.sort(rows), np.sort(rest)
