"""The page that a report is: HTML that asks nothing of any other file or machine, readable by day and by night."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

from kit.figures import style

# The policy makes the browser keep the promise that no request leaves the page. The pictures keep their white paper in
# the dark.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --text: #1a1a1a; --paper: #fff; --faint: #4a4a4a; --line: #ccc; --mark: #0072b2; }}
@media (prefers-color-scheme: dark) {{
:root {{ --text: #ececec; --paper: #16181c; --faint: #b4b8be; --line: #44484f; --mark: #56b4e9; }}
}}
body {{ margin: 0 auto; padding: 1rem; max-width: 70rem; font: 1rem/1.5 system-ui, sans-serif; }}
body {{ color: var(--text); background: var(--paper); }}
h1 {{ font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }}
.wide {{ overflow-x: auto; }}
.wide:focus-visible, summary:focus-visible {{ outline: 3px solid var(--mark); outline-offset: 2px; }}
figure {{ margin: 1rem 0; }}
figure img {{ display: block; box-sizing: border-box; width: 100%; height: auto; padding: .5rem; background: #fff; }}
figcaption {{ color: var(--faint); max-width: 45rem; margin-top: .5rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }}
tbody th, th.text, td.text {{ text-align: left; }}
thead th {{ border-bottom: 2px solid var(--faint); white-space: nowrap; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; }}
dl div {{ border-left: .35rem solid var(--mark); padding-left: .7rem; }}
dt {{ color: var(--faint); }}
dd {{ margin: 0; font-size: 1.35rem; font-weight: 600; overflow-wrap: anywhere; }}
dd small {{ display: block; font-size: .85rem; font-weight: 400; color: var(--faint); }}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

WIDTH_OF_AN_INCH = 70  # CSS pixels; what is printed in a figure is then as large as the page's own notes


@dataclass(frozen=True)
class Shown:
    """A picture of the report.

    Attributes:
        heading: of its section.
        figure: what is drawn.
        alternative: what it shows, for those who do not see it.
        caption: how to read it.
        narrowest: the width in CSS pixels below which it scrolls instead of shrinking further.
        more: HTML after the picture.
    """

    heading: str
    figure: style.Figure
    alternative: str
    caption: str
    narrowest: int = 0
    more: str = ""


def whole(title: str, sections: Sequence[str]) -> str:
    """Return the page of these sections, each of them HTML."""
    return PAGE.format(title=html.escape(title), body="\n".join(sections))


def facts(heading: str, warning: str, told: Sequence[tuple[str, str, str]]) -> str:
    """Return the page's head: its heading, a warning or nothing, and facts as (name, value, note)."""
    cells = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}<small>{html.escape(note)}</small></dd></div>"
        for name, value, note in told
    )
    warned = f"<p><strong>{html.escape(warning)}</strong></p>\n" if warning else ""
    return f"<h1>{html.escape(heading)}</h1>\n{warned}<dl>{cells}</dl>"


def section(heading: str, inside: str) -> str:
    """Return a section of HTML under its heading."""
    return f"<section><h2>{html.escape(heading)}</h2>{inside}</section>"


def picture(shown: Shown) -> str:
    """Return a picture's section, the PNG inside it."""
    source = base64.b64encode(style.png(shown.figure)).decode()
    width = f"min-width: {shown.narrowest}px; max-width: {WIDTH_OF_AN_INCH * shown.figure.get_figwidth():.0f}px"
    image = f'<img alt="{html.escape(shown.alternative)}" style="{width}" src="data:image/png;base64,{source}">'
    caption = f"<figcaption>{html.escape(shown.caption)}</figcaption>"
    return section(shown.heading, f"<figure>{_scrolling(shown.heading, image)}{caption}</figure>{shown.more}")


def table(label: str, columns: Sequence[str], rows: Sequence[Sequence], text: Sequence[str] = ()) -> str:
    """Return a table whose first column names the rows.

    Args:
        label: what it holds, for those who do not see it.
        columns: the names of the columns.
        rows: each with a cell a column.
        text: the columns that hold words; all others but the first hold numbers, and stand to the right.
    """

    def of_words(name: str) -> str:
        return ' class="text"' if name in (*text, *columns[:1]) else ""

    head = "".join(f'<th scope="col"{of_words(name)}>{html.escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(str(first))}</th>'
        + "".join(
            f"<td{of_words(name)}>{html.escape(str(cell))}</td>" for name, cell in zip(columns[1:], rest, strict=True)
        )
        + "</tr>"
        for first, *rest in rows
    )
    return _scrolling(label, f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _scrolling(label: str, inside: str) -> str:
    """Wrap what may be wider than a phone; the keyboard can reach and scroll it."""
    return f'<div class="wide" role="region" aria-label="{html.escape(label)}" tabindex="0">{inside}</div>'
