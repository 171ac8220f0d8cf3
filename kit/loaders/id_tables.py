"""Small CSV files of two columns, an id and a label: the sample submission, and the labels of an image archive."""

import csv
from typing import BinaryIO

import numpy as np

from kit.errors import UserError
from kit.loaders.tree import lines


def read(stream: BinaryIO, where: str, columns: tuple[str, str], remedy: str) -> tuple[np.ndarray, list[str]]:
    """Read a table of ids and labels.

    Args:
        stream: the CSV, UTF-8 with or without BOM.
        where: what errors call the file.
        columns: the names of the id column and of the label column.
        remedy: what errors advise.

    Returns:
        ids (n,) int64, no two the same; labels, n texts.

    Raises:
        UserError: names the line (the header is line 1) and column of the first thing that is wrong.
    """
    reader = csv.reader(lines(stream))
    line_of: dict[int, int] = {}
    labels: list[str] = []
    empty = 0
    try:
        header = next(reader, [])
        if header != list(columns):
            raise UserError(
                f"{where}, line 1: the header is {','.join(header)[:60]!r}, expected {','.join(columns)!r}; {remedy}"
            )
        for row in reader:
            line = f"{where}, line {reader.line_num}"
            if not row:
                empty = empty or reader.line_num
                continue
            if empty:
                raise UserError(f"{where}, line {empty}: the line is empty; {remedy}")
            if len(row) != 2:
                raise UserError(f"{line}: {len(row)} columns, but the header has 2; {remedy}")
            if not (row[0].isascii() and row[0].isdigit() and len(row[0]) < 19):
                raise UserError(f"{line}, column {columns[0]!r}: {row[0][:20]!r} is not a whole number; {remedy}")
            if line_of.setdefault(int(row[0]), reader.line_num) != reader.line_num:
                raise UserError(
                    f"{line}, column {columns[0]!r}: id {row[0]} was on line {line_of[int(row[0])]} already; {remedy}"
                )
            labels.append(row[1])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where}, line {reader.line_num + 1}: this is not CSV in UTF-8 ({error}); {remedy}") from None
    if not labels:
        raise UserError(f"{where}, line 2: there are no rows below the header; {remedy}")
    return np.fromiter(line_of, np.int64, len(line_of)), labels
