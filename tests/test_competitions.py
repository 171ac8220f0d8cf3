"""What every competition must declare, and what its sample must look like; a new one is tested with the others."""

import functools

import numpy as np
import pytest

from kit import competitions
from kit.errors import UserError

WITH_SAMPLE = [name for name in competitions.names() if competitions.get(name).sample]


@pytest.fixture(params=WITH_SAMPLE)
def competition(request):
    return competitions.get(request.param)


@functools.cache
def sample(name):
    return competitions.get(name).sample()


def test_the_two_competitions_are_known():
    assert {"cifar-10", "digit-recognizer"} <= set(competitions.names())


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match="Did you mean digit-recognizer"):
        competitions.get("digit-recogniser")


def test_a_competition_is_found_under_its_own_name(competition):
    assert competitions.get(competition.name) is competition
    assert competition.page == f"https://www.kaggle.com/competitions/{competition.name}"


def test_a_sample_has_the_competitions_shape_and_every_class(competition):
    train_images, train_labels, test_images = sample(competition.name)
    assert train_images.dtype == test_images.dtype == np.uint8
    assert np.issubdtype(train_labels.dtype, np.integer)
    assert train_images.shape[1:] == test_images.shape[1:] == competition.image_shape
    assert len(train_images) == len(train_labels) < competition.most_images
    assert np.bincount(train_labels, minlength=competition.classes).min() >= 20


def test_a_sample_is_the_same_every_time(competition):
    for first, second in zip(sample(competition.name), competition.sample(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_samples_classes_can_be_told_apart(competition):
    """A nearest neighbour on raw pixels gets most of the images right; chance gets one in so many classes."""
    images, labels, _ = sample(competition.name)
    pixels = images[:, ::2, ::2].reshape(len(images), -1).astype(np.float32)
    half = len(pixels) // 2
    known, asked = pixels[:half], pixels[half : half + 200]
    nearest = (np.square(known).sum(1) - 2 * asked @ known.T).argmin(1)
    assert (labels[nearest] == labels[half : half + 200]).mean() > 0.7


def test_sample_digits_look_like_mnists():
    images, _, _ = sample("digit-recognizer")
    assert (images[:, [0, -1]] == 0).all()  # a dark frame
    rows = images.sum(axis=(2, 3), dtype=float)
    centres = (rows * np.arange(28)).sum(axis=1) / rows.sum(axis=1)
    assert np.abs(centres - 13.5).max() < 1
    assert 0.08 < (images > 127).mean() < 0.2  # MNIST: 0.12


def test_digits_know_that_mnist_holds_their_test_images():
    assert competitions.get("digit-recognizer").test_images_in == ("mnist",)
    assert competitions.get("cifar-10").test_images_in == ()
