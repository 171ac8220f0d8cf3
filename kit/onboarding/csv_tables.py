"""A competition's tables, as far as they are needed to find out what they are."""

import csv
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kit.errors import UserError
from kit.loaders import tables
from kit.loaders.tree import Tree, lines

MOST_ROWS = 1_000_000
SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True)
class Table:
    """A CSV file: its path in the tree, its header, its rows."""

    path: str
    header: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        """The texts of a column."""
        place = self.header.index(name)
        return [row[place] for row in self.rows]


def read(tree: Tree, path: str, most: int = MOST_ROWS) -> Table:
    """Read a table's first `most` rows.

    Raises:
        UserError: it is not CSV in UTF-8, or has rows of another length than its header; names the line.
    """
    with _opened(tree, path) as (first, text, mark):
        reader = csv.reader(itertools.chain([first], text), delimiter=mark)
        header = [name.strip() for name in next(reader, [])]
        rows = []
        for row in itertools.islice((row for row in reader if row), most):
            if len(row) != len(header):
                raise UserError(
                    f"{tree.where(path)}, line {reader.line_num}: {len(row)} columns, but the header has "
                    f"{len(header)}; {tree.remedy}"
                )
            rows.append(row)
    return Table(path, header, rows)


def column(tree: Tree, path: str, name: str) -> list[str]:
    """Read one column of a table of any width.

    Raises:
        UserError: as `read`.
    """
    with _opened(tree, path) as (first, text, mark):
        header = [one.strip() for one in next(csv.reader([first], delimiter=mark), [])]
        place = header.index(name)
        found: list[str] = []
        for line in text:
            if not line.strip():
                continue
            quoted = '"' in line
            row = next(csv.reader([line], delimiter=mark)) if quoted else line.rstrip("\r\n").split(mark, place + 1)
            if len(row) <= place:
                raise UserError(f"{tree.where(path)}, line {len(found) + 2}: it ends too early; {tree.remedy}")
            found.append(row[place].strip())
    return found


def every(tree: Tree, most: int = MOST_ROWS) -> tuple[list[Table], list[str]]:
    """Read all tables but sample submissions; returns also what is wrong with those that cannot be read."""
    found, problems = [], []
    for path in sorted(tree.files):
        if path.lower().endswith(SUFFIXES) and "submission" not in path.lower():
            try:
                found.append(read(tree, path, most))
            except UserError as error:
                problems.append(str(error))
    return found, problems


@contextmanager
def _opened(tree: Tree, path: str) -> Iterator[tuple[str, Iterator[str], str]]:
    try:
        with tree.open(path) as stream:
            text = lines(stream)
            first = next(text, "")
            yield first, text, tables.delimiter(first)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{tree.where(path)} is not CSV in UTF-8 ({error}); save it as such.") from None
