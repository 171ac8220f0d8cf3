"""Images in 7z archives: read as streams, and refused where they are damaged, hostile or incomplete."""

import contextlib
import io
import lzma
import os
import struct
import sys
import tracemalloc
import zipfile
import zlib

import bundles
import numpy as np
import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import loaders
from kit.errors import UserError
from kit.loaders import kaggle_files
from kit.loaders.seven_zip import BadSevenZip, SevenZip

COMPETITION = "cifar-10"
FILTERS = {
    "stored": bundles.STORED,
    "lzma": [{"id": py7zr.FILTER_LZMA, "preset": 6}],
    "lzma2": [{"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "py7zr's default": None,
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
}


@pytest.fixture(autouse=True)
def kaggle_input(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")


def check(dataset, train=30, test=20):
    np.testing.assert_array_equal(dataset.train_images, bundles.colours(train, 1))
    np.testing.assert_array_equal(dataset.test_images, bundles.colours(test, 2))
    np.testing.assert_array_equal(dataset.train_labels, np.arange(1, train + 1) % 10)
    np.testing.assert_array_equal(dataset.test_ids, np.arange(1, test + 1))


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_archives_in_a_bundle_are_read_in_numeric_order(tmp_path, filters):
    bundles.bundle(tmp_path / COMPETITION, bundles.cifar(filters=filters), zipfile.ZIP_STORED)
    check(loaders.load(COMPETITION, "kaggle", tmp_path))
    assert not list(tmp_path.rglob("*.png"))


def test_loose_archives_and_a_deflated_bundle_of_several_batches_are_read(tmp_path):
    bundles.loose(tmp_path / "loose" / COMPETITION, bundles.cifar())
    check(loaders.load(COMPETITION, "kaggle", tmp_path / "loose"))
    bundles.bundle(tmp_path / "deflated" / COMPETITION, bundles.cifar(300, 20), zipfile.ZIP_DEFLATED)
    check(loaders.load(COMPETITION, "kaggle", tmp_path / "deflated"), 300, 20)


@pytest.mark.parametrize("nested", [False, True])
def test_unpacked_folders_are_read_and_changes_in_them_noticed(tmp_path, nested):
    files = bundles.cifar()
    folder = bundles.loose(tmp_path / COMPETITION, files)
    for name in ("train", "test"):
        with py7zr.SevenZipFile(folder / f"{name}.7z") as archive:
            archive.extractall(folder / name if nested else folder)
        (folder / f"{name}.7z").unlink()
    check(loaders.load(COMPETITION, "kaggle", tmp_path))
    other = bundles.colours(1, 9)[0]
    (folder / "train" / ("train" if nested else "") / "5.png").write_bytes(bundles.png(other))
    np.testing.assert_array_equal(loaders.load(COMPETITION, "kaggle", tmp_path).train_images[4], other)


def test_a_closed_stderr_is_no_obstacle(tmp_path, monkeypatch):
    bundles.loose(tmp_path / COMPETITION, bundles.cifar())
    monkeypatch.setattr(sys, "stderr", None)
    check(loaders.load(COMPETITION, "kaggle", tmp_path))


def test_test_images_follow_the_sample_submission(tmp_path):
    files = bundles.cifar(test=4)
    files["sampleSubmission.csv"] = b"id,label\n3,cat\n1,cat\n4,cat\n2,cat\n"
    bundles.bundle(tmp_path / COMPETITION, files)
    dataset = loaders.load(COMPETITION, "kaggle", tmp_path)
    np.testing.assert_array_equal(dataset.test_ids, [3, 1, 4, 2])
    np.testing.assert_array_equal(dataset.test_images, bundles.colours(4, 2)[[2, 0, 3, 1]])


def test_training_labels_may_come_in_any_order(tmp_path):
    files = bundles.cifar()
    header, *rows = files["trainLabels.csv"].decode().splitlines()
    files["trainLabels.csv"] = "\n".join([header, *reversed(rows)]).encode()
    bundles.bundle(tmp_path / COMPETITION, files)
    check(loaders.load(COMPETITION, "kaggle", tmp_path))


def png_claiming(width, height):
    """A PNG of few bytes that says it has that many pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def replaced(images, **changed):
    """The members of train.7z with some changed; None removes one."""
    changed = {f"train/{name.strip('_')}.png": content for name, content in changed.items()}
    return {name: content for name, content in (images | changed).items() if content is not None}


GOOD = bundles.members("train", bundles.colours(30, 1))
WIDE = bundles.png(np.zeros((32, 33, 3), np.uint8))
SPOILED_TRAIN = {
    "missing": (replaced(GOOD, _7=None, _19=None), ["7.png is missing", "2 images", "trainLabels.csv"]),
    "extra": (replaced(GOOD, _31=GOOD["train/1.png"]), ["train/31.png", "trainLabels.csv"]),
    "wrong size": (replaced(GOOD, _12=WIDE), ["train/12.png", "33×32", "32×32"]),
    "not a png": (replaced(GOOD, _12=b"GIF89a" + bytes(100)), ["train/12.png", "not a PNG"]),
    "empty png": (replaced(GOOD, _12=b""), ["train/12.png", "not a PNG"]),
    "damaged png": (replaced(GOOD, _12=GOOD["train/12.png"][:90]), ["train/12.png", "damaged PNG"]),
    "bomb of pixels": (replaced(GOOD, _12=png_claiming(2**31 - 1, 2**31 - 1)), ["train/12.png", "pixels"]),
    "bomb of bytes": (replaced(GOOD, _12=bytes(1 << 20)), ["train/12.png", "too large"]),
    "size claimed wrongly": (replaced(GOOD, _12=png_claiming(32, 32)), ["train/12.png", "damaged PNG"]),
    "climbing": (GOOD | {"../31.png": b"x"}, ["points outside", "../31.png"]),
    "absolute": (GOOD | {"/tmp/31.png": b"x"}, ["points outside", "/tmp/31.png"]),
    "drive": (GOOD | {"C:\\31.png": b"x"}, ["points outside"]),
    "another file": (GOOD | {"train/readme.txt": b"x"}, ["train/readme.txt", "does not belong"]),
    "id with zeros": (GOOD | {"train/001.png": GOOD["train/1.png"]}, ["train/001.png", "does not belong"]),
    "twice": (GOOD | {"1.png": GOOD["train/1.png"]}, ["1.png", "twice"]),
    "empty archive": ({}, ["1.png is missing", "30 images"]),
}


@pytest.mark.parametrize(("members", "named"), SPOILED_TRAIN.values(), ids=SPOILED_TRAIN)
def test_a_wrong_or_hostile_archive_is_named_and_refused(tmp_path, members, named):
    bundles.bundle(tmp_path / COMPETITION, bundles.cifar() | {"train.7z": bundles.seven_zip(members)})
    with pytest.raises(UserError) as raised:
        loaders.load(COMPETITION, "kaggle", tmp_path)
    for word in ["cifar-10.zip: train.7z", *named]:
        assert word in str(raised.value)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["cifar-10.zip"]


def test_a_missing_image_names_what_has_its_id_and_how_to_mend_it(tmp_path):
    images = bundles.members("test", bundles.colours(20, 2))
    del images["test/20.png"]
    folder = bundles.loose(tmp_path / COMPETITION, bundles.cifar() | {"test.7z": bundles.seven_zip(images)})
    with pytest.raises(UserError, match=r"test\.7z: 20\.png is missing .*sampleSubmission\.csv has its id"):
        loaders.load(COMPETITION, "kaggle", tmp_path)
    with py7zr.SevenZipFile(folder / "train.7z") as archive:
        archive.extractall(folder)
    (folder / "train/3.png").unlink()
    with pytest.raises(UserError, match=r"cifar-10.train: 3\.png is missing.*unpack train\.7z again"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="pipes, devices and links are made otherwise there")
@pytest.mark.parametrize(
    "put",
    [
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
        lambda path: path.write_bytes(bytes(1 << 20)),
    ],
    ids=["pipe", "endless", "loop", "too large"],
)
def test_what_lies_in_an_unpacked_folder_and_is_not_an_image_is_named(tmp_path, put):
    folder = bundles.loose(tmp_path / COMPETITION, bundles.cifar())
    with py7zr.SevenZipFile(folder / "train.7z") as archive:
        archive.extractall(folder)
    (folder / "train/3.png").unlink()
    put(folder / "train/3.png")
    with pytest.raises(UserError, match=r"3\.png"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ("1,frog\n2,tiger\n", ["line 3", "'tiger'", "airplane"]),
        ("1,frog\n1,cat\n", ["line 3", "'id'", "line 2"]),
        ("1,frog\nx,cat\n", ["line 3", "'id'", "'x'"]),
        ("1,frog\n2\n", ["line 3", "1 columns"]),
        ("", ["line 2", "no rows"]),
    ],
)
def test_wrong_labels_name_the_line(tmp_path, rows, named):
    bundles.bundle(tmp_path / COMPETITION, bundles.cifar() | {"trainLabels.csv": f"id,label\n{rows}".encode()})
    with pytest.raises(UserError) as raised:
        loaders.load(COMPETITION, "kaggle", tmp_path)
    for word in ["trainLabels.csv", *named]:
        assert word in str(raised.value)


@pytest.mark.parametrize("keep", [0, 20, 40, 0.5, 0.999])
def test_a_truncated_archive_is_refused(tmp_path, keep):
    files = bundles.cifar(filters=FILTERS["lzma"])
    files["test.7z"] = files["test.7z"][: int(keep * len(files["test.7z"])) if keep < 1 else keep]
    bundles.loose(tmp_path / COMPETITION, files)
    with pytest.raises(UserError, match=r"test\.7z cannot be read.*kit\.download cifar-10"):
        loaders.load(COMPETITION, "kaggle", tmp_path)


def read(archive: bytes) -> dict[str, bytes]:
    opened = SevenZip(io.BytesIO(archive), most_members=100)
    contents = list(opened.contents())
    assert [len(content) for content in contents] == [member.size for member in opened.members]
    return dict(zip([member.name for member in opened.members], contents, strict=True))


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_no_changed_or_missing_byte_of_an_archive_goes_unnoticed(filters):
    """Each byte in turn, of a small archive: the contents are right, or it is refused."""
    contents = {"a/1": bytes(range(200)), "a/2": b"", "a/3": b"xyz" * 50}
    right = bundles.seven_zip(contents, filters)
    assert read(right) == contents
    harmless = 0
    for place in range(len(right)):
        changed = right[:place] + bytes([right[place] ^ 0xFF]) + right[place + 1 :]
        with contextlib.suppress(BadSevenZip):
            assert read(changed) == contents
            harmless += 1
        with pytest.raises(BadSevenZip):
            read(right[:place])
    assert harmless < 20  # the version's two bytes, and padding


@settings(max_examples=250, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)),
        min_size=1,
        max_size=4,
    )
)
def test_a_directory_of_nonsense_is_refused_or_read_as_it_says(changes):
    """Hostile directories that carry right checksums, which the changed bytes above cannot have."""
    directory = bytearray(plain_directory())
    for place, byte in changes:
        directory[place % len(directory)] = byte
    with contextlib.suppress(BadSevenZip):
        read(with_directory(bytes(range(30)), bytes(directory)))


def plain_directory() -> bytes:
    """The directory of an archive with two stored files, "a" of 10 and "b" of 20 bytes."""
    streams = bytes([4, 6, 0, 1, 9, 30, 0, 7, 11, 1, 0, 1, 1, 0, 12, 30, 0, 8, 13, 2, 9, 10, 0, 0])
    names = b"\0" + "a\0b\0".encode("utf-16-le")
    return bytes([1]) + streams + bytes([5, 2, 0x11, len(names)]) + names + bytes([0, 0])


def with_directory(packed: bytes, directory: bytes) -> bytes:
    start = struct.pack("<QQI", len(packed), len(directory), zlib.crc32(directory))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + packed + directory


def test_a_plain_directory_is_read():
    packed = bytes(range(30))
    assert read(with_directory(packed, plain_directory())) == {"a": packed[:10], "b": packed[10:]}


def number(value: int) -> bytes:
    """A number of the format in nine bytes."""
    return b"\xff" + value.to_bytes(8, "little")


@pytest.mark.parametrize("value", [101, 2**31, 2**62])
@pytest.mark.parametrize("place", [3, 5, 6, 8, 11, 20, 25])
def test_absurd_numbers_in_a_directory_are_refused_before_they_take_memory(place, value):
    """Where the streams lie, how many and how long they are, what comes out of them, how many files there are."""
    directory = plain_directory()
    hostile = with_directory(bytes(range(30)), directory[:place] + number(value) + directory[place + 1 :])
    tracemalloc.start()
    with pytest.raises(BadSevenZip):
        read(hostile)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_directory_larger_than_so_many_members_need_is_refused_unread():
    for offset, size in ((2**63, 10), (30, 10**9)):
        start = struct.pack("<QQI", offset, size, 0)
        archive = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start
        with pytest.raises(BadSevenZip, match="too large"):
            read(archive)
    zeros = lzma.compress(bytes(10**7), lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
    streams = [
        b"\x17\x06\0\x01\x09",
        number(len(zeros)),
        b"\0\x07\x0b\x01\0\x01\x21\x21\x01\x18\x0c",
        number(10**7),
        b"\0\0",
    ]
    with pytest.raises(BadSevenZip):
        read(with_directory(zeros, b"".join(streams)))


def test_an_encrypted_archive_is_refused():
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w", password="secret") as writer:
        writer.writestr(b"abc", "1.png")
    with pytest.raises(BadSevenZip, match="encrypted"):
        read(stream.getvalue())


def test_an_archive_that_asks_for_gigabytes_is_refused():
    """A dictionary of 3 GB, for contents that claim to be as large."""
    directory = bytes([1, 4, 6, 0, 1, 9, 30, 0, 7, 11, 1, 0, 1, 0x21, 0x21, 1, 39, 12, 0xF0, 0, 0, 0, 0x80, 0])
    names = b"\0" + "a\0".encode("utf-16-le")
    directory += bytes([0, 5, 1, 0x11, len(names)]) + names + bytes([0, 0])
    archive = SevenZip(io.BytesIO(with_directory(bytes(30), directory)), most_members=10)
    assert archive.members[0].size == 1 << 31
    with pytest.raises(BadSevenZip, match="memory"):
        list(archive.contents())


def test_folders_in_an_archive_are_passed_over(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    for number, image in enumerate(bundles.colours(30, 1), 1):
        (folder / f"{number}.png").write_bytes(bundles.png(image))
    with py7zr.SevenZipFile(tmp_path / "train.7z", "w") as writer:
        writer.writeall(folder, "train")
    files = bundles.cifar() | {"train.7z": (tmp_path / "train.7z").read_bytes()}
    bundles.bundle(tmp_path / COMPETITION, files)
    check(loaders.load(COMPETITION, "kaggle", tmp_path))
