"""Distillation: a network learns what a better one, mostly an ensemble, thinks of each image, beside its label.

That a 7 could nearly be a 1 is in the teacher's probabilities and not in the label. Only out-of-fold probabilities
tell: of images that a network was trained on it thinks what their labels say, nearly 0 and 1, mistakes in the labels
included. So each image's soft label comes from networks that have not been trained on it.

What remains is a leak at second hand. A soft label comes from networks that were trained on the labels of the other
images, those among them that this training validates on; so these have, very weakly, a say in what it learns. A
student that validates on one split is free of that if its teacher's `held_out_share` left the same images out: the same
size, the same `split_seed`. One with folds would need a teacher trained anew for each.

Reference: Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531.
"""

import numpy as np

from kit import ensemble
from kit.errors import UserError
from kit.loaders import Dataset
from kit.recipes.recipe import Recipe
from kit.training import lineage


def soften(targets: np.ndarray, rows: np.ndarray, dataset: Dataset, recipe: Recipe) -> np.ndarray:
    """Mix the teacher's out-of-fold probabilities into training targets.

    Args:
        targets: (n, classes) float32, a distribution over the classes each.
        rows: (n,) integers: which training images they are of.
        dataset: those images' data set.
        recipe: `teacher` says whose probabilities, `teacher_share` how much of them.

    Returns:
        (n, classes) float32; `targets` in rows that the teacher has not predicted out of fold, and without a teacher.

    Raises:
        UserError: there is no such run, it is not finished, was trained on other images, or has predicted none of
            these out of fold.
    """
    run = lineage.teacher(recipe)
    if run is None:
        return targets
    if run.competition != dataset.competition.name:
        raise UserError(f"teacher: {run.folder} belongs to {run.competition}, not to {dataset.competition.name}.")
    try:
        teacher = ensemble.read([run], dataset)
    except UserError as error:
        raise UserError(f"teacher: {error}") from None
    probabilities = np.full((len(dataset.train_labels), targets.shape[1]), np.nan, np.float32)
    probabilities[teacher.rows] = teacher.oof[0]
    soft = probabilities[rows]
    known = ~np.isnan(soft).any(axis=1)
    if not known.any():
        raise UserError(
            f"teacher: {run.folder} has predicted out of fold none of the images that this trains on; "
            "train the teacher with --folds."
        )
    mixed = targets.copy()
    mixed[known] = (1 - recipe.teacher_share) * targets[known] + recipe.teacher_share * soft[known]
    return mixed
