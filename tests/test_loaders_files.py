"""What may lie where a competition's files belong: damaged, hostile, endless or unreadable, it is one line at once."""

import builtins
import dataclasses
import os
import pathlib
import random
import tracemalloc
import zipfile

import bundles
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import competitions, loaders
from kit.errors import UserError
from kit.loaders import cache, kaggle_files, kaggle_source, zips

COMPETITION = "digit-recognizer"
POSIX = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and links are made otherwise there")
TINY = dataclasses.replace(competitions.get(COMPETITION), image_shape=(2, 2, 1), most_images=40)
FILES = {
    "sample_submission.csv": b"ImageId,Label\n1,0\n2,0\n",
    "test.csv": b"pixel0,pixel1,pixel2,pixel3\n1,2,3,4\n5,6,7,8\n",
    "train.csv": b"label,pixel0,pixel1,pixel2,pixel3\n" + b"7,0,128,255,9\n" * 20,
}


@pytest.fixture(autouse=True)
def kaggle_input(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")


def refused(folder, source="kaggle"):
    """The line with which a folder's files are refused."""
    with pytest.raises(UserError) as raised:
        loaders.load(COMPETITION, source, folder)
    message = str(raised.value)
    assert "\n" not in message
    return message


def read(folder):
    """What is in the files of the tiny competition, read anew."""
    return kaggle_source._read(TINY, kaggle_files.KaggleFiles(TINY, folder))


# --- what is no file


def pipe(path):
    os.mkfifo(path)


def sparse(path):
    path.touch()
    os.truncate(path, 20 << 30)


ODD = {
    "pipe": pipe,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path),
    "link to nowhere": lambda path: path.symlink_to(path.with_name("nowhere")),
    "folder": lambda path: path.mkdir(),
    "20 GB": sparse,
}


@POSIX
@pytest.mark.parametrize("put", ODD.values(), ids=ODD)
@pytest.mark.parametrize("source", ["auto", "kaggle"])
def test_what_lies_there_and_is_not_the_file_is_named(tmp_path, put, source):
    for name in (*FILES, f"{COMPETITION}.zip"):
        folder = bundles.loose(tmp_path / name / COMPETITION, {} if name.endswith(".zip") else bundles.digits())
        (folder / name).unlink(missing_ok=True)
        put(folder / name)
        assert str(folder / name) in refused(tmp_path / name, source)


@POSIX
@pytest.mark.parametrize("put", ODD.values(), ids=ODD)
def test_what_lies_in_the_place_of_a_cache_is_passed_over(tmp_path, put):
    folder = bundles.loose(tmp_path / COMPETITION, bundles.digits())
    right = loaders.load(COMPETITION, "kaggle", tmp_path)
    for name in (cache.CONTENTS, "train_images.npy"):
        (kept,) = (folder / ".cache").glob("arrays-*")
        (kept / name).unlink()
        put(kept / name)
        again = loaders.load(COMPETITION, "kaggle", tmp_path)
        np.testing.assert_array_equal(again.train_images, right.train_images)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_folder_that_cannot_be_is_named(tmp_path, name):
    assert "cannot be read" in refused(os.path.join(tmp_path, name), "auto")


@POSIX
def test_a_folder_in_a_loop_of_links_is_named(tmp_path):
    (tmp_path / COMPETITION).symlink_to(tmp_path / COMPETITION)
    assert str(tmp_path / COMPETITION) in refused(tmp_path, "auto")


