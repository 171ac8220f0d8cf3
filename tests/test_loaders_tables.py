import io
import zipfile

import bundles
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import loaders
from kit.errors import UserError
from kit.loaders import kaggle_files, pixel_tables

COMPETITION = "digit-recognizer"


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))


def expected(files):
    """What the files hold, read the plain way."""
    train, test = (
        np.loadtxt(io.StringIO(files[name].decode("utf-8-sig")), delimiter=",", skiprows=1, dtype=int, ndmin=2)
        for name in ("train.csv", "test.csv")
    )
    return train[:, 1:].reshape(-1, 28, 28, 1), train[:, 0], test.reshape(-1, 28, 28, 1)


def check(dataset, files):
    train_images, train_labels, test_images = expected(files)
    np.testing.assert_array_equal(dataset.train_images, train_images)
    np.testing.assert_array_equal(dataset.train_labels, train_labels)
    np.testing.assert_array_equal(dataset.test_images, test_images)
    np.testing.assert_array_equal(dataset.test_ids, np.arange(1, len(test_images) + 1))
    assert {dataset.train_images.dtype, dataset.train_labels.dtype, dataset.test_images.dtype} == {np.dtype(np.uint8)}
    assert dataset.test_ids.dtype == np.int64


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_bundle_is_read_without_unpacking(tmp_path, compression):
    files = bundles.digits()
    folder = bundles.bundle(tmp_path / COMPETITION, files, compression).parent
    check(loaders.load(COMPETITION, "kaggle", tmp_path), files)
    assert not list(folder.rglob("*.csv"))


def test_loose_files_are_read(tmp_path):
    files = bundles.digits()
    bundles.loose(tmp_path / COMPETITION, files)
    check(loaders.load(COMPETITION, "kaggle", tmp_path), files)


def test_csvs_zipped_one_by_one_are_read(tmp_path):
    files = bundles.digits()
    for name, content in files.items():
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr(name, content)
        bundles.loose(tmp_path / COMPETITION, {f"{name}.zip": zipped.getvalue()})
    check(loaders.load(COMPETITION, "kaggle", tmp_path), files)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text + b"\n\r\n\n",
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n").rstrip(b"\r\n"),
    ],
    ids=["crlf", "no final newline", "byte order mark", "empty lines at the end", "all together"],
)
def test_harmless_ways_to_write_a_csv_are_accepted(tmp_path, change):
    files = bundles.digits()
    bundles.loose(tmp_path / COMPETITION, {name: change(content) for name, content in files.items()})
    check(loaders.load(COMPETITION, "kaggle", tmp_path), files)


def test_unusual_ways_to_write_numbers_are_accepted(tmp_path):
    files = bundles.digits()
    lines = files["train.csv"].decode().splitlines()
    unusual = [f'"{lines[0]}"'.replace(",", '","'), f"00{lines[1]}", lines[2].replace(",", " , ", 3), *lines[3:]]
    bundles.loose(tmp_path / COMPETITION, files | {"train.csv": "\n".join(unusual).encode()})
    check(loaders.load(COMPETITION, "kaggle", tmp_path), files)


def test_columns_in_another_order_are_sorted(tmp_path):
    files = bundles.digits()
    order = np.random.default_rng(0).permutation(785)
    rows = [line.split(",") for line in files["train.csv"].decode().splitlines()]
    shuffled = "\n".join(",".join(row[place] for place in order) for row in rows)
    bundles.loose(tmp_path / COMPETITION, files | {"train.csv": shuffled.encode()})
    check(loaders.load(COMPETITION, "kaggle", tmp_path), files)


