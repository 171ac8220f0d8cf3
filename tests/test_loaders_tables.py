"""Tables of pixels: read as they are meant, or refused with the line and the column of the first error."""

import dataclasses
import io
import zipfile

import bundles
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import competitions, loaders
from kit.errors import UserError
from kit.loaders import id_tables, kaggle_files, kaggle_source, pixel_tables, tables

COMPETITION = "digit-recognizer"
QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def kaggle_input(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")


def load(folder):
    return loaders.load(COMPETITION, "kaggle", folder)


def check(dataset, files):
    """Compare with what the files hold, read the plain way."""
    train, test = (
        np.loadtxt(io.StringIO(files[name].decode("utf-8-sig")), delimiter=",", skiprows=1, dtype=int, ndmin=2)
        for name in ("train.csv", "test.csv")
    )
    np.testing.assert_array_equal(dataset.train_images, train[:, 1:].reshape(-1, 28, 28, 1))
    np.testing.assert_array_equal(dataset.train_labels, train[:, 0])
    np.testing.assert_array_equal(dataset.test_images, test.reshape(-1, 28, 28, 1))
    np.testing.assert_array_equal(dataset.test_ids, np.arange(1, len(test) + 1))
    assert dataset.train_images.dtype == dataset.test_images.dtype == np.uint8
    assert dataset.test_ids.dtype == np.int64


# --- what is read


def zipped(files):
    """Each file in a zip of its own."""
    contents = {}
    for name, content in files.items():
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(name, content)
        contents[f"{name}.zip"] = stream.getvalue()
    return contents


FORMS = {
    "stored bundle": lambda folder, files: bundles.bundle(folder, files, zipfile.ZIP_STORED),
    "deflated bundle": lambda folder, files: bundles.bundle(folder, files, zipfile.ZIP_DEFLATED),
    "loose": bundles.loose,
    "zipped one by one": lambda folder, files: bundles.loose(folder, zipped(files)),
}


@pytest.mark.parametrize("lay", FORMS.values(), ids=FORMS)
def test_files_are_read_in_every_form_without_unpacking(tmp_path, lay):
    files = bundles.digits()
    lay(tmp_path / COMPETITION, files)
    before = sorted(tmp_path.rglob("*.*"))
    check(load(tmp_path), files)
    assert sorted(path for path in tmp_path.rglob("*.*") if ".cache" not in path.parts) == before


def shuffled(text):
    """The table with its columns in another order."""
    rows = [line.split(",") for line in text.decode().splitlines()]
    order = np.random.default_rng(0).permutation(len(rows[0]))
    return "\n".join(",".join(row[column] for column in order) for row in rows).encode()


def unusual(text):
    header, first, second, *rest = text.decode().splitlines()
    quoted = '"' + header.replace(",", '","') + '"'
    return "\n".join([quoted, f"00{first}", second.replace(",", " , ", 3), *rest]).encode()


WAYS = {
    "crlf": lambda text: text.replace(b"\n", b"\r\n"),
    "no final newline": lambda text: text.rstrip(b"\n"),
    "byte order mark, crlf": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n").rstrip(b"\r\n"),
    "empty lines at the end": lambda text: text + b"\n\r\n\n",
    "unusual numbers": unusual,
    "columns in another order": shuffled,
}


@pytest.mark.parametrize("change", WAYS.values(), ids=WAYS)
def test_every_way_to_write_a_table_is_read(tmp_path, monkeypatch, change):
    monkeypatch.setattr(pixel_tables, "BLOCK", 5000)
    files = bundles.digits()
    bundles.loose(
        tmp_path / COMPETITION, {name: change(text) if "sub" not in name else text for name, text in files.items()}
    )
    check(load(tmp_path), files)


def test_labels_above_255_are_read_as_they_are(tmp_path):
    competition = dataclasses.replace(
        competitions.get(COMPETITION), class_names=tuple(f"class {number}" for number in range(1000))
    )
    files = bundles.digits()
    header, *rows = files["train.csv"].decode().splitlines()
    labels = np.arange(len(rows)) * 33
    lines = [header, *(f"{label},{row.split(',', 1)[1]}" for label, row in zip(labels, rows, strict=True))]
    folder = bundles.loose(tmp_path / COMPETITION, files | {"train.csv": "\n".join(lines).encode()})
    dataset = kaggle_source.load(competition, kaggle_files.KaggleFiles(competition, folder))
    np.testing.assert_array_equal(dataset.train_labels, labels)


# --- what is refused


def line(number, change):
    """Spoil one line of a file, counted as an editor does."""

    def spoil(text):
        lines = text.decode().split("\n")
        lines[number - 1] = change(lines[number - 1])
        return "\n".join(lines).encode()

    return spoil


def column(number, value):
    """Put a value into a column of a line, counted from 1."""

    def change(text):
        fields = text.split(",")
        fields[number - 1] = value
        return ",".join(fields)

    return change


MALFORMED = {
    "empty file": ("train.csv", lambda text: b"", ["line 1"]),
    "only empty lines": ("test.csv", lambda text: b"\n\n", ["line 1"]),
    "header only": ("train.csv", lambda text: text.split(b"\n")[0] + b"\n", ["line 2"]),
    "no header": ("test.csv", lambda text: text.split(b"\n", 1)[1], ["line 1", "header"]),
    "not utf-8": ("train.csv", lambda text: text.decode().encode("utf-16"), ["line 1", "UTF-8"]),
    "endless header": ("train.csv", lambda text: b"label," + b"7" * 600_000, ["line 1"]),
    "endless line": ("train.csv", line(9, lambda text: text + "," * 900_000), ["line 9"]),
    "missing column": ("train.csv", line(1, lambda text: text.replace(",pixel300,", ",")), ["line 1", "'pixel300'"]),
    "extra column": ("test.csv", line(1, lambda text: text + ",weight"), ["line 1", "column 785 'weight'"]),
    "duplicate column": ("train.csv", line(1, column(10, "pixel3")), ["'pixel3'", "5 and 10"]),
    "short and long row": (
        "train.csv",
        lambda text: line(9, lambda row: row + ",1")(line(8, lambda row: row[: row.rindex(",")])(text)),
        ["line 8", "784 columns"],
    ),
    "empty line": ("train.csv", line(12, lambda text: ""), ["line 12"]),
    "256": ("train.csv", line(5, column(12, "256")), ["line 5, column 12 'pixel10'", "0 to 255"]),
    "thousands": ("train.csv", line(31, column(785, "1000")), ["line 31, column 785 'pixel783'"]),
    "endless number": ("train.csv", line(4, column(3, "1" * 5000)), ["line 4, column 3 'pixel1'"]),
    "fraction": ("train.csv", line(5, column(12, "0.5")), ["line 5, column 12 'pixel10'", "'0.5'"]),
    "empty field": ("train.csv", line(6, column(785, "")), ["line 6, column 785 'pixel783'"]),
    "other digits": ("train.csv", line(4, column(9, "٣")), ["line 4, column 9 'pixel7'"]),
    "label of no class": ("train.csv", line(7, column(1, "10")), ["line 7, column 'label'", "10", "0 to 9"]),
    "rows to predict are missing": ("test.csv", lambda text: text[: text.rindex(b"\n", 0, -1)], ["19 rows", "20"]),
    "sample with another header": ("sample_submission.csv", line(1, lambda text: "id,label"), ["line 1", "ImageId"]),
    "sample without rows": ("sample_submission.csv", lambda text: b"ImageId,Label\n", ["line 2"]),
    "sample id twice": ("sample_submission.csv", line(4, lambda text: "2,0"), ["line 4", "'ImageId'", "line 3"]),
    "sample id no number": ("sample_submission.csv", line(4, lambda text: "x,0"), ["line 4", "'ImageId'", "'x'"]),
    "sample with an empty line": ("sample_submission.csv", line(4, lambda text: ""), ["line 4"]),
    "sample not utf-8": ("sample_submission.csv", lambda text: text + b"\xff,\n", ["UTF-8"]),
}


@pytest.mark.parametrize(("name", "spoil", "named"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_names_row_column_and_remedy(tmp_path, monkeypatch, name, spoil, named):
    monkeypatch.setattr(pixel_tables, "BLOCK", 6000)  # so that lines are counted over several blocks
    files = bundles.digits()
    bundles.bundle(tmp_path / COMPETITION, files | {name: spoil(files[name])})
    with pytest.raises(UserError) as raised:
        load(tmp_path)
    message = str(raised.value)
    for word in [f"digit-recognizer.zip: {name}", *named, "python -m kit.download digit-recognizer"]:
        assert word in message
    assert "\n" not in message
    assert len(message) < 450


@pytest.mark.parametrize("missing", ["train.csv", "test.csv", "sample_submission.csv"])
def test_a_missing_file_is_named(tmp_path, missing):
    files = bundles.digits()
    del files[missing]
    bundles.loose(tmp_path / "loose" / COMPETITION, files)
    bundles.bundle(tmp_path / "bundle" / COMPETITION, files)
    for folder in (tmp_path / "loose", tmp_path / "bundle"):
        with pytest.raises(UserError, match=missing):
            load(folder)


NUMBERS = st.one_of(
    st.integers(0, 255).map(str),
    st.sampled_from(["0", "00", "007", "255", "0255", " 3", '"4"', '""5""', '"7', '" 8 "']),
)
LAYOUT = pixel_tables.Layout(["b", "c"], "a", 300, 1000)


def read(text):
    """What the reader makes of a table with the columns a (labels), b and c; of a refused one its error."""
    try:
        pixels, labels = pixel_tables.read(io.BytesIO(text), "x.csv", LAYOUT, "mend it")
    except UserError as error:
        return str(error)
    return np.column_stack([labels, pixels]).tolist()


@settings(QUICK, max_examples=150)
@given(
    rows=st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=8),
    ends=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    block=st.integers(1, 40),
)
def test_any_table_reads_as_python_would_read_it(monkeypatch, rows, ends, last, block):
    monkeypatch.setattr(pixel_tables, "BLOCK", block)
    text = ends.join(["a,b,c", *(",".join(row) for row in rows)]) + (ends if last else "")
    wanted = [[int(field.strip().strip('"')) for field in row] for row in rows if '" 8 "' not in row]
    found = read(text.encode())
    assert isinstance(found, str) if any('" 8 "' in row for row in rows) else found == wanted


@settings(QUICK, max_examples=250)
@given(
    place=st.integers(0, 40),
    byte=st.sampled_from(b'0159,\n\r. -"x\xff\x00'),
    insert=st.booleans(),
    block=st.integers(1, 60),
)
def test_any_changed_byte_gives_the_same_as_the_careful_reader(monkeypatch, place, byte, insert, block):
    """The quick reader never makes other numbers out of a file than the careful one, nor accepts more."""
    monkeypatch.setattr(pixel_tables, "BLOCK", block)
    text = bytearray(b"a,b,c\n0,10,255\n7,0,0\n255,255,255\n1,2,3\n299,20,3\n")
    text[6 + place : 6 + place + (not insert)] = bytes([byte])
    quick = read(bytes(text))
    with monkeypatch.context() as patch:
        patch.setattr(pixel_tables, "_parse", lambda block, columns: None)
        assert quick == read(bytes(text))


class Endless(io.RawIOBase):
    """Zeros without an end and without a line's end, as a sparse file of many gigabytes has them."""

    def readable(self):
        return True

    def readinto(self, buffer):
        return len(buffer)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory():
    for read in (
        lambda: tables.columns(Endless(), "labels.csv", ("id", "label"), "get it again."),
        lambda: id_tables.read(Endless(), "labels.csv", ("id", "label"), "get it again."),
    ):
        with pytest.raises(UserError, match=r"labels\.csv"):
            read()
