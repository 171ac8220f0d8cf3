"""`submissions/ledger.csv`: a line for every submission, that is neither lost nor doubled.

A line is written *before* its file is uploaded, as an intention ("sending"), so that whatever happens then can be
looked up on Kaggle. The file is replaced whole, by one process at a time. Columns that the person adds are kept.
"""

import csv
import datetime
import io
import pathlib
import re
from dataclasses import dataclass, field, replace

from kit import files, locks, tracking
from kit.errors import Failure, UserError

SENDING, NOT_SENT, PENDING, COMPLETE, ERROR = "sending", "not sent", "pending", "complete", "error"
OPEN = (SENDING, PENDING)
COLUMNS = (
    "time",
    "competition",
    "file",
    "sha256",
    "run",
    "validation_accuracy",
    "message",
    "reference",
    "status",
    "public_score",
)


@dataclass(frozen=True)
class Line:
    """One submission, or the intention of one.

    Attributes:
        competition: its competition's name.
        file: the CSV's path as it was given.
        sha256: of the bytes that are sent.
        run: the run's name; empty for a CSV of no run.
        validation_accuracy: the run's, or None.
        message: the submission's description on Kaggle.
        time: ISO 8601, UTC, to the millisecond; no two lines have the same.
        reference: Kaggle's number; None until it is known.
        status: "sending", "not sent", "pending", "complete" or "error".
        public_score: None until there is one.
        more: columns that the person has added.
    """

    competition: str
    file: str
    sha256: str
    run: str
    validation_accuracy: float | None
    message: str
    time: str = ""
    reference: int | None = None
    status: str = SENDING
    public_score: float | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def sent_name(self) -> str:
        """The file's name on Kaggle, of this line alone: by it the submission is found again, whatever was lost."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", pathlib.PurePath(self.file).stem)[:60]
        return f"{stem}.{self.sha256[:8]}.{re.sub('[^0-9T]', '', self.time)}.csv"


class Ledger:
    """The ledger in one folder; every change is on disk before it returns."""

    def __init__(self, folder: pathlib.Path = tracking.SUBMISSIONS):
        self.path = pathlib.Path(folder) / "ledger.csv"

    def lines(self, competition: str | None = None) -> list[Line]:
        """Return the lines, of one competition or all, oldest first.

        Raises:
            UserError: the file is not what the kit wrote; names the row.
        """
        return [line for line in self._read()[1] if competition in (None, line.competition)]

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

    def update(self, line: Line, **changes) -> Line:
        """Change fields of the line with `line`'s time and return it; other processes' changes stay.

        Raises:
            Failure: it cannot be written; the ledger is as it was.
            UserError: the line is no longer there.
        """
        with self._locked():
            header, lines = self._read()
            place = next((place for place, one in enumerate(lines) if one.time == line.time), None)
            if place is None:
                raise UserError(f"{self.path} has no line of {line.time} any more; put it back from a copy.")
            if changed := {name: value for name, value in changes.items() if getattr(lines[place], name) != value}:
                lines[place] = replace(lines[place], **changed)
                self._write(header, lines)
        return lines[place]

    def sending(self, competition: str, waiting=None, wait: bool = True):
        """Return a lock to hold while submissions of a competition are sent or looked up; see `locks.locked`."""
        return locks.locked(self.path.with_name(f".{competition}.lock"), waiting, wait)

    def _locked(self):
        return locks.locked(self.path.with_name(".ledger.lock"))

    def _read(self) -> tuple[list[str], list[Line]]:
        try:
            text = self.path.read_bytes().decode("utf-8-sig")
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except FileNotFoundError:
            return list(COLUMNS), []
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{self.path} cannot be read ({error}); put it back from a copy.") from None
        rows = [(number, row) for number, row in enumerate(rows, 1) if row]
        header = rows[0][1] if rows else list(COLUMNS)
        missing = [name for name in COLUMNS if name not in header]
        if missing or len(set(header)) < len(header):
            what = f"no column {missing[0]!r}" if missing else "a column twice"
            raise UserError(f"{self.path}, row 1 has {what}; put it back from a copy, or move it away to begin anew.")
        return header, [self._parse(number, header, row) for number, row in rows[1:]]

    def _parse(self, number: int, header: list[str], row: list[str]) -> Line:
        try:
            cells = dict(zip(header, row, strict=True))
            more = {name: cells.pop(name) for name in header if name not in COLUMNS}
            for name, kind in (("reference", int), ("validation_accuracy", float), ("public_score", float)):
                cells[name] = kind(cells[name]) if cells[name] else None
            datetime.datetime.fromisoformat(cells["time"])
        except ValueError as error:
            raise UserError(f"{self.path}, row {number} is damaged ({error}); put it back from a copy.") from None
        return Line(**cells, more=more)

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
