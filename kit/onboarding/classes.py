"""The classes that labels stand for, and the refusal of labels that are no classes."""

import re
from collections import Counter
from collections.abc import Sequence

from kit.errors import UserError
from kit.onboarding.csv_tables import Table

MOST_CLASSES = 2000
LABEL_COLUMNS = (
    *("label", "labels", "class", "classes", "target", "category", "species", "breed", "diagnosis", "class_name"),
    *("label_name", "class_id", "category_id", "label_id", "level", "grade", "y"),
)


def names_of(texts: Sequence[str], column: str, where: str, unique: bool = False) -> list[str]:
    """Return the class names in their order: numbers by size, words by the alphabet.

    Args:
        texts: the labels; or the classes, each once.
        column: where they stand, for errors.
        where: the file, for errors.
        unique: whether each class is there once.

    Raises:
        UserError: they are not one class an image.
    """
    names = {text.strip() for text in texts}
    what = f"{where}, column {column!r}"
    if "" in names:
        row = next(number for number, text in enumerate(texts) if not text.strip())
        raise UserError(f"{what}: the label on line {row + 2} is empty; the kit needs a class for every image.")
    if len(names) == 1:
        raise UserError(
            f"{what}: all are of the one class {next(iter(names))[:40]!r}; the kit tells two or more apart."
        )
    too_many = len(names) > MOST_CLASSES or (not unique and len(names) > max(20, len(texts) // 2))
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        if too_many:
            raise UserError(f"{what} holds {len(names):,} different numbers: a regression; the kit classifies.")
        return sorted(names, key=lambda name: (int(name), name))
    if all(re.fullmatch(r"-?\d*\.?\d+(e-?\d+)?", name, re.IGNORECASE) for name in names):
        if too_many or any(float(name) != int(float(name)) for name in names):
            raise UserError(f"{what} holds fractions: a regression; the kit classifies.")
        return sorted({str(int(float(name))) for name in names}, key=int)
    if not unique and _of_several(names):
        raise UserError(f"{what} holds several labels an image, such as {max(names, key=len)[:40]!r}: multi-label.")
    if too_many:
        raise UserError(f"{what} holds {len(names):,} different texts; these cannot be the classes.")
    return sorted(names)


def _of_several(names: set[str]) -> bool:
    """Whether the texts are lists of labels that stand alone elsewhere, as in "rust", "scab", "rust scab"."""
    if len(names) <= 3:
        return False
    parts = Counter(part for name in names for part in re.split(r"[ ,|;]+", name))
    lists = [name for name in names if len(re.split(r"[ ,|;]+", name)) > 1]
    repeated = sum(count > 1 for count in parts.values()) > 0.6 * len(parts)
    return bool(lists) and repeated and any(part in names for name in lists for part in re.split(r"[ ,|;]+", name))


def label_columns(table: Table, id_column: str, submitted: Sequence[str], where: str) -> list[str]:
    """Return the column of labels; or, of a table with a column a class, those columns.

    Args:
        table: whose labels are wanted.
        id_column: its column of ids.
        submitted: the sample submission's columns but the first.
        where: what errors call the table.

    Raises:
        UserError: it is not clear which it is, or an image has several labels.
    """
    others = [name for name in table.header if name != id_column]
    if len(others) == 1:
        return others
    if not others:
        raise UserError(f"{where} has ids and no labels; the kit needs a column of classes.")
    hot = [name for name in others if {text.strip() for text in table.column(name)} <= {"0", "1", "0.0", "1.0"}]
    wanted = list(submitted) if set(submitted) <= set(hot) and len(submitted) > 1 else hot
    if len(wanted) > 1 and (wanted == list(submitted) or len(hot) == len(others)):
        _check_one_hot(table, wanted, where)
        return wanted
    for name in (*submitted[:1], *LABEL_COLUMNS):
        fitting = [one for one in others if one.lower() == name.lower()]
        if fitting:
            return fitting[:1]
    raise UserError(
        f"{where}: which of {', '.join(others)[:100]} is the label is not clear; name it 'label', or write a "
        "competition.yaml."
    )


def _check_one_hot(table: Table, columns: list[str], where: str) -> None:
    marks = [[text.strip() in ("1", "1.0") for text in table.column(name)] for name in columns]
    for row, marked in enumerate(zip(*marks, strict=True)):
        if sum(marked) != 1:
            raise UserError(
                f"{where}, line {row + 2}: {sum(marked)} of the classes {', '.join(columns)[:80]} are marked with 1 "
                "(multi-label); the kit predicts one class an image."
            )
