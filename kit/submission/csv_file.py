"""The submission's CSV: written whole or not at all, and read back as strictly as Kaggle may."""

import csv
import hashlib
import io
import os
import pathlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit import files
from kit.competitions import Competition
from kit.errors import UserError
from kit.metrics import FLOOR, ROUNDING
from kit.submission.sample_submission import SampleSubmission, of

ROW_BYTES = 80  # of a row at most, id and class name: what is larger is another file
MORE_BYTES = 24  # of every further probability
SHOWN = 40


@dataclass(frozen=True)
class Checked:
    """A submission that Kaggle can take.

    Attributes:
        path: the file.
        content: its bytes, those that were checked.
        labels: (m,) int64, the predicted classes in the order of the sample submission.
        probabilities: (m, classes) float64 where the submission holds probabilities, else None.
    """

    path: pathlib.Path
    content: bytes
    labels: np.ndarray
    probabilities: np.ndarray | None = None

    @property
    def sha256(self) -> str:
        """The content's SHA-256, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def shares(self, classes: int) -> np.ndarray:
        """Return the share of each class among the predictions, float64 (classes,), adding up to 1."""
        return np.bincount(self.labels, minlength=classes) / len(self.labels)


def write(path: pathlib.Path, competition: Competition, test_ids: np.ndarray, predicted: np.ndarray) -> None:
    """Write a submission as the competition wants it: UTF-8, "\\n", labels or probabilities.

    Args:
        path: where; folders on the way are made, and a file there is replaced.
        competition: whose columns and classes.
        test_ids: (m,) integers or texts, in the order of the sample submission.
        predicted: probabilities, float (m, classes); for a competition of labels (m,) integers do as well.

    Raises:
        ValueError: ids and predictions differ in number, or a label is not one of the classes.
        OSError: the disk is full; a file that was there is as it was.
    """
    test_ids, predicted = np.asarray(test_ids), np.asarray(predicted)
    if test_ids.ndim != 1 or predicted.shape not in (test_ids.shape, (len(test_ids), competition.classes)):
        raise ValueError(
            f"{test_ids.shape} ids and {predicted.shape} labels or rows of probabilities: one for each id is needed."
        )
    rows: Iterable[tuple[Any, ...]]
    if competition.predicts == "label":
        rows = zip(test_ids.tolist(), _texts(competition, predicted), strict=True)
    else:
        if predicted.ndim != 2:
            raise ValueError(f"{competition.name} takes probabilities (m, {competition.classes}), not labels.")
        # A probability of 0 or 1 that is wrong costs without bound; the kit's own log-loss counts no less either.
        numbers = np.clip(predicted.astype(np.float64), float(FLOOR), 1 - float(FLOOR))
        if competition.predicts == "probability":
            numbers = numbers[:, [competition.class_names.index(competition.probability_of)]]
        texts = ([f"{number:.8g}" for number in row] for row in numbers.tolist())
        rows = ((one, *row) for one, row in zip(test_ids.tolist(), texts, strict=True))
    with files.replacing(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(competition.columns)
        table.writerows(rows)


def _texts(competition: Competition, predicted: np.ndarray) -> list[str]:
    """Return what stands for each predicted class."""
    labels = predicted.argmax(axis=1) if predicted.ndim == 2 else predicted
    if labels.dtype.kind not in "ui" or np.any(labels >= competition.classes) or np.any(labels < 0):
        raise ValueError(f"labels must be integers from 0 to {competition.classes - 1}.")
    return [str(text) for text in np.array(competition.label_texts, dtype=object)[labels].tolist()]


def check(path: str | pathlib.Path, competition: Competition, sample_submission: Any) -> Checked:
    """Read a submission and compare it with the competition's sample submission.

    Everything that Kaggle may refuse, or silently score as wrong, is refused: encoding, line ends, header,
    number and order of the rows, ids, duplicates, labels that are not a class. Quoted fields, "\\r\\n" and a missing
    line end after the last row are fine.

    Args:
        path: the CSV.
        competition: whose columns and class names.
        sample_submission: its path, a table with its columns, its ids (m,), or a `SampleSubmission`.

    Raises:
        UserError: names file, row, column and remedy. Rows are counted as an editor does: the header is row 1.
    """
    path = pathlib.Path(path)
    wanted = of(sample_submission, competition)
    content = _read(path, wanted)
    rows = _rows(path, content, competition)
    _check_header(path, rows, wanted)
    classes = {name: number for number, name in enumerate(competition.label_texts)}
    labels = np.empty(len(wanted.ids), np.int64)
    numbers = np.empty((len(wanted.ids), len(wanted.columns) - 1)) if competition.predicts != "label" else None
    place = 0
    for place, (line, fields) in enumerate(rows, 1):
        if len(fields) != len(wanted.columns):
            raise UserError(
                f"{_at(path, line)} has {_columns(len(fields))}, not {len(wanted.columns)}; {_again(competition)}"
            )
        name, label = fields[:2]
        if place > len(wanted.ids) or name != wanted.ids[place - 1]:
            raise _wrong_id(path, line, name, place, wanted, competition)
        if numbers is not None:
            numbers[place - 1] = _numbers(path, line, fields[1:], wanted, competition)
            continue
        if label not in classes:
            raise _wrong_label(path, line, label, competition)
        labels[place - 1] = classes[label]
    if place < len(wanted.ids):
        raise UserError(
            f"{path} has {place:,} rows and {wanted.place} has {len(wanted.ids):,}; the first missing "
            f"{wanted.columns[0]} is {wanted.ids[place]}; {_again(competition)}"
        )
    if numbers is None:
        return Checked(path, content, labels)
    if competition.predicts == "probability":
        of_class = competition.class_names.index(competition.probability_of)
        numbers = np.hstack([1 - numbers, numbers] if of_class else [numbers, 1 - numbers])
    return Checked(path, content, numbers.argmax(axis=1), numbers)


def _numbers(
    path: pathlib.Path, line: int, fields: list[str], wanted: SampleSubmission, competition: Competition
) -> list[float]:
    """Return a row's probabilities."""
    row = []
    for column, field in zip(wanted.columns[1:], fields, strict=True):
        try:
            number = float(field)
        except ValueError:
            number = float("nan")
        if not 0 <= number <= 1:
            raise UserError(
                f"{_at(path, line)}, column {column}: {_short(field)} is not a probability from 0 to 1; "
                f"{_again(competition)}"
            )
        row.append(number)
    if len(row) > 1 and abs(sum(row) - 1) > ROUNDING:
        raise UserError(
            f"{_at(path, line)}: its probabilities add up to {sum(row):.4f}, not to 1; {_again(competition)}"
        )
    return row


