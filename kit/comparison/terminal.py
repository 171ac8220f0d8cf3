"""Tables of text that are as wide as a terminal: the least important columns give way."""

import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from kit.errors import printable

GAP = "  "
WIDTH_ELSEWHERE = 120  # characters a line, where the output is not a terminal


@dataclass(frozen=True)
class Column:
    """A column of text.

    Attributes:
        title: its heading.
        cells: its texts, from above.
        importance: the least important column is left out first.
        right: whether it ends on the right, as numbers do.
        shortest: the characters to which its texts may be cut before columns are left out; 0: they stay whole.
    """

    title: str
    cells: Sequence[str]
    importance: int
    right: bool = False
    shortest: int = 0

    @property
    def width(self) -> int:
        """How many places the longest text takes."""
        return max(places(printable(text)) for text in (self.title, *self.cells))


def width() -> int:
    """Return how many characters fit a line."""
    return max(20, shutil.get_terminal_size((WIDTH_ELSEWHERE, 24)).columns)


def lines(columns: Sequence[Column], limit: int) -> list[str]:
    """Return the table's lines, its headings first, none longer than `limit` places.

    What is too wide is first cut, in the columns that allow it, from the widest on; then columns are left out.
    """
    kept = [column for column in columns if any(column.cells)] or list(columns[:1])
    widths = _widths(kept, limit)
    while sum(widths) + len(GAP) * (len(kept) - 1) > limit and len(kept) > 1:
        least = min(kept, key=lambda column: column.importance)
        kept = [column for column in kept if column is not least]
        widths = _widths(kept, limit)
    rows = zip(*([column.title, *column.cells] for column in kept), strict=True)
    return [cut(_line(kept, row, widths), limit) for row in rows]


def places(text: str) -> int:
    """Return how many places a text takes in a terminal: wide characters take two."""
    return sum(0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in text)


def cut(text: str, limit: int) -> str:
    """Return one printable line of `limit` places at most; `…` stands for what is lost."""
    text = printable(text)
    if places(text) <= limit:
        return text
    while text and places(text) > limit - 1:
        text = text[: min(len(text) - 1, limit)]
    return f"{text}…"


def _widths(columns: Sequence[Column], limit: int) -> list[int]:
    widths = [column.width for column in columns]
    excess = sum(widths) + len(GAP) * (len(columns) - 1) - limit
    while excess > 0:
        able = [at for at, column in enumerate(columns) if column.shortest and widths[at] > column.shortest]
        if not able:
            break
        widest = max(able, key=lambda at: widths[at])
        rest = max([columns[widest].shortest, *(widths[at] for at in able if widths[at] < widths[widest])])
        taken = min(excess, max(1, widths[widest] - rest))
        widths[widest] -= taken
        excess -= taken
    return widths


def _line(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    cells = []
    for column, text, places_of in zip(columns, row, widths, strict=True):
        text = cut(text, places_of)
        padding = " " * (places_of - places(text))
        cells.append(padding + text if column.right else text + padding)
    return GAP.join(cells).rstrip()
