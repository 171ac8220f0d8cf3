"""What `kit.loaders` promises of every source: the same `Dataset`, its part, its record and its description."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import types

import bundles
import numpy as np
import pytest

from kit import backend, competitions, loaders
from kit.errors import UserError
from kit.loaders import kaggle_files
from kit.loaders.leaks import duplicates

DIGITS = "digit-recognizer"


@pytest.fixture(autouse=True)
def kaggle_input(tmp_path, monkeypatch):
    """No test sees this machine's Kaggle input folder."""
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")
    return tmp_path / "input"


@pytest.fixture
def kaggle(monkeypatch):
    """Stands in for the room that talks to Kaggle; `kaggle.credentials` and `kaggle.serves` may be set."""
    room = types.ModuleType("kit.kaggle_client")
    room.credentials, room.serves, room.asked = False, {}, []

    def download(competition, folder):
        room.asked.append(competition)
        return bundles.bundle(folder, room.serves)

    room.has_credentials = lambda: room.credentials
    room.download = download
    monkeypatch.setitem(sys.modules, "kit.kaggle_client", room)
    monkeypatch.setattr(sys.modules["kit"], "kaggle_client", room, raising=False)
    return room


# --- sources


def test_auto_takes_the_files_that_lie_there(tmp_path, kaggle):
    bundles.bundle(tmp_path / DIGITS, bundles.digits())
    dataset = loaders.load(DIGITS, data_dir=tmp_path)
    assert (dataset.source, dataset.origin) == ("kaggle", str(tmp_path / DIGITS))
    assert dataset.train_images.shape == (30, 28, 28, 1)
    assert dataset.seen == ()
    assert kaggle.asked == []
    assert loaders.load(DIGITS, "sample", tmp_path).source == "sample"


@pytest.mark.parametrize("mounted", ["", "competitions"])
def test_auto_finds_kaggles_input_folder(tmp_path, kaggle_input, mounted):
    bundles.loose(kaggle_input / mounted / DIGITS, bundles.digits())
    dataset = loaders.load(DIGITS, data_dir=tmp_path / "data")
    assert dataset.origin == str(kaggle_input / mounted / DIGITS)


def test_auto_downloads_with_credentials(tmp_path, kaggle):
    kaggle.credentials, kaggle.serves = True, bundles.digits()
    assert loaders.load(DIGITS, data_dir=tmp_path).source == "kaggle"
    assert kaggle.asked == [DIGITS]


def test_auto_falls_back_to_the_sample_and_says_so(tmp_path, kaggle):
    dataset = loaders.load(DIGITS, data_dir=tmp_path)
    assert dataset.source == "sample"
    description = loaders.describe(dataset)
    assert "SAMPLE" in description
    assert f"python -m kit.download {DIGITS}" in description


def test_kaggle_without_files_or_credentials_names_the_step(tmp_path, kaggle):
    with pytest.raises(UserError, match=r"python -m kit\.download digit-recognizer"):
        loaders.load(DIGITS, "kaggle", tmp_path)


def test_an_unknown_source_suggests_the_nearest():
    with pytest.raises(UserError, match="Did you mean kaggle"):
        loaders.load(DIGITS, "kagle")


@pytest.fixture
def keras_datasets(monkeypatch):
    """Stands in for `keras.datasets`, whose `load_data` may be set."""
    datasets = types.SimpleNamespace(mnist=types.SimpleNamespace(), cifar10=types.SimpleNamespace())
    monkeypatch.setattr(backend, "start_keras", lambda: None)
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(datasets=datasets))
    return datasets


@pytest.mark.parametrize(("competition", "name"), [(DIGITS, "mnist"), ("cifar-10", "cifar10")])
def test_keras_datasets_keep_their_labelled_test_set_apart(keras_datasets, competition, name):
    shape = (28, 28) if name == "mnist" else (32, 32, 3)
    images = np.random.default_rng(0).integers(0, 256, (50, *shape), np.uint8)
    labels = (np.arange(50) % 10).astype(np.uint8).reshape((50,) if name == "mnist" else (50, 1))
    getattr(keras_datasets, name).load_data = lambda: ((images[:40], labels[:40]), (images[40:], labels[40:]))
    dataset = loaders.load(competition, "keras")
    assert (dataset.source, dataset.seen) == ("keras", (name,))
    assert dataset.train_images.shape[1:] == dataset.test_images.shape[1:] == dataset.competition.image_shape
    np.testing.assert_array_equal(dataset.train_labels, np.arange(40) % 10)
    np.testing.assert_array_equal(dataset.test_labels, np.arange(10))
    assert ("nothing trained on these may be submitted" in loaders.describe(dataset)) == (name == "mnist")


@pytest.mark.parametrize("error", [Exception("URL fetch failure on https://example.org\nand more"), ValueError()])
def test_keras_datasets_that_cannot_be_had_are_one_line(keras_datasets, error):
    def fail():
        raise error

    keras_datasets.mnist.load_data = fail
    with pytest.raises(UserError, match="--source sample") as raised:
        loaders.load(DIGITS, "keras")
    assert "\n" not in str(raised.value)


# --- the data set


def of_classes(count, classes, **fields):
    """A data set of `count` random images in so many classes."""
    names = tuple(f"class {number}" for number in range(classes))
    competition = dataclasses.replace(competitions.get(DIGITS), class_names=names, image_shape=(4, 4, 1))
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), np.uint8)
    labels = np.arange(count) % classes
    return loaders.Dataset(competition, "kaggle", "x", images, labels, images[:50], np.arange(50), **fields)


