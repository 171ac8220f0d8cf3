import csv
import dataclasses
import io
import os
import pathlib
import re
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import competitions, files, submission
from kit.errors import UserError, printable
from kit.submission import sample_submission

DIGITS, CIFAR = competitions.get("digit-recognizer"), competitions.get("cifar-10")
IDS = np.arange(1, 13)
LABELS = np.array([7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6])
RIGHT = b"ImageId,Label\n" + b"".join(b"%d,%d\n" % pair for pair in zip(IDS, LABELS, strict=True))


def test_written_as_kaggle_wants_it(tmp_path):
    submission.write(tmp_path / "new" / "x.csv", DIGITS, IDS, LABELS)
    assert (tmp_path / "new" / "x.csv").read_bytes() == RIGHT


def test_written_with_class_names_for_cifar_10(tmp_path):
    submission.write(tmp_path / "x.csv", CIFAR, np.array([1, 2, 3]), np.array([0, 9, 3], np.uint8))
    assert (tmp_path / "x.csv").read_bytes() == b"id,label\n1,airplane\n2,truck\n3,cat\n"


def test_300000_rows_come_back_as_written(tmp_path):
    labels = np.random.default_rng(0).integers(0, 10, 300_000).astype(np.uint8)
    submission.write(tmp_path / "x.csv", CIFAR, np.arange(1, 300_001), labels)
    checked = submission.check(tmp_path / "x.csv", CIFAR, np.arange(1, 300_001))
    assert np.array_equal(checked.labels, labels)
    assert checked.labels.dtype.kind == "i"


