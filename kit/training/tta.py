"""Folds put together, and the weights of test-time augmentation's groups."""

from typing import Any

import numpy as np

from kit.ensemble import Weighted, nested_probabilities
from kit.errors import UserError
from kit.loaders import Dataset


def combine(
    dataset: Dataset, folds: list[tuple[np.ndarray, np.ndarray]], parts: list[dict[str, Any]]
) -> tuple[np.ndarray, np.ndarray, list[float] | None]:
    """Put the folds' predictions together, and weigh the groups of augmented copies in which they were made.

    Args:
        dataset: what they are predictions of.
        folds: (training rows, validation rows) of each.
        parts: of each fold, by name: oof (groups, validation rows, classes) and test (groups, m, classes).

    Returns:
        oof, float32 (n, classes), NaN in rows that no fold has predicted, each row weighed without its own label;
        test, float32 (m, classes), the folds' mean; and the groups' weights, if there are several.

    Raises:
        UserError: there are several groups and no validation images to weigh them by.
    """
    groups, _, classes = parts[0]["test"].shape
    oof = np.full((groups, len(dataset.train_labels), classes), np.nan, np.float32)
    for (_, held_out), part in zip(folds, parts, strict=True):
        oof[:, held_out] = part["oof"]
    test = np.asarray(np.mean([part["test"] for part in parts], axis=0, dtype=np.float64))
    if groups == 1:
        return oof[0], test[0].astype(np.float32), None
    known = np.sort(np.concatenate([held_out for _, held_out in folds]))
    if not len(known):
        raise UserError("tta: its weights need validation images; set validation_share or folds.")
    weighted, labels = Weighted(), dataset.train_labels[known]
    nested = np.full_like(oof[0], np.nan)
    nested[known] = nested_probabilities(weighted, oof[:, known], labels)
    weights = weighted.fit(oof[:, known], labels).weights_
    return nested, weighted.predict_proba(test.astype(np.float32)), [round(float(weight), 4) for weight in weights]