def test_labels_are_integers_and_nothing_else():
    assert of_classes(600, 300).train_labels.max() == 299
    with pytest.raises(UserError, match="train_labels"):
        dataclasses.replace(of_classes(60, 10), train_labels=np.zeros(60))


def test_a_data_set_is_one_line():
    assert repr(of_classes(1200, 10)) == (
        "<Dataset digit-recognizer: 1,200 training images 4×4×1, 50 test images, from x>"
    )


def test_duplicates_are_found_pixel_for_pixel():
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (count, 28, 28, 1), np.uint8) for count in (50, 40))
    test[7], test[31] = train[20], train[3]
    test[8] = train[20]
    test[8, 0, 0, 0] ^= 1  # nearly
    np.testing.assert_array_equal(duplicates(train, test), [[7, 20], [31, 3]])
    assert duplicates(train, test[:5]).shape == (0, 2)


def test_copies_of_training_images_in_the_test_set_are_reported(tmp_path):
    files = bundles.digits()
    row = files["train.csv"].decode().splitlines()[5]
    lines = files["test.csv"].decode().splitlines()
    lines[3] = row.split(",", 1)[1]
    bundles.bundle(tmp_path / DIGITS, files | {"test.csv": "\n".join(lines).encode()})
    for _ in ("read", "from the cache"):
        dataset = loaders.load(DIGITS, data_dir=tmp_path)
        np.testing.assert_array_equal(dataset.duplicates, [[2, 4]])
        assert "among the test images: 1" in loaders.describe(dataset)


# --- a part of it


def test_a_limit_takes_each_class_in_its_share_and_always_the_same_images(tmp_path):
    bundles.bundle(tmp_path / DIGITS, bundles.digits(100))
    part, again = (loaders.load(DIGITS, "kaggle", tmp_path, limit=40) for _ in range(2))
    assert np.bincount(part.train_labels).tolist() == [4] * 10
    np.testing.assert_array_equal(part.train_images, again.train_images)
    assert (part.limit, part.available, len(part.test_images)) == (40, 100, 20)
    assert "40 of 100 training images, 8 of them for validation" in loaders.describe(part, 8)
    assert "40 of 100" in repr(part)
    whole = loaders.load(DIGITS, "kaggle", tmp_path, limit=100)
    assert (len(whole.train_images), whole.limit) == (100, 0)


def test_a_part_keeps_its_own_copies_only():
    whole = of_classes(100, 10)
    whole = dataclasses.replace(whole, duplicates=duplicates(whole.train_images, whole.test_images))
    part = loaders.limit.limited(whole, 40)
    assert 0 < len(part.duplicates) < 50
    np.testing.assert_array_equal(part.duplicates, duplicates(part.train_images, whole.test_images))


@pytest.mark.parametrize("limit", [-1, 9, 0.5, True, "40"])
def test_a_limit_is_a_number_of_images(limit):
    with pytest.raises(UserError, match="limit"):
        loaders.limit.limited(of_classes(100, 10), limit)


def test_a_class_of_one_image_does_not_stop_a_limit():
    whole = of_classes(100, 10)
    rare = dataclasses.replace(whole, train_labels=np.where(np.arange(100) == 3, 9, np.arange(100) % 9))
    assert len(loaders.limit.limited(rare, 50).train_labels) == 50


# --- found again


def test_a_record_finds_the_same_data_again(tmp_path, monkeypatch):
    bundles.bundle(tmp_path / "here" / DIGITS, bundles.digits(100))
    monkeypatch.chdir(tmp_path)
    dataset = loaders.load(DIGITS, data_dir="here", limit=40)
    record = dataset.record()
    assert record.folder == os.path.abspath("here")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert loaders.load_for(record).fingerprint == dataset.fingerprint == record.fingerprint
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(UserError, match="--data-dir") as raised:
        loaders.load_for(record)
    assert record.folder in str(raised.value)
    assert loaders.load_for(record, tmp_path / "there").limit == 40
    (tmp_path / "there").rename(tmp_path / "elsewhere" / "data")
    assert loaders.load_for(record).fingerprint == record.fingerprint


@pytest.mark.parametrize("change", ["pixels", "order", "labels"])
def test_other_data_in_the_same_place_are_refused(tmp_path, change):
    files = bundles.digits()
    bundles.bundle(tmp_path / DIGITS, files)
    record = loaders.load(DIGITS, data_dir=tmp_path).record()
    header, first, second, *rest = files["train.csv"].split(b"\n")
    changed = {
        "pixels": [header, first[:-1] + (b"1" if first[-1:] == b"0" else b"0"), second, *rest],
        "order": [header, second, first, *rest],
        "labels": [header, b"5" + first[1:], second, *rest],
    }[change]
    bundles.bundle(tmp_path / DIGITS, files | {"train.csv": b"\n".join(changed)})
    with pytest.raises(UserError, match="--data-dir") as raised:
        loaders.load_for(record)
    assert str(tmp_path) in str(raised.value)


def test_importing_the_loaders_is_cheap():
    heavy = "keras", "tensorflow", "pandas", "sklearn", "PIL", "tqdm", "matplotlib", "kaggle"
    code = f"import sys, kit.loaders; print([name for name in {heavy} if name in sys.modules])"
    repository = pathlib.Path(__file__).parents[1]
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=repository).strip() == "[]"
