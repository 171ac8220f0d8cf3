"""All submissions to a competition, best first: as a table, and validation against the public score as a figure."""

import pathlib
import sys
from dataclasses import dataclass

from kit import competitions, files, metrics, tracking
from kit.errors import Failure, UserError, printable
from kit.kaggle_client import Kaggle, Retries, Submission
from kit.metrics import METRICS, Metric
from kit.submission.following import Report, recorded, waiting
from kit.submission.ledger import Ledger, Line
from kit.submission.sending import find, reconcile


@dataclass(frozen=True)
class Entry:
    """One submission, of the ledger or made elsewhere.

    Attributes:
        time: ISO 8601, UTC.
        name: the run's, else the file's.
        message, status: as in the ledger, or on Kaggle; an error with its reason.
        validation_score: by the competition's metric; None where unknown.
        public_score: None where there is none yet.
    """

    time: str
    name: str
    message: str
    status: str
    validation_score: float | None
    public_score: float | None


def show(competition: str | None = None, *, report: Report = print, retries: Retries | None = None) -> list[Entry]:
    """Show all submissions, best first, and draw them; without Kaggle, as they were last known.

    Args:
        competition: its name; by default all of the ledger's.
        report: shows a table or a path.
        retries: pauses and time-outs, other than the usual ones.

    Returns:
        The submissions, of one competition after the other.
    """
    ledger, found = Ledger(), []
    kaggle = _connect(retries)
    for name in recorded(ledger, competition):
        listed: list[Submission] = []
        if kaggle:
            try:
                with ledger.sending(name, waiting):
                    listed = reconcile(kaggle, ledger, name)
            except (UserError, Failure) as error:
                _note(error)
        metric = metrics.named(competitions.get(name).metric)
        entries = best_first(ledger.lines(name), listed, metric)
        report(f"{name}\n{table(entries)}")
        if figure := draw(entries, name, metric):
            report(f"figure: {figure}")
        found += entries
    return found


def _connect(retries: Retries | None) -> Kaggle | None:
    try:
        return Kaggle(retries)
    except (UserError, Failure) as error:
        _note(error)
        return None


def _note(error: Exception) -> None:
    print(f"note: scores as last known; {printable(error)}", file=sys.stderr)


def best_first(lines: list[Line], listed: list[Submission], metric: Metric = METRICS["accuracy"]) -> list[Entry]:
    """Join the ledger's lines with Kaggle's list; best public score first, then those without, newest first."""
    entries, known = [], set()
    for line in lines:
        arrived = find(line, listed)
        reason = f": {arrived.reason}" if arrived and arrived.reason else ""
        known.add(line.reference)
        name = line.run or pathlib.PurePath(line.file).name
        validation = line.validation_score if line.metric == metric.name else None
        entries.append(Entry(line.time, name, line.message, line.status + reason, validation, line.public_score))
    for one in listed:
        if one.reference not in known:
            time = one.time.isoformat() if one.time else ""
            status = f"{one.status}, sent from elsewhere"
            entries.append(Entry(time, one.file_name, one.message, status, None, one.public_score))
    entries.sort(key=lambda entry: entry.time, reverse=True)
    unknown = float("-inf")
    return sorted(
        entries,
        key=lambda entry: unknown if entry.public_score is None else metric.gain(entry.public_score),
        reverse=True,
    )


def table(entries: list[Entry]) -> str:
    """Return the entries as a table in plain text."""
    if not entries:
        return "  no submission yet"
    width = min(40, max(len(entry.name) for entry in entries))
    lines = [
        f"  {'place':>5}  {'public':>7}  {'validation':>10}  {'gap':>8}  {'time (UTC)':16}  {'run':<{width}}  status"
    ]
    for place, entry in enumerate(entries, 1):
        public, validation = entry.public_score, entry.validation_score
        gap = f"{public - validation:+.5f}" if public is not None and validation is not None else ""
        cells = (
            f"{place if public is not None else '':>5}",
            f"{'' if public is None else f'{public:.5f}':>7}",
            f"{'' if validation is None else f'{validation:.5f}':>10}",
            f"{gap:>8}",
            f"{entry.time[:16].replace('T', ' '):16}",
            f"{entry.name[:width]:<{width}}",
            entry.status,
        )
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def draw(entries: list[Entry], competition: str, metric: Metric = METRICS["accuracy"]) -> pathlib.Path | None:
    """Write `submissions/<competition>-validation-vs-public.png`; None where no submission has both numbers."""
    both = [entry for entry in entries if entry.public_score is not None and entry.validation_score is not None]
    if not both:
        return None
    from kit.figures.scores import validation_against_public

    figure = validation_against_public(
        [entry.validation_score or 0.0 for entry in both],
        [entry.public_score or 0.0 for entry in both],
        [entry.name for entry in both],
        f"{competition}: validation against public score",
        metric.name,
    )
    path = tracking.SUBMISSIONS / f"{competition}-validation-vs-public.png"
    with files.replacing(path) as fresh:
        figure.savefig(fresh, dpi=150)
    return path
