"""`submissions/ledger.csv`: a line for every submission, that is neither lost nor doubled.

A line is written *before* its file is uploaded, as an intention ("sending"), so that whatever happens then can be
looked up on Kaggle. The file is replaced whole, by one process at a time. Columns that the person adds are kept.
"""

import contextlib
import csv
import datetime
import io
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from dataclasses import field, replace
from typing import Annotated, Any, Literal

import pydantic
from pydantic.dataclasses import dataclass

from kit import files, locks, metrics, tracking
from kit.errors import Failure, UserError, printable

SENDING: Literal["sending"] = "sending"
NOT_SENT: Literal["not sent"] = "not sent"
PENDING: Literal["pending"] = "pending"
COMPLETE: Literal["complete"] = "complete"
ERROR: Literal["error"] = "error"
NOT_LISTED: Literal["not listed"] = "not listed"
OPEN = (SENDING, PENDING)
COLUMNS = (
    "time",
    "competition",
    "file",
    "sha256",
    "run",
    "metric",
    "validation_score",
    "message",
    "reference",
    "status",
    "public_score",
)
LARGEST = 1 << 24  # bytes; a line has some three hundred


def _shown_as_it_is(text: str) -> str:
    if printable(text) != text:
        raise ValueError("it has a control character")
    return text


def _utc(text: str) -> str:
    if text and datetime.datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("it has no time zone")
    return text


def _known(metric: str) -> str:
    if metric not in metrics.METRICS:
        raise ValueError("it is not a metric that the kit knows")
    return metric


Text = Annotated[str, pydantic.AfterValidator(_shown_as_it_is)]


