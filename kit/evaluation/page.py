"""The page that a report is: one HTML file without references to others. Its markup is `templates/report.html`."""

import base64
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from kit.figures import style

PIXELS_PER_INCH = 70  # of the page, so that the text in figures is as large as the page's captions


@dataclass(frozen=True)
class Fact:
    """A number at the top of the page: its name, its value, and a note in small print."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Attributes:
        label: what it holds.
        columns: the names of the columns.
        rows: one cell for each column.
        text_columns: the columns that hold text; the others but the first hold numbers and are aligned to the right.
    """

    label: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    text_columns: Sequence[str] = ()


@dataclass(frozen=True)
class Image:
    """A figure of the page.

    Attributes:
        figure: a matplotlib figure.
        alt: what it shows, for those who cannot see it.
        caption: how to read it.
        min_width: CSS pixels; on narrower screens it scrolls and does not shrink.
    """

    figure: style.Figure
    alt: str
    caption: str
    min_width: int = 0

    @property
    def max_width(self) -> int:
        """CSS pixels above which it does not grow."""
        return round(PIXELS_PER_INCH * self.figure.get_figwidth())

    @property
    def base64(self) -> str:
        """The figure as a PNG file in base64."""
        return base64.b64encode(style.png(self.figure)).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A part of the page: an image, a table, or an image above a table that can be opened."""

    heading: str
    image: Image | None = None
    table: Table | None = None


@dataclass(frozen=True)
class Page:
    """All that stands on the page.

    Attributes:
        title: of the browser's window.
        heading: of the page.
        notes: what a reader must know first.
        facts: the numbers at the top.
        sections: the rest, in order.
    """

    title: str
    heading: str
    notes: Sequence[str]
    facts: Sequence[Fact]
    sections: Sequence[Section]


def render(page: Page) -> str:
    """Return the page as HTML; every text is escaped."""
    return _environment().get_template("report.html").render(page=page)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("kit.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
