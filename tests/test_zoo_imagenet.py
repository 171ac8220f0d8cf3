import pathlib

import keras
import numpy as np
import pytest

from kit import zoo
from kit.zoo import imagenet, vgg16


@pytest.fixture
def offline(monkeypatch):
    def get_file(*_, **__):
        raise Exception("URL fetch failure on storage.googleapis.com")  # as Keras does

    monkeypatch.setattr(keras.utils, "get_file", get_file)


def test_without_imagenet_the_weights_are_random_frozen_the_same_and_announced(workplace, offline):
    found = imagenet.vgg16_weights()
    assert not found.trained
    assert "random" in found.label
    for part in ("RANDOM", "URL fetch failure", vgg16.WEIGHTS_PAGE, "data"):
        assert part in found.origin
    network = zoo.build("vgg16_transfer", (28, 28, 1), 10, weights=found.file)
    assert {weight.path.split("/")[0] for weight in network.trainable_weights} == {"head_dense", "logits"}
    first = network.get_layer("block1_conv1").get_weights()[0]
    assert imagenet.vgg16_weights(workplace / "other").file != found.file
    other = zoo.build("vgg16_transfer", (28, 28, 1), 10, weights=imagenet.vgg16_weights(workplace / "other").file)
    np.testing.assert_array_equal(first, other.get_layer("block1_conv1").get_weights()[0])
    assert sorted(path.name for path in (workplace / "data").iterdir()) == [imagenet.RANDOM_FILE]


def test_a_file_beside_the_data_comes_before_kaggle_and_both_before_the_internet(workplace, monkeypatch):
    asked = []
    monkeypatch.setattr(keras.utils, "get_file", lambda *given, **_: asked.append(given) or "cache/file.h5")
    monkeypatch.setattr(imagenet, "KAGGLE_INPUT", workplace / "input")
    assert imagenet.vgg16_weights() == imagenet.Weights(
        "cache/file.h5", True, "ImageNet's weights of VGG16, from cache/file.h5"
    )
    assert len(asked) == 1
    for place in (workplace / "input" / "somebodys-weights", workplace / "data"):
        place.mkdir(parents=True)
        (place / vgg16.WEIGHTS_FILE).touch()
        found = imagenet.vgg16_weights()
        assert (workplace / found.file).parent == place
        assert found.trained
        assert found.label == "VGG16"
    assert len(asked) == 1
    (workplace / "data" / vgg16.WEIGHTS_FILE).rename(workplace / "data" / vgg16.OWN_WEIGHTS_FILE)
    monkeypatch.setattr(imagenet, "KAGGLE_INPUT", workplace / "nothing")
    assert imagenet.vgg16_weights().file == str(pathlib.Path("data") / vgg16.OWN_WEIGHTS_FILE)
    assert len(asked) == 1


def test_a_short_lesson_downloads_nothing(workplace, monkeypatch):
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: pytest.fail("asked the internet"))
    assert not imagenet.vgg16_weights(download=False).trained
