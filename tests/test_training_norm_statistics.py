"""Batch norms' statistics of averaged weights: those of the images, not those of other weights."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kit import metrics, zoo
from kit.recipes import Recipe
from kit.training import fit, inference, norm_statistics
from kit.training.batches import Batches

convert = keras.ops.convert_to_numpy
SHAPE = (8, 8, 1)


def images(count=256):
    """Images of two classes: dark and bright noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    return (rng.integers(0, 128, (count, *SHAPE)) + 100 * labels[:, None, None, None]).astype(np.uint8), labels


def batches(**fields):
    pixels, labels = images()
    recipe = Recipe(batch_size=32, precision="float32", **fields)
    return Batches(pixels, np.eye(2, dtype=np.float32)[labels], recipe)


def small_network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = keras.layers.BatchNormalization(name="first")(x)
    x = keras.layers.Dropout(0.5)(keras.layers.ReLU()(x))
    x = keras.layers.BatchNormalization(name="second")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))


def state(network):
    return [np.array(convert(variable)) for variable in network.variables]


def test_a_norm_gets_the_mean_and_variance_of_its_inputs():
    network = small_network()
    norm_statistics.recompute(network, batches())
    norm = network.get_layer("first")
    inputs = convert(keras.Model(network.input, network.get_layer("conv").output)(images()[0])).reshape(-1, 4)
    np.testing.assert_allclose(convert(norm.moving_mean), inputs.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(convert(norm.moving_variance), inputs.var(0), rtol=1e-4)
    assert norm.momentum == keras.layers.BatchNormalization().momentum


def test_nothing_else_changes_and_the_outcome_is_the_same_every_time():
    network = small_network()
    network.get_layer("second").trainable = False
    norm = network.get_layer("first")
    changed = {id(variable) for variable in norm_statistics.variables(network)}
    assert changed == {id(norm.moving_mean), id(norm.moving_variance)}
    before = state(network)
    norm_statistics.recompute(network, batches())
    once = state(network)
    norm_statistics.recompute(network, batches())
    for variable, old, new, again in zip(network.variables, before, once, state(network), strict=True):
        np.testing.assert_array_equal(new, again)
        assert (old == new).all() == (id(variable) not in changed)


def test_averaged_weights_predict_with_statistics_of_their_own():
    """An average with a high momentum has hardly left the first weights; the norms have seen the last ones."""
    network, data = small_network(), batches(ema=0.999, epochs=2, learning_rate=0.05)
    split = fit.Split(data.images, data.targets, data.images[:32], data.targets[:32].argmax(axis=1))
    history = fit.fit(network, split, data.recipe)
    inputs = convert(keras.Model(network.input, network.get_layer("conv").output)(images()[0])).reshape(-1, 4)
    norm = network.get_layer("first")
    np.testing.assert_allclose(convert(norm.moving_mean), inputs.mean(0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(convert(norm.moving_variance), inputs.var(0), rtol=1e-3)
    probabilities = inference.predict(network, split.validation_images)
    assert history[-1]["val_loss"] == pytest.approx(metrics.log_loss(split.validation_labels, probabilities), rel=1e-3)


@pytest.mark.parametrize("name", ["airbench", "lenet_small"])
def test_networks_of_the_zoo(name):
    network = zoo.build(name, (28, 28, 1), 10, **({"width": 4} if name == "airbench" else {}))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 1), dtype=np.uint8)
    data = Batches(pixels, np.eye(10, dtype=np.float32)[np.arange(16) % 10], Recipe(batch_size=8, flip="random"))
    before = state(network)
    norm_statistics.recompute(network, data)
    moved = [not np.array_equal(old, new) for old, new in zip(before, state(network), strict=True)]
    assert sum(moved) == len(norm_statistics.variables(network))
    assert any(moved) == (name == "airbench")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_jax_gives_the_same():
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stdout[-3000:]