@dataclass(frozen=True, config=pydantic.ConfigDict(allow_inf_nan=False))
class Line:
    """One submission, or the intention of one.

    Attributes:
        competition: its competition's name.
        file: the CSV's path as it was given.
        sha256: of the bytes that are sent.
        run: the run's name; empty for a CSV of no run.
        validation_score: the run's, by the competition's metric, or None.
        message: the submission's description on Kaggle.
        time: ISO 8601, UTC, to the millisecond; no two lines have the same.
        reference: Kaggle's number; None until it is known.
        status: "sending", "not sent", "pending", "complete", "error", or "not listed" where Kaggle has it no more.
        public_score: None until there is one.
        metric: by what the competition scores.
        more: columns that the person has added.
    """

    competition: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,99}$")]
    file: Text
    sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
    run: Text
    validation_score: float | None
    message: Text
    time: Annotated[str, pydantic.AfterValidator(_utc)] = ""
    reference: Annotated[int | None, pydantic.Field(gt=0)] = None
    status: Literal["sending", "not sent", "pending", "complete", "error", "not listed"] = SENDING
    public_score: float | None = None
    metric: Annotated[str, pydantic.AfterValidator(_known)] = "accuracy"
    more: dict[str, str] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """What tells this line's submission from all others, and is part of its file's name on Kaggle."""
        return f"{self.content_mark}{re.sub('[^0-9T]', '', self.time)}."

    @property
    def content_mark(self) -> str:
        """What tells its predictions from others: the first digits of the SHA-256, as they stand in the name."""
        return f".{self.sha256[:8]}."

    @property
    def sent_name(self) -> str:
        """The file's name on Kaggle, of this line alone: by it the submission is found again, whatever was lost."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", pathlib.PurePath(self.file).stem)[:60]
        return f"{stem}{self.mark}csv"


class Ledger:
    """The ledger in one folder; every change is on disk before it returns."""

    def __init__(self, folder: pathlib.Path | None = None):
        self.path = pathlib.Path(folder or tracking.SUBMISSIONS) / "ledger.csv"

    def lines(self, competition: str | None = None) -> list[Line]:
        """Return the lines, of one competition or all, oldest first.

        Raises:
            UserError: the file is not what the kit wrote; names row and column.
        """
        return [line for line in self._read()[1] if competition in (None, line.competition)]

    def open_lines(self, competition: str) -> list[Line]:
        """Return the lines of a competition that wait for Kaggle: being sent, or without a score."""
        return [line for line in self.lines(competition) if line.status in OPEN]

    def intend(self, line: Line) -> Line:
        """Add `line` as an intention and return it with its time.

        Raises:
            Failure: it cannot be written; the ledger is as it was.
        """
        with self._locked():
            header, lines = self._read()
            now, taken = datetime.datetime.now(datetime.UTC), {one.time for one in lines}
            while (time := now.isoformat(timespec="milliseconds").replace("+00:00", "Z")) in taken:
                now += datetime.timedelta(milliseconds=1)
            line = replace(line, time=time, status=SENDING, reference=None, public_score=None)
            self._write(header, [*lines, line])
        return line

    def update(self, line: Line, **changes: Any) -> Line:
        """Change fields of the line with `line`'s time and return it; other processes' changes stay.

        Raises:
            Failure: it cannot be written, or the reference is another line's; the ledger is as it was.
            UserError: the line is no longer there.
        """
        with self._locked():
            header, lines = self._read()
            place = next((place for place, one in enumerate(lines) if one.time == line.time), None)
            if place is None:
                raise UserError(f"{self.path} has no line of {line.time} any more; put it back from a copy.")
            others = {one.reference for one in lines if one.time != line.time and one.reference is not None}
            if changes.get("reference") in others:
                raise Failure(f"Kaggle's reference {changes['reference']} is another submission's in {self.path}.")
            if changed := {name: value for name, value in changes.items() if getattr(lines[place], name) != value}:
                lines[place] = replace(lines[place], **changed)
                self._write(header, lines)
        return lines[place]

    @contextlib.contextmanager
    def sending(self, competition: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the locks under which submissions of a competition are sent or looked up.

        One lies beside the ledger. The other is the person's on this machine: two folders with the same file send one
        after the other, so that the second finds what the first has sent.

        Args:
            competition: its name.
            waiting: called once when another process holds a lock.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(locks.locked(self._beside(f".{competition}.lock"), waiting))
            if folder := files.user_cache():
                with contextlib.suppress(UserError):  # it cannot be written, as in some containers
                    stack.enter_context(locks.locked(folder / f"{competition}.lock", waiting))
            yield

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locks.locked(self._beside(".ledger.lock"))

    def _beside(self, name: str) -> pathlib.Path:
        """Return a path beside the file itself, not beside a link to it, which several folders may have."""
        return pathlib.Path(os.path.realpath(self.path)).with_name(name)

    def _read(self) -> tuple[list[str], list[Line]]:
        try:
            text = files.content(self.path, LARGEST).decode("utf-8-sig")
            reader = csv.reader(io.StringIO(text, newline=""), strict=True)
            rows = [(reader.line_num, row) for row in reader if row]
        except FileNotFoundError:
            return list(COLUMNS), []
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{self.path} cannot be read ({reason}); put it back from a copy.") from None
        header = rows[0][1] if rows else list(COLUMNS)
        missing = [name for name in COLUMNS if name not in header]
        if missing or len(set(header)) < len(header):
            what = f"no column {missing[0]!r}" if missing else "a column twice"
            raise UserError(f"{self.path}, row 1 has {what}; put it back from a copy, or move it away to begin anew.")
        lines: list[Line] = []
        taken: set[tuple[str, Any]] = set()
        for number, row in rows[1:]:
            line = self._parse(number, header, row)
            for name, value in (("time", line.time), ("reference", line.reference)):
                if value is not None and (name, value) in taken:
                    raise self._damaged(number, f", column {name}: {value} is there twice")
                taken.add((name, value))
            lines.append(line)
        return header, lines

    def _parse(self, number: int, header: list[str], row: list[str]) -> Line:
        if len(row) != len(header):
            raise self._damaged(number, f": it has {len(row)} columns, not {len(header)}")
        cells: dict[str, Any] = dict(zip(header, row, strict=True))
        more = {name: cells.pop(name) for name in header if name not in COLUMNS}
        for name in ("reference", "validation_score", "public_score"):
            cells[name] = cells[name] or None
        try:
            line = Line(**cells, more=more)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            value = f"{first['input']!r:.60}"
            raise self._damaged(number, f", column {first['loc'][0]}: {value} does not belong there") from None
        metric, score = metrics.named(line.metric), line.validation_score
        if score is not None and not metric.lowest <= score <= metric.highest:
            bounds = f"{metric.lowest:g} to {metric.highest:g}"
            raise self._damaged(number, f", column validation_score: {score:g} is no {metric.name} ({bounds})")
        if not line.time:
            raise self._damaged(number, ", column time: it is empty")
        if line.reference is None and line.status in (PENDING, COMPLETE, ERROR, NOT_LISTED):
            raise self._damaged(number, f", column reference: it is empty, and the status is {line.status!r}")
        return line

    def _damaged(self, number: int, what: str) -> UserError:
        return UserError(f"{self.path}, row {number}{what}; correct it, or put the file back from a copy.")

    def _write(self, header: list[str], lines: list[Line]) -> None:
        memory = io.StringIO(newline="")
        table = csv.writer(memory, lineterminator="\n")
        table.writerow(header)
        table.writerows([_cell(line, name) for name in header] for line in lines)
        try:
            files.write_text(self.path, memory.getvalue())
        except OSError as error:
            raise Failure(f"{self.path} cannot be written ({error.strerror}); make room and try again.") from None


def _cell(line: Line, name: str) -> str:
    value = getattr(line, name) if name in COLUMNS else line.more.get(name, "")
    if value is None:
        return ""
    return f"{value:.5f}" if name == "public_score" else str(value)
