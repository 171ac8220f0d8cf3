import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import competitions, files, submission
from kit.errors import UserError

DIGITS, CIFAR = competitions.get("digit-recognizer"), competitions.get("cifar-10")
IDS = np.arange(1, 13)
LABELS = np.array([7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6], np.uint8)
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
    assert checked.labels.dtype == np.uint8


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
MALFORMED = {
    "empty file": (b"", "is empty"),
    "blank file": (b"\n\n", "is empty"),
    "only the header": (b"ImageId,Label\n", "0 rows and the run has 12; the first missing ImageId is 1"),
    "no header": (RIGHT.split(b"\n", 1)[1], "row 1 is no header but a prediction"),
    "other competition's header": (changed(b"ImageId,Label", b"id,label"), "row 1: the header is 'id,label'"),
    "header in lower case": (changed(b"ImageId", b"imageid"), "row 1: the header is 'imageid,Label'"),
    "header with a space": (changed(b"ImageId,Label", b"ImageId, Label"), "row 1: the header is 'ImageId, Label'"),
    "columns swapped": (b"".join(b",".join(row.split(b",")[::-1]) + b"\n" for row in ROWS[:-1]), "columns are swapped"),
    "a third column in the header": (changed(b"Label", b"Label,Probability"), "row 1: the header is"),
    "pandas' index column": (b",ImageId,Label\n0,1,7\n", "row 1: the header is ',ImageId,Label'"),
    "semicolons": (RIGHT.replace(b",", b";"), "row 1: the header is 'ImageId;Label'"),
    "tabs": (RIGHT.replace(b",", b"\t"), "row 1: the header is"),
    "a field too many": (changed(b"\n3,1\n", b"\n3,1,1\n"), "row 4 has 3 columns, not 2"),
    "a field too few": (changed(b"\n3,1\n", b"\n3\n"), "row 4 has 1 column, not 2"),
    "a row missing": (changed(b"\n3,1\n", b"\n"), "row 4, column ImageId: '4' where 3 belongs"),
    "the last row missing": (changed(b"12,6\n", b""), "11 rows and the run has 12; the first missing ImageId is 12"),
    "cut off in a row": (changed(b"12,6\n", b"12,"), "row 13, column Label is empty"),
    "a row too many": (RIGHT + b"13,0\n", "row 14 is one too many: the run has 12 rows"),
    "a row twice": (changed(b"\n3,1\n", b"\n3,1\n3,1\n"), "row 5, column ImageId: '3' is there twice (also in row 4)"),
    "the last row twice": (RIGHT + b"12,6\n", "row 14, column ImageId: '12' is there twice (also in row 13)"),
    "two rows exchanged": (changed(b"\n3,1\n4,0\n", b"\n4,0\n3,1\n"), "row 4, column ImageId: '4' where 3 belongs"),
    "ids from 0": (b"ImageId,Label\n0,7\n1,2\n", "row 2, column ImageId: '0' is no id of digit-recognizer; 1 belongs"),
    "id as a float": (changed(b"\n3,1\n", b"\n3.0,1\n"), "row 4, column ImageId: '3.0' is no id"),
    "id missing": (changed(b"\n3,1\n", b"\n,1\n"), "row 4, column ImageId is empty; 3 belongs there"),
    "label 10": (changed(b"\n3,1\n", b"\n3,10\n"), "row 4, column Label: '10' is no class; the classes are 0 … 9"),
    "label negative": (changed(b"\n3,1\n", b"\n3,-1\n"), "row 4, column Label: '-1' is no class"),
    "label as a float": (changed(b"\n3,1\n", b"\n3,1.0\n"), "row 4, column Label: '1.0' is no class; write 1"),
    "label a probability": (changed(b"\n3,1\n", b"\n3,0.97\n"), "row 4, column Label: '0.97' is no class"),
    "label missing": (changed(b"\n3,1\n", b"\n3,\n"), "row 4, column Label is empty; every row needs a class"),
    "label NaN": (changed(b"\n3,1\n", b"\n3,nan\n"), "row 4, column Label: 'nan' is no class"),
    "label in words": (changed(b"\n3,1\n", b"\n3,one\n"), "row 4, column Label: 'one' is no class"),
    "label with a space": (changed(b"\n3,1\n", b"\n3, 1\n"), "row 4, column Label: ' 1' is no class; write 1"),
    "label in other digits": (changed(b"\n3,1\n", "\n3,１\n".encode()), "row 4, column Label: '１' is no class"),
    "a blank line": (changed(b"\n3,1\n", b"\n\n3,1\n"), "row 4 is blank"),
    "blank lines at the end": (RIGHT + b"\n\n", "row 14 is blank"),
    "an open quote": (changed(b"\n3,1\n", b'\n3,"1\n'), "is no CSV"),
    "text behind a quote": (changed(b"\n3,1\n", b'\n3,"1"1\n'), "row 4 is no CSV"),
    "a byte-order mark": (b"\xef\xbb\xbf" + RIGHT, "begins with a byte-order mark"),
    "UTF-16": (RIGHT.decode().encode("utf-16"), "is not UTF-8 text (UTF-16?)"),
    "UTF-16 without a mark": (RIGHT.decode().encode("utf-16-le"), "is not UTF-8 text (UTF-16?)"),
    "another encoding": (changed(b"\n3,1\n", b"\n3,\xe9\n"), "row 4 is not UTF-8 text"),
    "old Mac's line ends": (RIGHT.replace(b"\n", b"\r"), "row 1 ends with a lone carriage return"),
    "one lone carriage return": (changed(b"\n3,1\n", b"\n3,1\r\r\n"), "row 4 ends with a lone carriage return"),
    "mixed line ends": (changed(b"\n3,1\n", b"\n3,1\r\n"), "mixes line ends"),
    "a NUL byte": (changed(b"\n3,1\n", b"\n3,\0\n"), "is not UTF-8 text"),
    "a zip": (b"PK\x03\x04" + RIGHT, "is a zip archive"),
    "a gzip": (b"\x1f\x8b\x08" + RIGHT, "is a gzip archive"),
    "a web page": (b"<!DOCTYPE html>" + RIGHT, "is a web page"),
    "a table of pixels": (b"pixel0,pixel1\n" + b"0,0\n" * 12, "row 1: the header is 'pixel0,pixel1'"),
    "far too large": (RIGHT * 200, "MB, more than 12 rows can have"),
    "one huge field": (changed(b"\n3,1\n", b"\n3," + b"1" * 5000 + b"\n"), "row 4, column Label: '1111"),
}


@pytest.mark.parametrize(("content", "words"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_files_are_named_with_row_and_remedy(tmp_path, content, words):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        submission.check(path, DIGITS, IDS)
    message = str(refusal.value)
    assert words in message
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < 400


def test_a_class_name_in_other_letters_is_named(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"id,label\n1,Cat\n")
    with pytest.raises(UserError, match="row 2, column label: 'Cat' is no class; write cat"):
        submission.check(path, CIFAR, [1])


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        submission.check(tmp_path, DIGITS, IDS)
    with pytest.raises(UserError, match="is missing"):
        submission.check(tmp_path / "x.csv", DIGITS, IDS)


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


@settings(max_examples=600, deadline=None)
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


@settings(max_examples=200, deadline=None)
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