def test_class_numbers_above_255_do_not_wrap(tmp_path):
    many = dataclasses.replace(DIGITS, class_names=tuple(f"class-{number}" for number in range(300)))
    labels = np.array([299, 256, 0], np.uint16)
    submission.write(tmp_path / "x.csv", many, np.arange(1, 4), labels)
    assert submission.check(tmp_path / "x.csv", many, np.arange(1, 4)).labels.tolist() == [299, 256, 0]


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        (IDS, LABELS[:-1]),
        (IDS, np.where(LABELS == 9, 10, LABELS).astype(np.uint8)),
        (IDS, LABELS.astype(np.int64) - 1),
        (IDS, LABELS.astype(np.float32)),
        (IDS[:, None], LABELS[:, None]),
    ],
    ids=["fewer labels", "label 10", "label -1", "float labels", "two-dimensional"],
)
def test_what_cannot_be_a_submission_is_not_written(tmp_path, ids, labels):
    with pytest.raises(ValueError, match="label"):
        submission.write(tmp_path / "x.csv", DIGITS, ids, labels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        RIGHT,
        RIGHT.rstrip(b"\n"),
        RIGHT.replace(b"\n", b"\r\n"),
        RIGHT.replace(b"ImageId,Label", b'"ImageId","Label"').replace(b"\n7,", b'\n"7",'),
    ],
    ids=["as written", "no last line end", "Windows line ends", "quoted"],
)
def test_right_submissions_pass(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    checked = submission.check(path, DIGITS, IDS)
    assert np.array_equal(checked.labels, LABELS)
    assert checked.content == content


def test_the_sample_submission_in_every_form(tmp_path):
    right, sample = tmp_path / "x.csv", tmp_path / "sample_submission.csv"
    right.write_bytes(RIGHT)
    submission.write(sample, DIGITS, IDS, np.zeros(len(IDS), np.uint8))
    read = submission.SampleSubmission("here", ("ImageId", "Label"), [str(one) for one in IDS])
    for form in (sample, str(sample), pd.read_csv(sample), IDS, read):
        assert len(submission.check(right, DIGITS, form).labels) == len(IDS)
    sample.write_text("id,label\n1,0\n")
    with pytest.raises(UserError, match=r"is not the sample submission of digit-recognizer"):
        submission.check(right, DIGITS, sample)


def changed(old: bytes, new: bytes) -> bytes:
    assert RIGHT.count(old) == 1
    return RIGHT.replace(old, new)


ROWS = RIGHT.split(b"\n")
ROW_4 = b"\n3,1\n"
# What is wrong with a file, and where the message must point: a row, or a row and a column; nothing for the whole file.
MALFORMED = {
    "empty file": (b"", ""),
    "blank file": (b"\n\n", ""),
    "only the header": (b"ImageId,Label\n", ""),
    "no header": (RIGHT.split(b"\n", 1)[1], "row 1"),
    "other competition's header": (changed(b"ImageId,Label", b"id,label"), "row 1"),
    "header in lower case": (changed(b"ImageId", b"imageid"), "row 1"),
    "header with a space": (changed(b"ImageId,Label", b"ImageId, Label"), "row 1"),
    "columns swapped": (b"".join(b",".join(row.split(b",")[::-1]) + b"\n" for row in ROWS[:-1]), "row 1"),
    "a third column in the header": (changed(b"Label", b"Label,Probability"), "row 1"),
    "pandas' index column": (b",ImageId,Label\n0,1,7\n", "row 1"),
    "semicolons": (RIGHT.replace(b",", b";"), "row 1"),
    "tabs": (RIGHT.replace(b",", b"\t"), "row 1"),
    "a field too many": (changed(ROW_4, b"\n3,1,1\n"), "row 4"),
    "a field too few": (changed(ROW_4, b"\n3\n"), "row 4"),
    "a row missing": (changed(ROW_4, b"\n"), "row 4, column ImageId"),
    "the last row missing": (changed(b"12,6\n", b""), ""),
    "cut off in a row": (changed(b"12,6\n", b"12,"), "row 13, column Label"),
    "a row too many": (RIGHT + b"13,0\n", "row 14"),
    "a row twice": (changed(ROW_4, b"\n3,1\n3,1\n"), "row 5, column ImageId"),
    "the last row twice": (RIGHT + b"12,6\n", "row 14, column ImageId"),
    "two rows exchanged": (changed(b"\n3,1\n4,0\n", b"\n4,0\n3,1\n"), "row 4, column ImageId"),
    "ids from 0": (b"ImageId,Label\n0,7\n1,2\n", "row 2, column ImageId"),
    "id as a float": (changed(ROW_4, b"\n3.0,1\n"), "row 4, column ImageId"),
    "id missing": (changed(ROW_4, b"\n,1\n"), "row 4, column ImageId"),
    "label 10": (changed(ROW_4, b"\n3,10\n"), "row 4, column Label"),
    "label negative": (changed(ROW_4, b"\n3,-1\n"), "row 4, column Label"),
    "label as a float": (changed(ROW_4, b"\n3,1.0\n"), "row 4, column Label"),
    "label missing": (changed(ROW_4, b"\n3,\n"), "row 4, column Label"),
    "label NaN": (changed(ROW_4, b"\n3,nan\n"), "row 4, column Label"),
    "label with a space": (changed(ROW_4, b"\n3, 1\n"), "row 4, column Label"),
    "label in other digits": (changed(ROW_4, "\n3,１\n".encode()), "row 4, column Label"),
    "a control character": (changed(ROW_4, b"\n3,\x1b[2J\n"), "row 4, column Label"),
    "a blank line": (changed(ROW_4, b"\n\n3,1\n"), "row 4"),
    "blank lines at the end": (RIGHT + b"\n\n", "row 14"),
    "an open quote": (changed(ROW_4, b'\n3,"1\n'), "row 13"),
    "text behind a quote": (changed(ROW_4, b'\n3,"1"1\n'), "row 4"),
    "a byte-order mark": (b"\xef\xbb\xbf" + RIGHT, ""),
    "UTF-16": (RIGHT.decode().encode("utf-16"), ""),
    "UTF-16 without a mark": (RIGHT.decode().encode("utf-16-le"), ""),
    "another encoding": (changed(ROW_4, b"\n3,\xe9\n"), "row 4"),
    "old Mac's line ends": (RIGHT.replace(b"\n", b"\r"), "row 1"),
    "one lone carriage return": (changed(ROW_4, b"\n3,1\r\r\n"), "row 4"),
    "mixed line ends": (changed(ROW_4, b"\n3,1\r\n"), ""),
    "a NUL byte": (changed(ROW_4, b"\n3,\0\n"), ""),
    "a zip": (b"PK\x03\x04" + RIGHT, ""),
    "a gzip": (b"\x1f\x8b\x08" + RIGHT, ""),
    "a web page": (b"<!DOCTYPE html>" + RIGHT, ""),
    "far too large": (RIGHT * 200, ""),
    "one huge field": (changed(ROW_4, b"\n3," + b"1" * 5000 + b"\n"), "row 4, column Label"),
}


@pytest.mark.parametrize(("content", "place"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_files_are_named_with_row_and_column(tmp_path, content, place):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        submission.check(path, DIGITS, IDS)
    message = str(refusal.value)
    pointed = re.match(r"(, row \d+)?(, column \w+)?", message.removeprefix(str(path)))[0].removeprefix(", ")
    assert message.startswith(str(path))
    assert pointed == place
    assert message.isprintable()
    assert len(message) < 400


@pytest.mark.parametrize(("written", "right"), [(b"Cat", "cat"), (b" cat", "cat"), (b"CAT.0", "cat")])
def test_the_right_form_of_a_class_is_suggested(tmp_path, written, right):
    path = tmp_path / "x.csv"
    path.write_bytes(b"id,label\n1," + written + b"\n")
    with pytest.raises(UserError, match=f"write {right}"):
        submission.check(path, CIFAR, [1])


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither pipes among its files nor endless devices")
@pytest.mark.parametrize("kind", ["nothing", "folder", "pipe", "endless", "loop of links", "long name", "NUL"])
def test_what_cannot_be_read_is_named_at_once(tmp_path, kind):
    path = {
        "endless": pathlib.Path("/dev/zero"),
        "long name": tmp_path / ("x" * 300 + ".csv"),
        "NUL": tmp_path / "x\0.csv",
    }.get(kind, tmp_path / "x.csv")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop of links":
        path.symlink_to(path)
    with pytest.raises(UserError) as refusal:
        submission.check(path, DIGITS, IDS)
    assert printable(path) in printable(refusal.value)


def test_a_sparse_file_of_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "x.csv"
    with path.open("wb") as file:
        file.truncate(20 << 30)
    with pytest.raises(UserError, match="MB"):
        submission.check(path, DIGITS, IDS)


@pytest.mark.parametrize("content", [b"\n" * (1 << 20), b"ImageId,Label\n" + b"\n" * (1 << 20), b"x" * (1 << 20)])
def test_a_sample_submission_of_nothing_is_refused_in_bounded_memory(tmp_path, content):
    data = tmp_path / "data" / DIGITS.name
    data.mkdir(parents=True)
    with zipfile.ZipFile(data / f"{DIGITS.name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sample_submission.csv", content * 64)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"sample_submission\.csv"):
        sample_submission.find(DIGITS, tmp_path / "data")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6


def kaggle_would_refuse(content: bytes) -> bool:
    """Judge a digit-recognizer submission as leniently as a grader with pandas might: by id, in any order."""
    try:
        table = pd.read_csv(io.BytesIO(content), keep_default_na=True)
    except (ValueError, csv.Error, pd.errors.ParserError):
        return True
    if list(table.columns) != ["ImageId", "Label"]:
        return True
    numbers = table.apply(pd.to_numeric, errors="coerce")
    if numbers.isna().to_numpy().any() or sorted(numbers["ImageId"]) != IDS.tolist():
        return True
    return not numbers["Label"].isin(range(10)).all()


VALUES = (b"", b"nan", b"None", b"1e0", b"-3", b"1.5", b"99", b"true", b"0x1", b" ", b"\xc2\xa0")
PLACES = st.integers(0, len(RIGHT) - 1)
BYTES = st.sampled_from([*b'0123456789,\n\r\t ;"-.+abeinxNLl_\0', 0x80, 0xC3, 0xEF, 0xFF])
LINES = st.integers(0, len(ROWS) - 2)


@st.composite
def mutations(draw) -> bytes:
    content = bytearray(RIGHT)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(PLACES) % max(1, len(content))
        kind = draw(st.sampled_from(["replace", "insert", "delete", "cut", "line", "value"]))
        if kind == "replace":
            content[place : place + 1] = bytes([draw(BYTES)])
        elif kind == "insert":
            content[place:place] = bytes(draw(st.lists(BYTES, min_size=1, max_size=4)))
        elif kind == "delete":
            del content[place : place + draw(st.integers(1, 6))]
        elif kind == "cut":
            del content[place:]
        elif kind == "line":
            lines = bytes(content).split(b"\n")
            one, other = draw(LINES) % len(lines), draw(LINES) % len(lines)
            act = draw(st.sampled_from(["exchange", "double", "remove"]))
            if act == "exchange":
                lines[one], lines[other] = lines[other], lines[one]
            elif act == "double":
                lines.insert(other, lines[one])
            else:
                del lines[one]
            content = bytearray(b"\n".join(lines))
        else:
            lines = bytes(content).split(b"\n")
            fields = lines[draw(LINES) % len(lines)].split(b",")
            fields[draw(st.integers(0, 1)) % len(fields)] = draw(st.sampled_from(VALUES))
            lines[draw(LINES) % len(lines)] = b",".join(fields)
            content = bytearray(b"\n".join(lines))
    return bytes(content)


@settings(max_examples=400, deadline=None)
@given(content=mutations())
def test_whatever_kaggle_would_refuse_is_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "mutated.csv"
    path.write_bytes(content)
    try:
        checked = submission.check(path, DIGITS, IDS)
    except UserError:
        return
    assert not kaggle_would_refuse(content)
    table = pd.read_csv(io.BytesIO(content))
    assert table["ImageId"].tolist() == IDS.tolist()
    assert table["Label"].tolist() == checked.labels.tolist()


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_at_all_are_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        submission.check(path, DIGITS, IDS)
    assert "\n" not in str(refusal.value)


def test_a_full_disk_leaves_the_submission_that_was_there(tmp_path):
    resource = pytest.importorskip("resource", reason="limits the size of files as POSIX can")
    path = tmp_path / "x.csv"
    submission.write(path, DIGITS, IDS, LABELS)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(OSError, match="large"):
            submission.write(path, DIGITS, np.arange(28_000), np.zeros(28_000, np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == RIGHT
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        submission.write(tmp_path / "x.csv", DIGITS, IDS, LABELS)
    assert not list(tmp_path.iterdir())