def test_tables_of_many_blocks_are_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_tables, "BLOCK", 5000)
    files = bundles.digits()
    bundles.bundle(tmp_path / COMPETITION, files)
    check(loaders.load(COMPETITION, "kaggle", tmp_path), files)


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
    "empty file": ("train.csv", lambda text: b"", ["train.csv, line 1", "empty"]),
    "only empty lines": ("test.csv", lambda text: b"\n\n", ["test.csv, line 1", "empty"]),
    "header only": ("train.csv", lambda text: text.split(b"\n")[0] + b"\n", ["train.csv, line 2", "no rows"]),
    "no header": ("test.csv", lambda text: text.split(b"\n", 1)[1], ["test.csv, line 1", "header"]),
    "not utf-8": ("train.csv", lambda text: text.decode().encode("utf-16"), ["train.csv, line 1", "UTF-8"]),
    "a picture": ("train.csv", lambda text: b"\x89PNG\r\n\x1a\n" + bytes(900), ["train.csv, line 1"]),
    "endless header": ("train.csv", lambda text: b"label," + b"7" * 600_000, ["train.csv, line 1"]),
    "endless line": ("train.csv", line(9, lambda text: text + "," * 900_000), ["train.csv, line 9", "columns"]),
    "only a byte order mark": ("train.csv", lambda text: b"\xef\xbb\xbf", ["train.csv, line 1", "empty"]),
    "missing column": ("train.csv", line(1, lambda text: text.replace(",pixel300,", ",")), ["line 1", "'pixel300'"]),
    "missing label": ("train.csv", line(1, column(1, "pixel784")), ["line 1", "'label'"]),
    "extra column": ("test.csv", line(1, lambda text: text + ",weight"), ["line 1", "column 785 'weight'"]),
    "labels to predict": ("test.csv", line(1, lambda text: "label," + text), ["line 1", "column 1 'label'"]),
    "wrong pixel count": ("train.csv", line(1, lambda text: text.rsplit(",", 84)[0]), ["'pixel700'", "701", "785"]),
    "duplicate header": ("train.csv", line(1, column(10, "pixel3")), ["'pixel3'", "5 and 10"]),
    "short row": ("train.csv", line(17, lambda text: text.rsplit(",", 1)[0]), ["line 17", "784 columns", "785"]),
    "long row": ("test.csv", line(3, lambda text: text + ",5"), ["line 3", "785 columns", "784"]),
    "short and long row": (
        "train.csv",
        lambda text: line(9, lambda row: row + ",1")(line(8, lambda row: row[: row.rindex(",")])(text)),
        ["line 8", "784 columns"],
    ),
    "empty line": ("train.csv", line(12, lambda text: ""), ["line 12", "empty"]),
    "256": ("train.csv", line(5, column(12, "256")), ["line 5, column 12 'pixel10'", "256", "0 to 255"]),
    "300": ("train.csv", line(5, column(2, "300")), ["line 5, column 2 'pixel0'", "300"]),
    "999": ("test.csv", line(2, column(784, "999")), ["line 2, column 784 'pixel783'", "999"]),
    "thousands": ("train.csv", line(31, column(785, "1000")), ["line 31, column 785 'pixel783'", "1000"]),
    "endless number": ("train.csv", line(4, column(3, "1" * 5000)), ["line 4, column 3 'pixel1'", "0 to 255"]),
    "negative": ("train.csv", line(5, column(12, "-1")), ["line 5, column 12 'pixel10'", "-1"]),
    "fraction": ("train.csv", line(5, column(12, "0.5")), ["line 5, column 12 'pixel10'", "'0.5'"]),
    "text": ("test.csv", line(21, column(1, "seven")), ["line 21, column 1 'pixel0'", "'seven'"]),
    "nan": ("train.csv", line(2, column(12, "NaN")), ["line 2, column 12 'pixel10'", "'NaN'"]),
    "empty field": ("train.csv", line(6, column(1, "")), ["line 6, column 1 'label'", "empty"]),
    "empty field at the end": ("train.csv", line(6, column(785, "")), ["line 6, column 785 'pixel783'", "empty"]),
    "another separator": ("train.csv", lambda text: text.replace(b",", b";"), ["line 1", "'label'"]),
    "other digits": ("train.csv", line(4, column(9, "٣")), ["line 4, column 9 'pixel7'"]),
    "a zero byte": ("train.csv", line(4, column(9, "\0")), ["line 4, column 9 'pixel7'"]),
    "no class": ("train.csv", line(7, column(1, "10")), ["train.csv, line 7, column 'label'", "10", "0 to 9"]),
    "rows to predict are missing": ("test.csv", lambda text: text[: text.rindex(b"\n", 0, -1)], ["19 rows", "20"]),
    "sample too short": ("sample_submission.csv", lambda text: b"ImageId,Label\n1,0\n", ["20 rows", "has 1"]),
    "sample with another header": (
        "sample_submission.csv",
        line(1, lambda text: "id,label"),
        ["line 1", "ImageId,Label"],
    ),
    "sample without rows": ("sample_submission.csv", lambda text: b"ImageId,Label\n", ["line 2", "no rows"]),
    "sample empty": ("sample_submission.csv", lambda text: b"", ["sample_submission.csv, line 1"]),
    "sample id twice": ("sample_submission.csv", line(4, lambda text: "2,0"), ["line 4", "'ImageId'", "line 3"]),
    "sample id no number": ("sample_submission.csv", line(4, lambda text: "x,0"), ["line 4", "'ImageId'", "'x'"]),
    "sample with a third field": ("sample_submission.csv", line(4, lambda text: "3,0,0"), ["line 4", "3 columns"]),
    "sample with an empty line": ("sample_submission.csv", line(4, lambda text: ""), ["line 4", "empty"]),
    "sample not utf-8": ("sample_submission.csv", lambda text: text + b"\xff,\n", ["sample_submission.csv", "UTF-8"]),
}


