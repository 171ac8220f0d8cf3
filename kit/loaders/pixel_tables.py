"""CSV files with one image a row, parsed as bytes several times faster than by a general reader.

Blocks of whole lines go through numpy at once. A block that is not plain `12,0,255,…` goes through a careful reader
instead, which either makes sense of it or names the line and the column that it stumbled over.
"""

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from kit.errors import UserError
from kit.loaders.read_ahead import read_ahead

BLOCK = 1 << 18  # bytes: its intermediate arrays stay in a core's cache
LONGEST_LINE = 1 << 18
COMMA, NEWLINE, ZERO = b",\n0"


def read(stream: BinaryIO, where: str, columns: Sequence[str], remedy: str) -> np.ndarray:
    """Parse a table of whole numbers from 0 to 255.

    Args:
        stream: the CSV: a header, then a line a row; UTF-8 with or without BOM, Unix or Windows line ends, the last
            one optional.
        where: what errors call the file.
        columns: the names that the header must hold, in the order wanted; the file may have another.
        remedy: what errors advise.

    Returns:
        (rows, len(columns)) uint8.

    Raises:
        UserError: names the line (the header is line 1) and column of the first thing that is wrong.
    """
    header, blocks = _header_and_blocks(stream, where, remedy)
    order = _order(header, columns, where, remedy)
    tables, line = [], 2
    with contextlib.closing(read_ahead(blocks)) as ahead:
        for block in ahead:
            table = _parse(block, len(header))
            if table is None:
                table = _parse_carefully(block, header, line, where, remedy)
            tables.append(table)
            line += len(table)
    if not tables:
        raise UserError(f"{where}, line 2: there are no rows below the header; {remedy}")
    table = np.concatenate(tables)
    return table if order == list(range(len(order))) else table[:, order]


def _header_and_blocks(stream: BinaryIO, where: str, remedy: str) -> tuple[list[str], Iterator[bytes]]:
    """Return the column names and the rest of the file in blocks of whole lines that end in a newline."""
    try:
        text = stream.readline(LONGEST_LINE).decode("utf-8-sig")
        header = [name.strip() for name in next(csv.reader(io.StringIO(text)), [])]
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{where}, line 1: this is no CSV in UTF-8; {remedy}") from None
    if not any(header):
        raise UserError(f"{where}, line 1: the file is empty or begins with an empty line; {remedy}")

    def blocks() -> Iterator[bytes]:
        empty = b""
        while block := stream.read(BLOCK):
            if not block.endswith(b"\n"):
                block += stream.readline(LONGEST_LINE)
            if b"\r" in block:
                block = block.replace(b"\r\n", b"\n")
            if not block.endswith(b"\n"):  # the last line, or one so long that it is wrong wherever it is cut
                block += b"\n"
            block, empty = empty + block, b""
            if block.endswith(b"\n\n") or block == b"\n":
                # Empty lines wait for what follows: at the end of the file they are harmless, elsewhere an error.
                lines = block.rstrip(b"\n")
                block, empty = (lines + b"\n", block[len(lines) + 1 :]) if lines else (b"", block)
            if block:
                yield block

    return header, blocks()


def _order(header: list[str], columns: Sequence[str], where: str, remedy: str) -> list[int]:
    """Return where in the file each of `columns` stands."""
    place = {name: number for number, name in reversed(list(enumerate(header)))}
    if header[0].isdigit():
        raise UserError(f"{where}, line 1: the header is missing (it begins with {columns[0]!r}); {remedy}")
    for number, name in enumerate(header):
        if place[name] != number:
            raise UserError(
                f"{where}, line 1: column {name!r} is there twice, {place[name] + 1} and {number + 1}; {remedy}"
            )
    for name in columns:
        if name not in place:
            raise UserError(
                f"{where}, line 1: column {name!r} is missing "
                f"({len(header)} columns, {len(columns)} expected); {remedy}"
            )
    if len(header) > len(columns):
        known = set(columns)
        extra = next(name for name in header if name not in known)
        raise UserError(
            f"{where}, line 1: column {place[extra] + 1} {extra!r} does not belong there "
            f"({len(header)} columns, {len(columns)} expected); {remedy}"
        )
    return [place[name] for name in columns]


def _parse(block: bytes, columns: int) -> np.ndarray | None:
    """Return the block's numbers (rows, columns) uint8, or None unless it is all plain numbers of 1 to 3 digits.

    Every byte is taken for a number's last: its own digit, ten times the one before, a hundred times the one before
    that. Of these the ones in front of a separator are kept. All steps work on whole arrays of bytes.
    """
    text = np.frombuffer(b"\n\n\n" + block, np.uint8)
    digit = text - np.uint8(ZERO)
    is_digit = digit < 10
    if not (is_digit[3:] | is_digit[2:-1]).all():  # an empty field
        return None
    third = is_digit[2:] & is_digit[1:-1] & is_digit[:-2]
    if (third[1:] & third[:-1]).any():  # four digits or more
        return None
    digit *= is_digit.view(np.uint8)
    hundreds = digit[:-2] * third.view(np.uint8)
    if hundreds.max() > 2:
        return None
    hundreds *= np.uint8(100)
    value = digit[1:-1] * np.uint8(10)
    value += digit[2:]
    value += hundreds
    if (value < hundreds).any():  # 256 to 299 has wrapped around
        return None
    ends = np.flatnonzero(~is_digit[3:])
    rows, rest = divmod(len(ends), columns)
    if rest or np.count_nonzero(text == COMMA) != rows * (columns - 1):
        return None
    if (text[3:][ends[columns - 1 :: columns]] != NEWLINE).any():
        return None
    return value[ends].reshape(rows, columns)


def _parse_carefully(block: bytes, header: list[str], first: int, where: str, remedy: str) -> np.ndarray:
    """Return what `_parse` would, for numbers written in unusual ways; or say where the first error is."""
    rows = []
    for line, text in enumerate(block[:-1].split(b"\n"), first):
        fields = [field.strip().strip('"') for field in text.decode("utf-8", "replace").split(",")]
        if fields == [""]:
            raise UserError(f"{where}, line {line}: the line is empty; {remedy}")
        if len(fields) != len(header):
            raise UserError(f"{where}, line {line}: {len(fields)} columns, but the header has {len(header)}; {remedy}")
        row = []
        for number, (field, name) in enumerate(zip(fields, header, strict=True), 1):
            place = f"{where}, line {line}, column {number} {name!r}"
            if not field:
                raise UserError(f"{place}: the field is empty; {remedy}")
            if not (field.isascii() and field.removeprefix("-").isdigit()):
                raise UserError(f"{place}: {field[:20]!r} is no whole number; {remedy}")
            value = int(field) if len(field) <= 20 else -1
            if not 0 <= value <= 255:
                raise UserError(f"{place}: {field[:20]} is outside 0 to 255; {remedy}")
            row.append(value)
        rows.append(row)
    return np.array(rows, np.uint8)
