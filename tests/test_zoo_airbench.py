"""airbench's two starts: whitening computed from the images, and convolutions that begin as identities."""

import keras
import numpy as np
import pytest

from kit import zoo
from kit.errors import UserError
from kit.zoo.airbench import whiten

convert = keras.ops.convert_to_numpy


def smooth_images(shape, count=64):
    """Noise in squares of four pixels, with different means and deviations in the channels."""
    height, width, channels = shape
    rng = np.random.default_rng(0)
    squares = rng.random((count, height // 4, width // 4, channels)).repeat(4, axis=1).repeat(4, axis=2)
    height = np.linspace(60, 200, channels)
    return (255 - height + height * squares).astype(np.uint8)


@pytest.mark.parametrize(("shape", "filters"), [((28, 28, 1), 8), ((32, 32, 3), 24)])
def test_whitened_patches_are_uncorrelated_and_of_one_size(shape, filters):
    network = zoo.build("airbench", shape, 10, width=8)
    images = smooth_images(shape)
    whiten(network, images)
    layer = network.get_layer("whitening_conv")
    seen = convert(keras.Model(network.input, layer.output)(images))
    assert seen.shape[1:] == (shape[0] - 1, shape[1] - 1, filters)
    np.testing.assert_allclose(seen[..., : filters // 2], -seen[..., filters // 2 :], atol=1e-3)
    half = seen[..., : filters // 2].reshape(-1, filters // 2)
    covariance = half.T @ half / len(half)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    assert covariance.max() < 1.001
    assert np.diag(covariance).min() > 0.9, "each direction counts the same, however little it varied"


def test_a_channel_that_never_changes_does_no_harm():
    network = zoo.build("airbench", (32, 32, 3), 10, width=8)
    images = smooth_images((32, 32, 3))
    images[..., 1] = 77
    whiten(network, images)
    assert np.abs(convert(network(images))).max() < 100


@pytest.mark.parametrize("name", ["airbench", "airbench96"])
def test_the_whitening_is_frozen_and_its_bias_only_if_asked(name):
    layer = zoo.build(name, (28, 28, 1), 10, width=8).get_layer("whitening_conv")
    assert [weight.path for weight in layer.trainable_weights] == [layer.bias.path]
    network = zoo.build(name, (28, 28, 1), 10, width=8, whitening_bias=False)
    layer = network.get_layer("whitening_conv")
    assert not layer.trainable_weights
    before = [convert(weight) for weight in layer.weights]
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    network.train_on_batch(np.zeros((4, 28, 28, 1), np.uint8), np.arange(4))
    for old, new in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, convert(new))


def test_convolutions_are_initialised_as_identities():
    network = zoo.build("airbench", (32, 32, 3), 10, width=32)
    kernel = convert(network.get_layer("block1_conv1").kernel)
    assert kernel.shape == (3, 3, 24, 32)
    np.testing.assert_array_equal(kernel[1, 1, :, :24], np.eye(24))
    assert not kernel[[0, 2], :, :, :24].any()
    assert kernel[..., 24:].any()
    narrowing = convert(zoo.build("airbench", (32, 32, 3), 10, width=16).get_layer("block1_conv1").kernel)
    np.testing.assert_array_equal(narrowing[1, 1], np.eye(24, 16))


def test_airbench96_skips_the_last_two_convolutions_of_a_block():
    network = zoo.build("airbench96", (28, 28, 1), 10, width=8)
    added = network.get_layer("block2_add")
    sources = {tensor._keras_history.operation.name for tensor in added.input}
    assert sources == {"block2_norm3", "block2_gelu1"}


def test_small_images_are_refused():
    with pytest.raises(UserError, match="airbench"):
        zoo.build("airbench", (24, 32, 3), 10)
