"""Several devices, and the other backend, in processes of their own: both are settled when Keras starts."""

import contextlib
import importlib.util
import os
import subprocess
import sys

import pytest

from kit.errors import UserError
from kit.training import devices

bears_several = pytest.mark.skipif(
    devices.tensorflow_version() < devices.SPLITS_CPU, reason="this TensorFlow may hang between devices of one CPU"
)

# Trains the same recipe on one device and on two; prints how far apart the weights are, and how far they have moved.
TWICE = """
from kit.backend import start_keras
start_keras()
import keras, numpy as np
from kit import loaders
from kit.recipes import Recipe
from kit.training import devices, inference
from kit.training.fit import fit
from kit.training.setup import resolve

dataset = loaders.load("digit-recognizer", "sample", limit=200)

def trained(count):
    recipe = Recipe(model="fast_cnn", epochs=2, batch_size=32, optimizer="sgd", precision="float32",
                    learning_rate=0.01, shift=2, rotate=10, devices=count, weight_decay=0.01, lookahead=2)
    training = resolve(dataset, recipe)
    split = training.split(0)
    with devices.prepare(recipe.devices):
        network = training.network(split)
        start = [keras.ops.convert_to_numpy(weight) for weight in network.weights]
        history = fit(network, split, recipe)
        probabilities = inference.predict(network, dataset.test_images)
    return start, [keras.ops.convert_to_numpy(weight) for weight in network.weights], probabilities, history

start, two, probabilities_two, history_two = trained("2")
same, one, probabilities_one, history_one = trained("1")
assert all((a == b).all() for a, b in zip(start, same))
apart = max(abs(a - b).max() for a, b in zip(one, two))
far = max(abs(a - b).max() for a, b in zip(one, start))
print("apart", apart, "moved", far, "probabilities", abs(probabilities_one - probabilities_two).max())
assert apart < 1e-3 * max(far, 1), (apart, far)
assert abs(probabilities_one - probabilities_two).max() < 1e-3
assert far > 0.01
"""


def run(script, **environment):
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, env={**os.environ, **environment}
    )
    assert shown.returncode == 0, shown.stderr[-3000:]
    return shown.stdout


@pytest.mark.slow  # a process of its own
@bears_several
def test_two_devices_give_one_devices_result_on_tensorflow():
    assert "apart" in run(TWICE, KERAS_BACKEND="tensorflow")


needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")


@pytest.mark.slow
@needs_jax
def test_two_devices_give_one_devices_result_on_jax():
    assert "apart" in run(TWICE, KERAS_BACKEND="jax", XLA_FLAGS="--xla_force_host_platform_device_count=2")


@pytest.mark.slow
@needs_jax
def test_jax_trains_resnet_small_on_the_sample(workplace):
    shown = run(
        "from kit.train import main\n"
        "assert main(['--model', 'resnet_small', '--source', 'sample', '--name', 'jax', '--epochs', '8']) == 0\n"
        "from kit import tracking\n"
        "metrics = tracking.find('jax').metrics()\n"
        "assert metrics.hardware['backend'] == 'jax'\n"
        "assert metrics.validation_accuracy > 0.9, metrics\n",
        KERAS_BACKEND="jax",
    )
    assert "submission: submissions/digit-recognizer/jax.csv" in shown


@pytest.mark.parametrize(("version", "refused"), [((2, 20), True), ((2, 21), False), ((3, 0), False)])
def test_a_cpu_is_shown_as_several_only_by_a_tensorflow_that_bears_it(monkeypatch, version, refused):
    monkeypatch.setattr(devices, "tensorflow_version", lambda: version)
    monkeypatch.setattr(devices, "accelerator", lambda: "")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    devices.check("1", 32)
    with pytest.raises(UserError, match="TensorFlow") if refused else contextlib.nullcontext():
        devices.check("2", 32)