def check_exists(path: pathlib.Path) -> None:
    """Refuse what is no file, before anything is read.

    Raises:
        UserError: it is missing, or a folder.
    """
    try:
        what = "is a folder" if path.is_dir() else "is missing" if not os.path.lexists(path) else ""
    except (OSError, ValueError) as error:  # too long a name, or a NUL in it
        what = f"cannot be a file ({getattr(error, 'strerror', None) or error})"
    if what:
        raise UserError(f"{path} {what}; give a submission CSV, or train: `python -m kit.train`.")


def _read(path: pathlib.Path, wanted: SampleSubmission) -> bytes:
    check_exists(path)
    try:
        size, most = path.stat().st_size, (ROW_BYTES + MORE_BYTES * (len(wanted.columns) - 2)) * (len(wanted.ids) + 100)
        if size > most:
            raise UserError(
                f"{path} has {size / 1e6:,.1f} MB, more than {len(wanted.ids):,} rows can have; is it the submission?"
            )
        content = files.content(path, most)
    except (OSError, ValueError) as error:  # a ValueError for a name with a NUL
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read ({reason}); give a submission CSV.") from None
    if not content.strip():
        raise UserError(f"{path} is empty; write it again: `python -m kit.predict`.")
    return content


def _rows(path: pathlib.Path, content: bytes, competition: Competition) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of the header and of every row."""
    for start, what in ((b"PK", "a zip archive"), (b"\x1f\x8b", "a gzip archive"), (b"<", "a web page")):
        if content.startswith(start):
            raise UserError(f"{path} is {what}, not a CSV file; unpack it or write it again.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise UserError(f"{path} is not UTF-8 text (UTF-16?); save it as CSV UTF-8 without a byte-order mark.")
    if content.startswith(b"\xef\xbb\xbf"):
        raise UserError(f"{path} begins with a byte-order mark; save it as plain UTF-8, without one.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{_at(path, line)} is not UTF-8 text; save the file as UTF-8.") from None
    bare = text.replace("\r\n", "")
    if "\r" in bare:
        line = text[: _bare_return(text)].count("\n") + 1
        raise UserError(f"{_at(path, line)} ends with a lone carriage return; save it with Unix line ends.")
    if "\r\n" in text and "\n" in bare:
        raise UserError(f'{path} mixes line ends, "\\n" and "\\r\\n"; save it with Unix line ends.')
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for fields in table:
            if not fields:
                raise UserError(f"{_at(path, table.line_num)} is blank; delete the line.")
            yield table.line_num, fields
    except csv.Error as error:
        raise UserError(f"{_at(path, table.line_num)} is not CSV ({error}); {_again(competition)}") from None


def _bare_return(text: str) -> int:
    return next(at for at, letter in enumerate(text) if letter == "\r" and text[at + 1 : at + 2] != "\n")


def _check_header(path: pathlib.Path, rows: Iterator[tuple[int, list[str]]], wanted: SampleSubmission) -> None:
    _, header = next(rows)
    if tuple(header) == wanted.columns:
        return
    right = ",".join(wanted.columns)
    if len(header) == len(wanted.columns) and (header[0] in wanted.ids[:1] or header[0].isdigit()):
        raise UserError(f"{path}, row 1 is a prediction, not the header; put the line {right} before it.")
    if sorted(header) == sorted(wanted.columns):
        raise UserError(f"{path}, row 1: the columns are swapped; the order is {right}.")
    raise UserError(f"{path}, row 1: the header is {_short(','.join(header))}; {wanted.place} has {right}.")


def _wrong_id(
    path: pathlib.Path, line: int, name: str, place: int, wanted: SampleSubmission, competition: Competition
) -> UserError:
    where, known = f"{_at(path, line)}, column {wanted.columns[0]}", wanted.positions
    if name in known and known[name] < place - 1:
        return UserError(f"{where}: {_short(name)} is there twice (also in row {known[name] + 2}); delete one.")
    if place > len(wanted.ids):
        return UserError(
            f"{_at(path, line)} is one too many: {wanted.place} has {len(wanted.ids):,} rows; {_again(competition)}"
        )
    right = wanted.ids[place - 1]
    if name in known:
        return UserError(
            f"{where}: {_short(name)} where {right} belongs; rows are missing or in another order; sort "
            f"them as in {wanted.place}."
        )
    if not name.strip():
        return UserError(f"{where} is empty; {right} belongs there.")
    return UserError(f"{where}: {_short(name)} is not an id of {competition.name}; {right} belongs there.")


def _wrong_label(path: pathlib.Path, line: int, label: str, competition: Competition) -> UserError:
    where = f"{_at(path, line)}, column {competition.label_column}"
    known = f"{competition.label_texts[0]} … {competition.label_texts[-1]}"
    if not label.strip():
        return UserError(f"{where} is empty; every row needs a class, {known}.")
    plain = label.strip().lower().removesuffix(".0").lstrip("+")
    near = next((name for name in competition.label_texts if name.lower() == plain), None)
    hint = f"; write {near}" if near else f"; the classes are {known}"
    return UserError(f"{where}: {_short(label)} is not a class{hint}.")


def _again(competition: Competition) -> str:
    return f"write it again with the kit: `python -m kit.predict RUN` for a run of {competition.name}."


def _at(path: pathlib.Path, line: int) -> str:
    return f"{path}, row {line}"


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")
