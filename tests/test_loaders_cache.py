import json
import os
import pathlib
import shutil
import subprocess
import sys
import zlib

import bundles
import numpy as np
import pytest

from kit import loaders
from kit.loaders import cache, kaggle_files, kaggle_source

COMPETITION = "digit-recognizer"


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))


@pytest.fixture
def readings(monkeypatch):
    """Counts how often the files themselves are read."""
    counted = []
    read = kaggle_source._read

    def counting(*arguments):
        counted.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(kaggle_source, "_read", counting)
    return counted


def load(tmp_path):
    return loaders.load(COMPETITION, "kaggle", tmp_path)


def caches(tmp_path):
    return sorted((tmp_path / COMPETITION / ".cache").iterdir())


def test_the_second_load_reads_the_cache(tmp_path, readings):
    bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    first, second = load(tmp_path), load(tmp_path)
    assert len(readings) == 1
    for name in ("train_images", "train_labels", "test_images", "test_ids", "duplicates"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype


@pytest.mark.parametrize("lay", [bundles.bundle, bundles.loose])
def test_a_changed_file_is_noticed(tmp_path, readings, lay):
    lay(tmp_path / COMPETITION, bundles.digits(seed=0))
    before = load(tmp_path)
    lay(tmp_path / COMPETITION, bundles.digits(seed=1))
    after = load(tmp_path)
    assert len(readings) == 2
    assert (before.train_images != after.train_images).any()
    assert len(caches(tmp_path)) == 1


def test_a_change_that_keeps_a_files_size_and_time_is_noticed_at_its_ends(tmp_path, readings):
    folder = bundles.loose(tmp_path / COMPETITION, bundles.digits())
    load(tmp_path)
    path = folder / "train.csv"
    status = path.stat()
    content = path.read_bytes()
    last = content.rstrip()[-1:]
    path.write_bytes(content.rstrip()[:-1] + (b"1" if last == b"0" else b"0") + b"\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    load(tmp_path)
    assert len(readings) == 2


def test_a_bundle_that_was_only_copied_is_not_read_again(tmp_path, readings):
    path = bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    load(tmp_path)
    os.utime(path, ns=(1, 1))
    load(tmp_path)
    assert len(readings) == 1


def spoil_by_truncation(folder):
    path = folder / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-100])


def spoil_one_bit(folder):
    path = folder / "test_images.npy"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def spoil_with_a_pickle(folder):
    path = folder / "train_labels.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    contents = json.loads((folder / cache.CONTENTS).read_text())
    contents["train_labels"] = [path.stat().st_size, zlib.crc32(path.read_bytes())]
    (folder / cache.CONTENTS).write_text(json.dumps(contents))


DAMAGE = {
    "truncated": spoil_by_truncation,
    "a bit": spoil_one_bit,
    "a pickle": spoil_with_a_pickle,
    "a file is gone": lambda folder: (folder / "test_ids.npy").unlink(),
    "half the contents": lambda folder: (folder / cache.CONTENTS).write_text('{"train_images": 1'),
    "other contents": lambda folder: (folder / cache.CONTENTS).write_text("[1, 2]"),
    "contents of nothing": lambda folder: (folder / cache.CONTENTS).write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cache_is_ignored_and_written_anew(tmp_path, readings, damage):
    bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    right = load(tmp_path)
    (folder,) = caches(tmp_path)
    damage(folder)
    mended = load(tmp_path)
    assert len(readings) == 2
    np.testing.assert_array_equal(mended.train_images, right.train_images)
    load(tmp_path)
    assert len(readings) == 2


def test_what_cannot_be_cached_beside_the_files_is_cached_for_the_user_or_not_at_all(tmp_path, readings, capsys):
    bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    (tmp_path / COMPETITION / ".cache").write_text("in the way")
    load(tmp_path)
    load(tmp_path)
    assert len(readings) == 1
    assert list((tmp_path / "user").rglob("train_images.npy"))
    shutil.rmtree(tmp_path / "user")
    (tmp_path / "user").write_text("in the way")
    assert load(tmp_path).train_images.shape == (30, 28, 28, 1)
    assert "no cache could be written" in capsys.readouterr().err


def test_a_full_disk_leaves_no_half_cache(tmp_path, readings, monkeypatch, capsys):
    bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    save = np.save

    def full(path, array, **options):
        if "test_images" in str(path):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(path, array, **options)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        assert load(tmp_path).train_images.shape == (30, 28, 28, 1)
    assert "No space left" in capsys.readouterr().err
    assert caches(tmp_path) == []
    load(tmp_path)
    load(tmp_path)
    assert len(readings) == 2


def test_abandoned_writing_is_cleared_away_and_present_writing_is_not(tmp_path):
    bundles.bundle(tmp_path / COMPETITION, bundles.digits())
    folder = tmp_path / COMPETITION / ".cache"
    for name in ("writing-long-ago", "writing-now", "somebody's"):
        (folder / name).mkdir(parents=True)
    os.utime(folder / "writing-long-ago", (1, 1))
    load(tmp_path)
    names = [path.name for path in caches(tmp_path)]
    assert "writing-long-ago" not in names
    assert {"writing-now", "somebody's"} < set(names)


def test_two_processes_at_once_both_succeed(tmp_path):
    bundles.bundle(tmp_path / COMPETITION, bundles.digits(300, 200))
    code = (
        f"from kit.loaders import load; d = load({COMPETITION!r}, 'kaggle', {str(tmp_path)!r});"
        "print(int(d.train_images.sum(dtype='int64')))"
    )
    repository = pathlib.Path(__file__).parents[1]
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=repository)
        for _ in range(2)
    ]
    sums = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert sums == {str(int(load(tmp_path).train_images.sum(dtype="int64")))}
    assert len(caches(tmp_path)) == 1
