"""The table of runs as people read it: in a terminal, in a CSV file, on a page."""

import pathlib
from typing import TYPE_CHECKING, Any

from kit import files
from kit.comparison import terminal
from kit.comparison.terminal import Column
from kit.errors import UserError, printable
from kit.metrics import named

if TYPE_CHECKING:
    import pandas as pd

MOST_NOTES = 5


def text(frame: "pd.DataFrame", width: int) -> str:
    """Return the runs of a table as text, each competition by itself.

    The tables are at most `width` places wide; the commands below them stay whole, so that they can be pasted.
    """
    return "\n\n".join(_of_competition(str(name), runs, width) for name, runs in frame.groupby("competition"))


def write_csv(frame: "pd.DataFrame", path: pathlib.Path) -> None:
    """Write a table as CSV, every column and row of it.

    Raises:
        UserError: `path` is a folder.
    """
    _check_file(path)
    files.write_text(path, frame.to_csv(index=False, date_format="%Y-%m-%d %H:%M:%S", lineterminator="\n"))


def write_html(frame: "pd.DataFrame", path: pathlib.Path) -> None:
    """Write a table as a page that asks nothing of any other file or machine.

    Raises:
        UserError: `path` is a folder.
    """
    import jinja2

    _check_file(path)
    sections = []
    for competition, runs in frame.groupby("competition"):
        columns = columns_of(runs)
        rows = zip(*(column.cells for column in columns), strict=True)
        noted = [(name, state, note) for name, state, note in _noted(runs)]
        sections.append((competition, _count(runs), columns, [list(map(printable, row)) for row in rows], noted))
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(PAGE)
    files.write_text(path, page.render(sections=sections))


def columns_of(runs: "pd.DataFrame") -> list[Column]:
    """Return what is shown of each run, in the order of reading."""
    rows: list[dict[str, Any]] = runs.astype(object).where(runs.notna(), None).to_dict("records")  # type: ignore
    others = sorted({row["metric"] for row in rows if row["metric"]} - {"accuracy"})
    log_loss = Column("log-loss", [_number(row["log_loss"], ".4f") for row in rows], 1, right=True)
    return [
        Column("run", [row["name"] for row in rows], 9, shortest=24),
        Column("network", [row["network"] or "" for row in rows], 6, shortest=10),
        Column("images", [_images(row) for row in rows], 3, right=True),
        Column("folds", [_number(row["folds"], "d") for row in rows], 2, right=True),
        *([Column(" or ".join(others), [_score(row) for row in rows], 9, right=True)] if others else []),
        Column("accuracy", [_accuracy(row) for row in rows], 8, right=True),
        *([] if others == ["log-loss"] else [log_loss]),
        Column("seconds", [_number(row["seconds"], ",.0f") for row in rows], 4, right=True),
        Column("public", [_number(row["public_score"], ".5f") for row in rows], 7, right=True),
        Column("differs from its recipe", [row["differs"] or "" for row in rows], 5, shortest=16),
    ]


def _of_competition(competition: str, runs: "pd.DataFrame", width: int) -> str:
    noted = _noted(runs)
    lines = [terminal.cut(f"{competition}: {_count(runs)}", width), *terminal.lines(columns_of(runs), width)]
    if noted:
        lines.append("")
    for name, state, note in noted[:MOST_NOTES]:
        lines.append(printable(f"{name} ({state}): {note}"))
    if len(noted) > MOST_NOTES:
        lines.append(f"… and {len(noted) - MOST_NOTES:,} more; --csv FILE lists them all.")
    return "\n".join(lines)


def _count(runs: "pd.DataFrame") -> str:
    counts = {"runs": len(runs)}
    for state in ("begun", "trained", "damaged"):
        counts[state] = int((runs["state"] == state).sum())
    parts = ["1 run" if len(runs) == 1 else f"{len(runs):,} runs"]
    if unfinished := counts["begun"] + counts["trained"]:
        parts.append(f"{unfinished:,} unfinished")
    if counts["damaged"]:
        parts.append(f"{counts['damaged']:,} damaged")
    return ", ".join(parts)


def _noted(runs: "pd.DataFrame") -> list[tuple[str, str, str]]:
    """Name, state and note of the runs that need something done, the newest first."""
    noted = runs[runs["note"].notna()].sort_values("begun", ascending=False, kind="stable")
    return list(noted[["name", "state", "note"]].itertuples(index=False, name=None))


def _images(row: dict[str, Any]) -> str:
    if row["limit"]:
        return f"{_number(row['images'], ',d')} (limit)".strip()
    return _number(row["images"], ",d")


def _score(row: dict[str, Any]) -> str:
    return "" if row["score"] is None else named(row["metric"]).shown(row["score"], row["score_error"])


def _accuracy(row: dict[str, Any]) -> str:
    if row["state"] in ("begun", "damaged"):
        return row["state"]
    if row["accuracy"] is None:
        return "none"
    error = "" if row["standard_error"] is None else f" ± {100 * row['standard_error']:.2f}"
    return f"{row['accuracy']:.2%}{error}"


def _number(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)


def _check_file(path: pathlib.Path) -> None:
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file in it.")


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>Runs</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 1rem; max-width: 90rem; font: 1rem/1.5 system-ui, sans-serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid #8886; vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
dd { margin: 0 0 .5rem 1rem; overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1>Runs</h1>
{% for competition, count, columns, rows, noted in sections %}
<h2>{{ competition }}: {{ count }}</h2>
<div class="wide" tabindex="0" role="region" aria-label="{{ competition }}">
<table>
<thead><tr>
{% for column in columns %}
<th scope="col"{% if column.right %} class="number"{% endif %}>{{ column.title }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in rows %}
<tr>
{% for column in columns %}
<td{% if column.right %} class="number"{% endif %}>{{ row[loop.index0] }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
</div>
{% if noted %}
<h3>Unfinished or damaged</h3>
<dl>
{% for name, state, note in noted %}
<dt>{{ name }} ({{ state }})</dt><dd><code>{{ note }}</code></dd>
{% endfor %}
</dl>
{% endif %}
{% endfor %}
</main>
</body>
</html>
"""
