"""`history.csv`: a row an epoch."""

import csv
import io
import math
import pathlib
from collections.abc import Iterable, Mapping

from kit import files
from kit.errors import UserError
from kit.tracking import schema

COLUMNS = ("fold", "epoch", "seconds", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy")
SCORE = "val_score"  # where the competition scores by another metric than accuracy and log-loss
VALIDATION = ("val_loss", "val_accuracy", SCORE)  # NaN where there are no validation images


def write(path: pathlib.Path, rows: Iterable[Mapping[str, float]]) -> None:
    """Write rows that have at least COLUMNS, and SCORE where they have it.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    rows = list(rows)
    columns = (*COLUMNS, SCORE) if rows and SCORE in rows[0] else COLUMNS
    lines = [",".join(columns), *(",".join(f"{row[name]:.8g}" for name in columns) for row in rows)]
    files.write_text(path, "\n".join(lines) + "\n")


def read(path: pathlib.Path) -> list[dict[str, float]]:
    """Read the rows, COLUMNS by name, and SCORE where there is one; fold from 0 and epoch from 1 are whole numbers.

    Raises:
        UserError: the file is missing or damaged; names the row and the column.
    """
    try:
        table = list(csv.reader(io.StringIO(schema.text(path), newline=""), strict=True))
    except csv.Error as error:
        raise _damaged(path, str(error)) from None
    header = table[0] if table else []
    if missing := [name for name in COLUMNS if name not in header]:
        raise _damaged(path, f"it has no column {missing[0]}")
    columns = (*COLUMNS, SCORE) if SCORE in header else COLUMNS
    rows, epochs = [], set()
    for number, cells in enumerate(table[1:], 2):
        if len(cells) != len(header):
            raise _damaged(path, f"row {number} has {len(cells)} cells instead of {len(header)}")
        row = {name: _number(name, cells[header.index(name)], number, path) for name in columns}
        if (row["fold"], row["epoch"]) in epochs:
            raise _damaged(path, f"row {number}: epoch {row['epoch']:.0f} of the fold comes a second time")
        epochs.add((row["fold"], row["epoch"]))
        rows.append(row)
    if not rows:
        raise _damaged(path, "it has no rows")
    return rows


def _number(column: str, cell: str, row: int, path: pathlib.Path) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise _damaged(path, f"row {row}, {column}: {cell[:40]!r} is not a number") from None
    if math.isnan(value) and column in VALIDATION:
        return value
    if not math.isfinite(value):
        raise _damaged(path, f"row {row}, {column}: {value} is not a finite number")
    if column.endswith("accuracy") and not 0 <= value <= 1:
        raise _damaged(path, f"row {row}, {column}: {cell[:40]} is not between 0 and 1")
    if column in ("fold", "epoch"):
        if value != int(value) or value < (column == "epoch") or value > 2**31:
            raise _damaged(path, f"row {row}, {column}: {cell[:40]} is not a whole number in its range")
        return int(value)
    return value


def _damaged(path: pathlib.Path, reason: str) -> UserError:
    return UserError(f"{path} is damaged: {reason}; train the run again.")
