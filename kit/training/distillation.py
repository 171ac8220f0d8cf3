"""Distillation: a network learns the probabilities of a better one, often an ensemble, beside the labels.

That a 7 could nearly be a 1 is in the teacher's probabilities and not in the label. Only out-of-fold probabilities
tell: for images that a network was trained on it repeats their labels, mistakes included. So each image's soft label
comes from networks that have not been trained on it.

What remains is a leak at second hand. A soft label comes from networks that were trained on the labels of the other
images, also of those that this training validates on; these have, very weakly, a say in what it learns. A student that
validates on one split is free of that if its teacher's `held_out_share` left the same images out: the same size, the
same `split_seed`. One with folds would need a teacher trained anew for each.

Reference: Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531.
"""

import numpy as np

from kit.errors import UserError
from kit.recipes import Recipe
from kit.training.lineage import Lineage


def soften(targets: np.ndarray, rows: np.ndarray, recipe: Recipe, lineage: Lineage) -> np.ndarray:
    """Mix the teacher's out-of-fold probabilities into training targets.

    Args:
        targets: (n, classes) float32, a distribution over the classes each.
        rows: (n,) integers: which training images they are of.
        recipe: `teacher_share` says how much of each target is the teacher's.
        lineage: has the teacher's soft labels, if there is a teacher.

    Returns:
        (n, classes) float32; `targets` in rows that the teacher has not predicted out of fold, and without a teacher.

    Raises:
        UserError: the teacher has predicted none of these images out of fold.
    """
    if lineage.teacher is None or lineage.soft_labels is None:
        return targets
    soft = lineage.soft_labels[rows]
    known = ~np.isnan(soft).any(axis=1)
    if not known.any():
        raise UserError(
            f"teacher: {lineage.teacher.folder} has predicted out of fold none of the images that this trains on; "
            "train the teacher with --folds."
        )
    mixed = targets.copy()
    mixed[known] = (1 - recipe.teacher_share) * targets[known] + recipe.teacher_share * soft[known]
    return mixed
