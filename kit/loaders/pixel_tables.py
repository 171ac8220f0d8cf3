"""CSV files with one image a row, parsed as bytes several times faster than by a general reader.

Blocks of whole lines go through numpy at once. A block that is not `12,0,255,…` goes through a careful reader instead,
which either reads it or names the line and the column of the first error.
"""

import contextlib
import csv
import dataclasses
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from kit.errors import UserError
from kit.loaders.read_ahead import read_ahead
from kit.loaders.tree import buffered

BLOCK = 1 << 18  # bytes: its intermediate arrays stay in a core's cache
LONGEST_LINE = 1 << 18
COMMA, NEWLINE, ZERO = b",\n0"


@dataclass(frozen=True)
class Layout:
    """What a table must hold.

    Attributes:
        pixels: the names of the columns of pixels, in the order wanted; the file may have another.
        label: the name of the column of labels, or None where there are none.
        classes: how many classes there are; labels count from 0.
        most_rows: how many rows there can be.
        texts: the names of columns that are read as texts: ids, and labels that are words.
        ignored: the names of columns that may be there and mean nothing.
    """

    pixels: Sequence[str]
    label: str | None
    classes: int
    most_rows: int
    texts: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return [*([] if self.label is None else [self.label]), *self.texts, *self.pixels]


def read(stream: BinaryIO, where: str, layout: Layout, remedy: str) -> tuple[np.ndarray, np.ndarray]:
    """Parse a table of pixels, whole numbers from 0 to 255, and labels.

    Args:
        stream: the CSV: a header, then a line a row; UTF-8 with or without BOM, Unix or Windows line ends, the last
            one optional.
        where: what errors call the file.
        layout: what it must hold.
        remedy: what errors advise.

    Returns:
        pixels (rows, len(layout.pixels)) uint8; labels (rows,) int64, or (0,) where the layout has none.

    Raises:
        UserError: names the line (the header is line 1) and column of the first thing that is wrong.
    """
    pixels, labels, _ = read_with_texts(stream, where, layout, remedy)
    return pixels, labels


def read_with_texts(
    stream: BinaryIO, where: str, layout: Layout, remedy: str
) -> tuple[np.ndarray, np.ndarray, dict[str, list[str]]]:
    """Parse as `read` does; returns also the texts of each of the layout's columns of texts."""
    header, blocks = _header_and_blocks(buffered(stream), where, remedy)
    ignored = (name for name in layout.ignored if name in header)
    layout = dataclasses.replace(layout, texts=(*layout.texts, *ignored))
    order = _order(header, layout.columns, where, remedy)
    label = None if layout.label is None else order.pop(0)
    texts: dict[str, list[str]] = {name: [] for name in layout.texts}
    if layout.texts:
        blocks = _without_texts(blocks, header, dict(zip(layout.texts, order, strict=False)), texts, where, remedy)
        order = order[len(layout.texts) :]
    pixels, labels = [], [np.empty(0, np.int64)]
    line = 2
    with contextlib.closing(read_ahead(blocks)) as ahead:
        for block in ahead:
            table = _parse(block, len(header))
            if table is None:
                table = _parse(_plain(block), len(header))
            if table is None:
                largest = [max(255, layout.classes - 1) if number == label else 255 for number in range(len(header))]
                table = _parse_carefully(block, header, largest, line, where, remedy)
            if label is not None:
                labels.append(_labels(table[:, label], layout, line, where, remedy))
            pixels.append(_columns(table, order))
            line += len(table)
            if line - 2 > layout.most_rows:
                raise UserError(f"{where} has more than {layout.most_rows:,} rows; it is not Kaggle's: {remedy}")
    if not pixels:
        raise UserError(f"{where}, line 2: there are no rows below the header; {remedy}")
    return np.concatenate(pixels), np.concatenate(labels), texts


def header_of(stream: BinaryIO, where: str, remedy: str) -> list[str]:
    """Return a table's column names.

    Raises:
        UserError: the file is not CSV in UTF-8, or empty.
    """
    return _header_and_blocks(buffered(stream), where, remedy)[0]


def _without_texts(
    blocks: Iterator[bytes],
    header: Sequence[str],
    places: dict[str, int],
    texts: dict[str, list[str]],
    where: str,
    remedy: str,
) -> Iterator[bytes]:
    """Yield the blocks with a 0 in place of each text, and keep the texts."""
    last, line = max(places.values()), 1
    for block in blocks:
        lines = block[:-1].split(b"\n")
        for number, row in enumerate(lines):
            line += 1
            if b'"' in row:
                fields = [one.encode() for one in next(csv.reader([row.decode("utf-8", "replace")]), [])]
            else:
                fields = row.split(b",", last + 1)
            if not row.strip() or len(fields) <= last:
                if not row.strip():
                    raise UserError(f"{where}, line {line}: the line is empty; {remedy}")
                raise UserError(
                    f"{where}, line {line}: {len(fields)} columns, but the header has {len(header)}; {remedy}"
                )
            for name, place in places.items():
                text = fields[place].strip().decode("utf-8", "replace")
                if not text:
                    raise UserError(f"{where}, line {line}, column {place + 1} {name!r}: the field is empty; {remedy}")
                texts[name].append(text)
                fields[place] = b"0"
            lines[number] = b",".join(fields)
        yield b"\n".join(lines) + b"\n"


