"""Whether the predicted classes are distributed as the training labels are."""

import pathlib
from typing import BinaryIO

import numpy as np

from kit.competitions import ClassFolders, Competition, FileNames, ImageArchives, PixelTables
from kit.errors import UserError

FACTOR, DEVIATIONS = 2, 5
LONGEST_ROW, MOST_ROWS = 1 << 16, 1_000_000  # bytes and rows; real tables have a tenth of it


def training_shares(competition: Competition, data_dir: str | pathlib.Path = "data") -> np.ndarray | None:
    """Return the share of each class among Kaggle's training labels, float64 (classes,).

    Only the labels are read, not the images.

    Returns:
        The shares, or None where the files are missing or damaged: to train on them is a matter of its own.
    """
    from kit.loaders import kaggle_files
    from kit.loaders.layouts import class_folders, file_names
    from kit.loaders.tree import Tree, buffered

    files = kaggle_files.locate(competition, data_dir)
    if files is None:
        return None
    served = competition.files
    try:
        if isinstance(served, ClassFolders | FileNames):
            labelled = class_folders.labelled if isinstance(served, ClassFolders) else file_names.labelled
            assert isinstance(files, Tree)
            counts = np.bincount(labelled(competition, files)[1], minlength=competition.classes)
        else:
            name = served.train if isinstance(served, PixelTables) else served.labels
            column = "label" if isinstance(served, ImageArchives) else served.label_column
            with files.open(name) as stream:
                counts = _count(buffered(stream), competition, column)
    except UserError:
        return None
    return counts / counts.sum() if counts.sum() else None


def _count(stream: BinaryIO, competition: Competition, column: str) -> np.ndarray:
    """Count each class in a table's column; nothing in what cannot be such a table."""
    counts = dict.fromkeys((name.encode() for name in competition.label_texts), 0)
    header = [name.strip() for name in stream.readline(LONGEST_ROW).removeprefix(b"\xef\xbb\xbf").split(b",")]
    if column.encode() not in header:
        return np.zeros(competition.classes, int)
    place = header.index(column.encode())
    for _ in range(MOST_ROWS):
        row = stream.readline(LONGEST_ROW)
        if not row:
            return np.array(list(counts.values()))
        fields = row.split(b",", place + 1)
        label = fields[place].strip().strip(b'"') if place < len(fields) else b""
        if label not in counts or len(row) == LONGEST_ROW:
            break
        counts[label] += 1
    return np.zeros(competition.classes, int)


def table(shares: np.ndarray, training: np.ndarray | None, competition: Competition) -> str:
    """Return predicted and training shares of each class in per cent, a line for each."""
    width = max(len(name) for name in competition.class_names)
    lines = [f"{'class':<{max(width, 5)}}  predicted" + ("  training" if training is not None else "")]
    for number, name in enumerate(competition.class_names):
        line = f"{name:<{max(width, 5)}}  {shares[number]:8.2%}"
        lines.append(line + (f"   {training[number]:7.2%}" if training is not None else ""))
    return "\n".join(lines)


def doubts(labels: np.ndarray, training: np.ndarray | None, competition: Competition) -> list[str]:
    """Return what looks wrong about predictions (m,) integers: one class only, or a class far from its training share.

    Far is twice or half the share, and more than luck would do.
    """
    counts = np.bincount(labels, minlength=competition.classes)
    if np.count_nonzero(counts) == 1:
        return [f"all {len(labels):,} predictions are {competition.class_names[int(labels[0])]}"]
    if training is None:
        return []
    wanted = len(labels) * training
    luck = DEVIATIONS * np.sqrt(wanted * (1 - training) + 1)
    far = (np.abs(counts - wanted) > luck) & ((counts >= FACTOR * wanted) | (FACTOR * counts <= wanted))
    return [
        f"{counts[one] / len(labels):.2%} of the predictions are {competition.class_names[one]}, "
        f"and {training[one]:.2%} of the training labels"
        for one in np.flatnonzero(far)
    ]
