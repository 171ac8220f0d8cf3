import pathlib
import subprocess
import sys
import types

import bundles
import numpy as np
import pytest

from kit import loaders
from kit.errors import UserError
from kit.loaders import kaggle_files
from kit.loaders.leaks import duplicates
from kit.loaders.limit import limited


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    """No test sees this machine's Kaggle input folder or writes into its user's cache."""
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))


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


def test_auto_takes_the_files_that_lie_there(tmp_path, kaggle):
    bundles.bundle(tmp_path / "digit-recognizer", bundles.digits())
    dataset = loaders.load("digit-recognizer", data_dir=tmp_path)
    assert (dataset.source, dataset.origin) == ("kaggle", str(tmp_path / "digit-recognizer"))
    assert dataset.train_images.shape == (30, 28, 28, 1)
    assert dataset.seen == ()
    assert kaggle.asked == []


@pytest.mark.parametrize("mounted", ["input", "input/competitions"])
def test_auto_finds_kaggles_input_folder(tmp_path, mounted):
    bundles.loose(tmp_path / mounted / "digit-recognizer", bundles.digits())
    dataset = loaders.load("digit-recognizer", data_dir=tmp_path / "data")
    assert dataset.origin == str(tmp_path / mounted / "digit-recognizer")


def test_auto_downloads_with_credentials(tmp_path, kaggle):
    kaggle.credentials, kaggle.serves = True, bundles.digits()
    dataset = loaders.load("digit-recognizer", data_dir=tmp_path)
    assert dataset.source == "kaggle"
    assert kaggle.asked == ["digit-recognizer"]


@pytest.mark.parametrize("competition", ["digit-recognizer", "cifar-10"])
def test_auto_falls_back_to_the_sample_and_says_so(tmp_path, kaggle, competition):
    dataset = loaders.load(competition, data_dir=tmp_path)
    assert dataset.source == "sample"
    description = loaders.describe(dataset)
    assert "SAMPLE" in description
    assert f"python -m kit.download {competition}" in description
    assert ("synthetic" in description) == (competition == "cifar-10")


def test_kaggle_without_files_or_credentials_names_the_step(tmp_path, kaggle):
    with pytest.raises(UserError, match=r"python -m kit\.download digit-recognizer"):
        loaders.load("digit-recognizer", "kaggle", tmp_path)


def test_the_sample_is_taken_when_asked_for_though_files_are_there(tmp_path):
    bundles.bundle(tmp_path / "digit-recognizer", bundles.digits())
    assert loaders.load("digit-recognizer", "sample", tmp_path).source == "sample"


def test_an_unknown_source_suggests_the_nearest():
    with pytest.raises(UserError, match="Did you mean kaggle"):
        loaders.load("digit-recognizer", "kagle")


@pytest.mark.parametrize(("competition", "name"), [("digit-recognizer", "mnist"), ("cifar-10", "cifar10")])
def test_keras_datasets_keep_their_labelled_test_set_apart(monkeypatch, competition, name):
    import keras

    shape = (28, 28) if name == "mnist" else (32, 32, 3)
    images = np.random.default_rng(0).integers(0, 256, (50, *shape), np.uint8)
    labels = (np.arange(50) % 10).astype(np.uint8)
    if name == "cifar10":
        labels = labels[:, None]
    halves = ((images[:40], labels[:40]), (images[40:], labels[40:]))
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: halves)
    dataset = loaders.load(competition, "keras")
    assert (dataset.source, dataset.seen) == ("keras", (name,))
    assert dataset.train_images.ndim == dataset.test_images.ndim == 4
    np.testing.assert_array_equal(dataset.train_labels, np.arange(40) % 10)
    np.testing.assert_array_equal(dataset.test_labels, np.arange(10))
    assert dataset.test_labels.dtype == np.uint8
    assert name in loaders.describe(dataset)
    assert ("nothing trained on these may be submitted" in loaders.describe(dataset)) == (name == "mnist")


def test_keras_datasets_without_network_is_one_clear_line(monkeypatch):
    import keras

    def fail():
        raise Exception("URL fetch failure on https://example.org: None -- Name or service not known\nand more")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(UserError, match="--source sample") as raised:
        loaders.load("digit-recognizer", "keras")
    assert "\n" not in str(raised.value)


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
    files["test.csv"] = "\n".join(lines).encode()
    bundles.bundle(tmp_path / "digit-recognizer", files)
    for _ in ("read", "from the cache"):
        dataset = loaders.load("digit-recognizer", data_dir=tmp_path)
        np.testing.assert_array_equal(dataset.duplicates, [[2, 4]])
        assert "among the test images: 1" in loaders.describe(dataset)


def test_a_limited_data_set_keeps_its_own_copies_only():
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (count, 4, 4, 1), np.uint8) for count in (100, 60))
    test[:50] = train[:50]
    labels = (np.arange(100) % 10).astype(np.uint8)
    whole = loaders.Dataset(
        "digit-recognizer", "kaggle", "x", train, labels, test, np.arange(60), duplicates=duplicates(train, test)
    )
    part = limited(whole, 40)
    assert 0 < len(part.duplicates) < 50
    np.testing.assert_array_equal(part.duplicates, duplicates(part.train_images, test))


def test_importing_the_loaders_is_cheap():
    heavy = "keras", "tensorflow", "pandas", "sklearn", "PIL", "py7zr", "tqdm", "matplotlib", "kaggle"
    code = f"import sys, kit.loaders; print([name for name in {heavy} if name in sys.modules])"
    repository = pathlib.Path(__file__).parents[1]
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=repository).strip() == "[]"