def _labels(column: np.ndarray, layout: Layout, first: int, where: str, remedy: str) -> np.ndarray:
    wrong = np.flatnonzero(column >= layout.classes)
    if len(wrong):
        raise UserError(
            f"{where}, line {first + wrong[0]}, column {layout.label!r}: {column[wrong[0]]} is not a class "
            f"(0 to {layout.classes - 1}); {remedy}"
        )
    return column.astype(np.int64)


def _columns(table: np.ndarray, order: list[int]) -> np.ndarray:
    """Return the columns `order` of a table as (rows, len(order)) uint8."""
    if order == list(range(order[0], order[0] + len(order))):  # a slice costs a tenth of the time
        return table[:, order[0] : order[0] + len(order)].astype(np.uint8)
    return table[:, order].astype(np.uint8)


def _header_and_blocks(stream: BinaryIO, where: str, remedy: str) -> tuple[list[str], Iterator[bytes]]:
    """Return the column names and the rest of the file in blocks of whole lines that end in a newline."""
    try:
        text = stream.readline(LONGEST_LINE).decode("utf-8-sig")
        header = [name.strip() for name in next(csv.reader(io.StringIO(text)), [])]
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{where}, line 1: this is not CSV in UTF-8; {remedy}") from None
    if not any(header):
        raise UserError(f"{where}, line 1: the file is empty or begins with an empty line; {remedy}")
    return header, _blocks(stream)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    empty = False  # whether empty lines wait: at the end of the file they are harmless, elsewhere an error
    while block := stream.read(BLOCK):
        if not block.endswith(b"\n"):
            block += stream.readline(LONGEST_LINE)
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        lines = block.rstrip(b"\n")
        if lines:
            # What does not end in a newline is the last line, or one so long that it is wrong wherever it is cut.
            yield b"\n" * empty + lines + b"\n"
            empty = len(block) > len(lines) + 1
        else:
            empty = True


def _order(header: list[str], columns: Sequence[str], where: str, remedy: str) -> list[int]:
    """Return where in the file each of `columns` stands."""
    first = {name: number for number, name in reversed(list(enumerate(header)))}
    if header[0].isdigit() and header[0] not in columns:
        raise UserError(f"{where}, line 1: the header is missing (it begins with {columns[0]!r}); {remedy}")
    for number, name in enumerate(header):
        if first[name] != number:
            raise UserError(
                f"{where}, line 1: column {name!r} is there twice, {first[name] + 1} and {number + 1}; {remedy}"
            )
    for name in columns:
        if name not in first:
            raise UserError(
                f"{where}, line 1: column {name!r} is missing "
                f"({len(header)} columns, {len(columns)} expected); {remedy}"
            )
    if len(header) > len(columns):
        known = set(columns)
        extra = next(name for name in header if name not in known)
        raise UserError(
            f"{where}, line 1: column {first[extra] + 1} {extra!r} does not belong there "
            f"({len(header)} columns, {len(columns)} expected); {remedy}"
        )
    return [first[name] for name in columns]


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


def _plain(block: bytes) -> bytes:
    """Return the block without spaces and quotes beside its separators."""
    block = b"\n" + block
    for mark in (b" ", b'"'):
        for separator in (b",", b"\n"):
            block = block.replace(separator + mark, separator).replace(mark + separator, separator)
    return block[1:]


def _parse_carefully(
    block: bytes, header: Sequence[str], largest: Sequence[int], first: int, where: str, remedy: str
) -> np.ndarray:
    """Return what `_parse` would as int64, for numbers written in unusual ways; or say where the first error is."""
    rows = []
    for line, text in enumerate(block[:-1].split(b"\n"), first):
        fields = [field.strip().strip('"') for field in text.decode("utf-8", "replace").split(",")]
        if fields == [""]:
            raise UserError(f"{where}, line {line}: the line is empty; {remedy}")
        if len(fields) != len(header):
            raise UserError(f"{where}, line {line}: {len(fields)} columns, but the header has {len(header)}; {remedy}")
        row = []
        for number, (field, name, most) in enumerate(zip(fields, header, largest, strict=True), 1):
            if not (field.isascii() and field.isdigit() and len(field) <= 20 and int(field) <= most):
                what = _what_is_wrong(field, most)
                raise UserError(f"{where}, line {line}, column {number} {name!r}: {what}; {remedy}")
            row.append(int(field))
        rows.append(row)
    return np.array(rows, np.int64)


def _what_is_wrong(field: str, most: int) -> str:
    if not field:
        return "the field is empty"
    if field.isascii() and field.removeprefix("-").isdigit():
        return f"{field[:20]} is outside 0 to {most}"
    return f"{field[:20]!r} is not a whole number"