@pytest.mark.parametrize(("name", "spoil", "words"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_names_row_column_and_remedy(tmp_path, name, spoil, words):
    files = bundles.digits()
    bundles.bundle(tmp_path / COMPETITION, files | {name: spoil(files[name])})
    with pytest.raises(UserError) as raised:
        loaders.load(COMPETITION, "kaggle", tmp_path)
    message = str(raised.value)
    for word in [name, *words, f"digit-recognizer.zip: {name}", "python -m kit.download digit-recognizer"]:
        assert word in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("at", ["first", "middle", "last"])
def test_errors_in_any_block_name_the_right_line(tmp_path, monkeypatch, at):
    monkeypatch.setattr(pixel_tables, "BLOCK", 6000)
    number = {"first": 2, "middle": 17, "last": 31}[at]
    files = bundles.digits()
    files["train.csv"] = line(number, column(400, "x"))(files["train.csv"])
    bundles.bundle(tmp_path / COMPETITION, files)
    with pytest.raises(UserError, match=rf"line {number}, column 400 'pixel398'"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


@pytest.mark.parametrize("missing", ["train.csv", "test.csv", "sample_submission.csv"])
def test_a_missing_file_is_named(tmp_path, missing):
    files = bundles.digits()
    del files[missing]
    bundles.loose(tmp_path / COMPETITION, files)
    with pytest.raises(UserError, match=f"{missing} is missing"):
        loaders.load(COMPETITION, "kaggle", tmp_path)
    for path in (tmp_path / COMPETITION).glob("*.csv"):
        path.unlink()
    bundles.bundle(tmp_path / COMPETITION, files)
    with pytest.raises(UserError, match=f"has no {missing}"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_bundle_is_refused(tmp_path, keep):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(UserError, match=r"digit-recognizer\.zip is damaged or truncated.*kit\.download"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


def test_a_bundle_with_a_changed_byte_is_refused(tmp_path):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"digit-recognizer\.zip"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../outside.csv", "a/../../b.csv", "C:\\x.csv", "..\\x.csv", "C:x.csv"]
)
def test_a_bundle_with_a_member_that_points_outside_is_refused(tmp_path, name):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits() | {name: b"x"})
    with pytest.raises(UserError, match=r"points outside"):
        loaders.load(COMPETITION, "kaggle", tmp_path)
    assert sorted(tmp_path.rglob("*.*")) == [path]


def test_a_bundle_with_a_file_twice_is_refused(tmp_path):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("train.csv", b"label\n")
    with pytest.raises(UserError, match=r"has train\.csv 2 times"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


def test_an_encrypted_bundle_is_refused(tmp_path):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    content = path.read_bytes()
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # set "encrypted" in every header
        start = -1
        while (start := content.find(mark, start + 1)) >= 0:
            content = content[: start + place] + bytes([content[start + place] | 1]) + content[start + place + 1 :]
    path.write_bytes(content)
    with pytest.raises(UserError, match="encrypted"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


NUMBERS = st.one_of(st.integers(0, 255).map(str), st.sampled_from(["0", "00", "007", "255", "0255", " 3", '"4"']))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=8),
    ends=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    block=st.integers(1, 40),
)
def test_any_table_reads_as_python_would_read_it(monkeypatch, rows, ends, last, block):
    monkeypatch.setattr(pixel_tables, "BLOCK", block)
    text = ends.join(["a,b,c", *(",".join(row) for row in rows)]) + (ends if last else "")
    table = pixel_tables.read(io.BytesIO(text.encode()), "x.csv", ["a", "b", "c"], "mend it")
    np.testing.assert_array_equal(table, [[int(field.strip('" ')) for field in row] for row in rows])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    place=st.integers(0, 40),
    byte=st.sampled_from(b'0159,\n\r. -"x\xff\x00'),
    insert=st.booleans(),
    block=st.integers(1, 60),
)
def test_any_changed_byte_gives_the_same_as_the_careful_reader(monkeypatch, place, byte, insert, block):
    """The quick reader never makes other numbers out of a file than the careful one, nor accepts more."""
    monkeypatch.setattr(pixel_tables, "BLOCK", block)
    text = bytearray(b"a,b,c\n0,10,255\n7,0,0\n255,255,255\n1,2,3\n100,20,3\n")
    text[6 + place : 6 + place + (not insert)] = bytes([byte])

    def read():
        try:
            return pixel_tables.read(io.BytesIO(text), "x.csv", ["a", "b", "c"], "mend it").tolist()
        except UserError as error:
            return str(error)

    quick = read()
    with monkeypatch.context() as patch:
        patch.setattr(pixel_tables, "_parse", lambda block, columns: None)
        assert quick == read()
