"""Whether the predicted classes are spread as the training labels are."""

import io

import numpy as np

from kit.competitions import Competition, PixelTables
from kit.errors import UserError

FACTOR, DEVIATIONS = 2, 5


def training_shares(competition: Competition, data_dir: str = "data") -> np.ndarray | None:
    """Return the share of each class among Kaggle's training labels, float64 (classes,).

    Only the labels are read, not the images.

    Returns:
        The shares, or None where the files are missing or damaged: to train on them is a matter of its own.
    """
    from kit.loaders import kaggle_files

    files = kaggle_files.locate(competition.name, data_dir)
    if files is None:
        return None
    tables = isinstance(competition.files, PixelTables)
    try:
        with files.open(competition.files.train if tables else competition.files.labels) as stream:
            rows = io.BufferedReader(stream)
            next(rows, None)
            cells = (row.partition(b",") for row in rows)
            labels = [(first if tables else rest).strip().decode("utf-8", "replace") for first, _, rest in cells]
    except UserError:
        return None
    counts = np.array([labels.count(name) for name in competition.class_names])
    return counts / counts.sum() if counts.sum() else None


def table(shares: np.ndarray, training: np.ndarray | None, competition: Competition) -> str:
    """Return predicted and training shares of each class in per cent, a line for each."""
    width = max(len(name) for name in competition.class_names)
    lines = [f"{'class':<{max(width, 5)}}  predicted" + ("  training" if training is not None else "")]
    for number, name in enumerate(competition.class_names):
        line = f"{name:<{max(width, 5)}}  {shares[number]:8.2%}"
        lines.append(line + (f"   {training[number]:7.2%}" if training is not None else ""))
    return "\n".join(lines)


def doubts(labels: np.ndarray, training: np.ndarray | None, competition: Competition) -> list[str]:
    """Return what looks wrong about predictions (m,) uint8: one class only, or a class far from its training share.

    Far is twice or half the share, and more than chance would do.
    """
    counts = np.bincount(labels, minlength=competition.classes)
    if np.count_nonzero(counts) == 1:
        return [f"all {len(labels):,} predictions are {competition.class_names[int(labels[0])]}"]
    if training is None:
        return []
    wanted = len(labels) * training
    chance = DEVIATIONS * np.sqrt(wanted * (1 - training) + 1)
    far = (np.abs(counts - wanted) > chance) & ((counts >= FACTOR * wanted) | (FACTOR * counts <= wanted))
    return [
        f"{counts[one] / len(labels):.2%} of the predictions are {competition.class_names[one]}, "
        f"and {training[one]:.2%} of the training labels"
        for one in np.flatnonzero(far)
    ]