@pytest.mark.parametrize(("module", "name"), [(os, "lstat"), (os, "scandir"), (builtins, "open")])
def test_what_may_not_be_read_is_named(tmp_path, monkeypatch, module, name):
    """Permissions are tried so because they mean nothing to the user root, under whom tests may run."""
    bundles.loose(tmp_path / "cifar-10", bundles.cifar())
    right = getattr(module, name)

    def forbid(path, *arguments, **options):
        if str(tmp_path) in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return right(path, *arguments, **options)

    monkeypatch.setattr(module, name, forbid)
    with pytest.raises(UserError, match="Permission denied") as raised:
        loaders.load("cifar-10", "kaggle", tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_disk_that_fails_while_it_is_read_is_named(tmp_path, monkeypatch):
    bundles.loose(tmp_path / COMPETITION, bundles.digits())

    class Failing:
        def read(self, size):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(kaggle_files, "_contents", lambda path, file, name, opened: (Failing(), 10))
    assert "Input/output error" in refused(tmp_path)


# --- larger than any of the competition's files


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("lay", [bundles.bundle, bundles.loose])
def test_a_file_larger_than_the_competitions_can_be_is_refused_unread(tmp_path, monkeypatch, name, lay):
    folder = tmp_path / COMPETITION
    lay(folder, FILES | {name: b"\n" * 100_000})
    monkeypatch.setattr(kaggle_files._Stream, "readinto", lambda *_: pytest.fail("it was read"))
    with pytest.raises(UserError, match=r"100,000 bytes"):
        kaggle_files.KaggleFiles(TINY, folder).open(name)


def test_what_kaggle_serves_is_far_from_the_bounds():
    """The longest that its tables can be, and 300,000 PNGs that no compression makes smaller."""
    digits, cifar = competitions.get(COMPETITION), competitions.get("cifar-10")
    assert kaggle_files._largest(digits, "train.csv") > 3 * 42_000 * 785 * len("255,")
    assert kaggle_files._largest(digits, "sample_submission.csv") > 3 * 28_000 * len("28000,0\n")
    assert kaggle_files._largest(cifar, "test.7z") > 2 * 300_000 * len(bundles.png(bundles.noise(1)[0]))
    assert kaggle_files._largest(cifar, "sampleSubmission.csv") > 3 * 300_000 * len("300000,automobile\n")


def test_more_rows_than_the_competition_has_images_are_refused(tmp_path):
    table = FILES["train.csv"] + b"1,0,0,0,0\n" * 21
    folder = bundles.loose(tmp_path, FILES | {"train.csv": table})
    with pytest.raises(UserError, match="more than 40 rows"):
        read(folder)


@pytest.mark.parametrize("filling", [b"\n", b"\r\n", b",", b"0", b" ,"])
def test_a_table_of_nonsense_takes_no_memory(tmp_path, filling):
    competition = dataclasses.replace(TINY, most_images=1_000_000)
    table = FILES["train.csv"] + filling * (20_000_000 // len(filling))
    folder = bundles.bundle(tmp_path / COMPETITION, FILES | {"train.csv": table}).parent
    tracemalloc.start()
    try:
        kaggle_source._read(competition, kaggle_files.KaggleFiles(competition, folder))
    except UserError:
        assert filling.strip()  # empty lines at the end do no harm
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 15_000_000


# --- zips


def test_a_directory_larger_than_a_bundles_is_refused_unread(tmp_path, monkeypatch):
    bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    monkeypatch.setattr(zips, "LARGEST_DIRECTORY", 100)
    assert "directory is too large" in refused(tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_decompress_without_bound_are_refused(tmp_path, method):
    bundles.bundle(tmp_path / COMPETITION, bundles.digits(), method)
    assert "is compressed" in refused(tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_bundle_is_refused(tmp_path, keep):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    message = refused(tmp_path)
    assert str(path) in message
    assert "python -m kit.download digit-recognizer" in message


@pytest.mark.parametrize("name", ["/etc/passwd", "a/../../b.csv", "C:\\x.csv", "..\\x.csv"])
def test_a_bundle_with_a_member_that_points_outside_is_refused(tmp_path, name):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits() | {name: b"x"})
    assert "points outside" in refused(tmp_path)
    assert sorted(tmp_path.rglob("*.*")) == [path]


def test_a_bundle_with_a_file_twice_is_refused(tmp_path):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("train.csv", b"label\n")
    assert "train.csv 2 times" in refused(tmp_path)


def test_an_encrypted_bundle_is_refused(tmp_path):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    content = path.read_bytes()
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # set "encrypted" in every header
        start = -1
        while (start := content.find(mark, start + 1)) >= 0:
            content = content[: start + place] + bytes([content[start + place] | 1]) + content[start + place + 1 :]
    path.write_bytes(content)
    assert "encrypted" in refused(tmp_path)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["anywhere", "directory", "cut", "moved"]),
)
def test_no_changed_bundle_reads_as_other_data_or_ends_in_a_traceback(tmp_path, method, seed, kind):
    path = bundles.bundle(tmp_path / COMPETITION, FILES, method)
    content, draw = bytearray(path.read_bytes()), random.Random(seed)
    directory = content.index(b"PK\x01\x02")
    if kind == "cut":
        start = draw.randrange(len(content))
        del content[start : start + draw.randrange(1, 60)]
    elif kind == "moved":
        content[draw.randrange(len(content)) :] = content[draw.randrange(len(content)) :]
    else:
        for _ in range(draw.choice([1, 2, 8])):
            place = draw.randrange(directory if kind == "directory" else 0, len(content))
            content[place] = draw.choice([0, 1, 0x7F, 0xFF, draw.randrange(256)])
    path.write_bytes(content)
    try:
        arrays = read(path.parent)
    except UserError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 – either is right
        return
    right = read(bundles.loose(tmp_path / "right", FILES))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, right[name])


def test_a_home_is_not_needed(tmp_path, monkeypatch):
    """As in `docker run --user 1234`: no HOME, and a user that the system does not know."""

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(pathlib.Path, "home", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME")
    folder = bundles.loose(tmp_path / COMPETITION, bundles.digits())
    (folder / ".cache").write_text("in the way")
    assert len(loaders.load(COMPETITION, "kaggle", tmp_path).train_images) == 30
