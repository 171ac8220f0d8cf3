"""Small CSV files of any columns: sample submissions and tables of labels, whose ids may be numbers or texts."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from kit.errors import UserError
from kit.loaders.tree import lines

DELIMITERS = (",", ";", "\t")
_BITS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


def columns(stream: BinaryIO, where: str, wanted: Sequence[str], remedy: str, *, only: bool = False) -> list[list[str]]:
    """Read some columns of a table.

    Args:
        stream: the CSV, UTF-8 with or without BOM.
        where: what errors call the file.
        wanted: the columns' names; the first holds the ids, no two of which are the same.
        remedy: what errors advise.
        only: whether these are all columns, in this order.

    Returns:
        For each column its texts.

    Raises:
        UserError: names the line (the header is line 1) and column of the first thing that is wrong.
    """
    return _columns(lines(stream), where, wanted, remedy, only)


def delimiter(header: str) -> str:
    """Return what separates the columns of a table, by its first line: a comma, a semicolon or a tab."""
    outside = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def one_hot(columns: Sequence[Sequence[str]], names: Sequence[str], where: str, remedy: str) -> np.ndarray:
    """Return the class's number of each row, (n,) int64, of a table with a column a class: 1 for the class, else 0.

    Args:
        columns: for each class its texts, in the order of the table's rows.
        names: the columns' names.
        where, remedy: for errors.

    Raises:
        UserError: a row has not exactly one 1, or another number; names the line.
    """
    labels = np.empty(len(columns[0]), np.int64)
    for row, texts in enumerate(zip(*columns, strict=True)):
        values = [_BITS.get(text.strip(), -1) for text in texts]
        if -1 in values:
            wrong = values.index(-1)
            raise UserError(
                f"{where}, line {row + 2}, column {names[wrong]!r}: {texts[wrong][:20]!r} is neither 0 nor 1; {remedy}"
            )
        if sum(values) != 1:
            raise UserError(
                f"{where}, line {row + 2}: {sum(values)} classes are marked with 1; one class an image is needed; "
                f"{remedy}"
            )
        labels[row] = values.index(1)
    return labels


def _columns(text: Iterator[str], where: str, wanted: Sequence[str], remedy: str, only: bool) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in wanted]
    line_of: dict[str, int] = {}
    reader = csv.reader(())
    try:
        first = next(text, "")
        reader = csv.reader(itertools.chain([first], text), delimiter=delimiter(first))
        header = [name.strip() for name in next(reader, [])]
        if only and header != list(wanted):
            raise UserError(
                f"{where}, line 1: the header is {','.join(header)[:60]!r}, expected "
                f"{','.join(wanted)[:60]!r}; {remedy}"
            )
        for name in wanted:
            if header.count(name) != 1:
                there = ", ".join(header)[:100]
                raise UserError(f"{where}, line 1: there is no column {name!r} (there are: {there}); {remedy}")
        places = [header.index(name) for name in wanted]
        for row in reader:
            line = f"{where}, line {reader.line_num}"
            if not row:
                continue
            if len(row) != len(header):
                raise UserError(f"{line}: {len(row)} columns, but the header has {len(header)}; {remedy}")
            key = row[places[0]]
            if not key.strip():
                raise UserError(f"{line}, column {wanted[0]!r}: the field is empty; {remedy}")
            if line_of.setdefault(key, reader.line_num) != reader.line_num:
                raise UserError(
                    f"{line}, column {wanted[0]!r}: id {key[:40]!r} was on line {line_of[key]} already; {remedy}"
                )
            for texts, place in zip(found, places, strict=True):
                texts.append(row[place])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where}, line {reader.line_num + 1}: this is not CSV in UTF-8 ({error}); {remedy}") from None
    if not line_of:
        raise UserError(f"{where}, line 2: there are no rows below the header; {remedy}")
    return found


def as_ids(texts: Sequence[str]) -> np.ndarray:
    """Return ids as (n,) int64 where they are whole numbers in their plain form, else as texts."""
    if all(text.isascii() and text.isdigit() and len(text) < 19 and (text == "0" or text[0] != "0") for text in texts):
        return np.array([int(text) for text in texts], np.int64)
    return np.array(texts, dtype=np.str_)


def as_labels(texts: Sequence[str], names: Sequence[str], where: str, column: str, remedy: str) -> np.ndarray:
    """Return the class's number of each label, (n,) int64.

    Args:
        texts: the labels, in the order of the table's rows.
        names: what stands for each class; where none of them is a number, the classes' numbers do as well.
        where, column, remedy: for errors.

    Raises:
        UserError: a label is not one of `names`; names the line.
    """
    number_of = {name: number for number, name in enumerate(names)}
    if not any(name.isdigit() for name in names):  # a table may number classes that have names
        number_of |= {str(number): number for number in range(len(names))}
    number_of |= {f"{name}.0": number for name, number in list(number_of.items()) if name.isdigit()}
    labels = np.empty(len(texts), np.int64)
    for row, text in enumerate(texts):
        label = number_of.get(text, number_of.get(text.strip(), -1))
        if label < 0:
            known = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise UserError(
                f"{where}, line {row + 2}, column {column!r}: {text[:40]!r} is not a class ({known}); {remedy}"
            )
        labels[row] = label
    return labels
