"""`--tensorboard`: the numbers of history.csv, each once, and the same weights as without."""

import importlib.util
import math

import keras
import numpy as np
import pytest

import kit
from kit import api, loaders
from kit.errors import UserError
from kit.recipes import Recipe
from kit.training import start, tensorboard, transfer

RECIPE = Recipe(model="digit_cnn", options={"width": 4}, epochs=2, batch_size=32, precision="float32", ema=0.9, shift=1)


@pytest.fixture
def dataset(workplace):
    return loaders.load("digit-recognizer", "sample", limit=100)


def scalars(run):
    """What TensorBoard would show: for each curve and plot its values by epoch, and how many there are."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    values, count = {}, 0
    for path in sorted((run.folder / "tensorboard").glob("*/*/events*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                name = f"{path.parent.relative_to(run.folder / 'tensorboard').as_posix()} {value.tag}"
                values.setdefault(name, {})[event.step] = value.tensor.float_val[0]
                count += 1
    return values, count


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            raise KeyboardInterrupt


def with_tensorboard(run, fold):
    return [tensorboard.callback(run, fold)]


def interrupted(run, fold):
    return [*with_tensorboard(run, fold), Interrupt()]


def test_every_epoch_is_shown_once_though_the_training_was_interrupted(dataset):
    pytest.importorskip("tensorboard")
    plain = start.fit(dataset, RECIPE, "plain")
    with pytest.raises(KeyboardInterrupt):
        start.fit(dataset, RECIPE, "shown", interrupted)
    shown = start.resume(kit.tracking.find("shown"), dataset, with_tensorboard)
    for one, other in zip(plain.network_paths(), shown.network_paths(), strict=True):
        for weight, same in zip(transfer.load(one).get_weights(), transfer.load(other).get_weights(), strict=True):
            np.testing.assert_array_equal(weight, same)
    values, count = scalars(shown)
    assert count == sum(map(len, values.values())), "an epoch is there twice"
    for fold, rows in shown.history.groupby("fold"):
        for curve, plots in tensorboard.CURVES.items():
            for plot, column in plots.items():
                there = values[f"fold-{fold}/{curve} {plot}"]
                assert there == pytest.approx(dict(zip(rows["epoch"], rows[column], strict=True)), rel=1e-6)
                assert not any(map(math.isnan, there.values()))


def test_without_its_package_nothing_is_begun(dataset, monkeypatch, workplace):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        api.fit(dataset, "digit_cnn", epochs=1, tensorboard=True)
    assert not (workplace / "runs").exists()
