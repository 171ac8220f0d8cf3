"""Which images train and which validate."""

import numpy as np

from kit.errors import UserError
from kit.recipe import Recipe


def splits(labels: np.ndarray, recipe: Recipe) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split stratified by label, from the recipe's `split_seed`.

    Args:
        labels: (n,) integers.
        recipe: `folds` of them, or one split with `validation_share` of the images for validation.

    Returns:
        For each fold (training rows, validation rows), integer arrays in ascending order.

    Raises:
        UserError: a class has too few images for the split.
    """
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    counts = np.unique(labels, return_counts=True)[1]
    if recipe.folds:
        if counts.min() < recipe.folds:
            raise UserError(f"folds: a class has only {counts.min()} images; take at most {counts.min()} folds.")
        splitter = StratifiedKFold(recipe.folds, shuffle=True, random_state=recipe.split_seed)
    elif not recipe.validation_share:
        return [(np.arange(len(labels)), np.arange(0))]
    else:
        held_out = round(len(labels) * recipe.validation_share)
        if counts.min() < 2 or held_out < len(counts):
            raise UserError(
                f"validation_share: {held_out} of {len(labels)} images cannot stand for all {len(counts)} classes; "
                "take a larger share or a larger --limit."
            )
        splitter = StratifiedShuffleSplit(1, test_size=held_out, random_state=recipe.split_seed)
    return [(np.sort(train), np.sort(rest)) for train, rest in splitter.split(np.zeros(len(labels)), labels)]
