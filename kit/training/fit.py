"""Train one network on one split."""

import contextlib
import pathlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from kit import files
from kit.recipes.recipe import Recipe
from kit.training import checkpoint, devices, fine_tuning, optimizers
from kit.training.augmentation import Augment
from kit.training.batches import Batches, Epochs
from kit.training.inference import predict


@dataclass(frozen=True)
class Split:
    """What one fold trains and validates on.

    Attributes:
        images: (n, h, w, c) uint8; targets: (n, classes) float32, a distribution over the classes each.
        validation_images: (m, h, w, c) uint8; validation_labels: (m,) integers. m may be 0.
        fold: its number, from 0.
    """

    images: np.ndarray
    targets: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    fold: int = 0


@dataclass(frozen=True)
class Places:
    """Where a training keeps what must outlast it: its state after each epoch, and its best network so far."""

    state: pathlib.Path
    best: pathlib.Path

    def snapshot(self, number: int) -> pathlib.Path:
        """Where the network at the end of cycle `number`, counted from 0, lies until it has predicted."""
        return self.state.with_name(f"{self.state.stem}-snapshot-{number}.keras")


def learner(network: keras.Model, batches: Batches) -> keras.Model:
    """`network` with the recipe's augmentation before it: one model, and so one compiled step, for both."""
    inputs = {
        name: keras.Input(shape, dtype=dtype, name=name) for name, (shape, dtype) in batches.input_shapes().items()
    }
    return keras.Model(inputs, network(Augment(batches.recipe.fill_mode, name="augment")(inputs)))


def compiled(
    network: keras.Model, batches: Batches, epochs: int | None = None, unfrozen: Sequence[keras.Layer] = ()
) -> keras.Model:
    """`learner`, ready for `fit`: with the recipe's optimizer and loss.

    Args:
        network: pixels to logits.
        batches: what it will be trained on; their recipe counts.
        epochs: how many the schedule spans; all of the recipe's by default.
        unfrozen: layers that learn at the recipe's `unfreeze_factor`.
    """
    recipe = batches.recipe
    model = learner(network, batches)
    optimizer = optimizers.build(recipe, network, batches.steps * (epochs or recipe.epochs), unfrozen)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
    model.optimizer.build(network.trainable_variables)  # under float16 it is another one, around the recipe's
    return model


def fit(
    network: keras.Model,
    split: Split,
    recipe: Recipe,
    places: Places | None = None,
    started: float | None = None,
) -> list[dict]:
    """Train `network` in place; afterwards it holds the weights that predict (averaged ones, if the recipe says so).

    Args:
        network: pixels to logits, as the zoo builds them.
        split: what to train and validate on.
        recipe: how.
        places: where to keep the state after each epoch. If there is one already, the training goes on from it, and
            ends with the weights that an unbroken one would have had.
        started: `time.perf_counter()` at the beginning of this training, if that was before this call.

    Returns:
        The history, one dict an epoch: fold, phase (from 0), epoch (from 1, over all phases), seconds, learning_rate,
        loss, accuracy, val_loss, val_accuracy.

    Raises:
        UserError: the state in `places` is damaged or another training's.
    """
    started = time.perf_counter() if started is None else started
    batches = Batches(split.images, split.targets, recipe, stream=split.fold)
    keeper = EpochEnd(network, split, recipe, places, started)
    if places and places.state.exists():
        keeper.go_on(checkpoint.progress(places.state))
    reached = keeper.phase
    for number, phase in enumerate(fine_tuning.stages(recipe)):
        unfrozen = fine_tuning.unfreeze(network, phase.unfreeze)
        if number < reached:
            continue  # its weights are in the state of the phase after it
        model = compiled(network, batches, phase.epochs, unfrozen)
        if keeper.history and number == reached:
            checkpoint.load(places.state, model)
        keeper.phase = number
        last = keeper.phase_begin + phase.epochs
        if keeper.epoch < last and not keeper.patience_lost():
            if unfrozen:
                print(f"unfrozen: {', '.join(layer.name for layer in unfrozen)}")
            with devices.shared_statistics(network):
                model.fit(
                    Epochs(batches, keeper.epoch, last),
                    steps_per_epoch=batches.steps,
                    initial_epoch=keeper.epoch,
                    epochs=last,
                    shuffle=False,
                    callbacks=[keeper],
                    verbose=1 if shows_progress() else 2,
                )
        if recipe.ema:
            model.optimizer.finalize_variable_values(network.trainable_variables)
    return keeper.history


def shows_progress() -> bool:
    """Whether a moving progress bar makes sense: on a terminal and in a notebook, not in a log file."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


class EpochEnd(keras.callbacks.Callback):
    """After each epoch: validate, note, keep the best network, keep the state, stop early."""

    def __init__(self, network, split, recipe, places, started):
        super().__init__()
        self.network, self.split, self.recipe, self.places = network, split, recipe, places
        self.history: list[dict] = []
        self.phase = 0
        self.started, self.paused = started, 0.0

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.history)

    @property
    def phase_begin(self) -> int:
        """How many epochs were done before this phase."""
        return sum(row["phase"] < self.phase for row in self.history)

    def go_on(self, progress: dict) -> None:
        """Take up the `progress` of an earlier, interrupted process."""
        self.history = progress["history"]
        self.phase = self.history[-1]["phase"]
        self.paused = -self.history[-1]["seconds"]

    def patience_lost(self) -> bool:
        """Whether in this phase the validation loss has not fallen for as many epochs as the recipe waits."""
        losses = [row["val_loss"] for row in self.history[self.phase_begin :]]
        return (
            bool(self.recipe.patience and losses) and len(losses) - 1 - int(np.argmin(losses)) >= self.recipe.patience
        )

    def on_epoch_end(self, epoch, logs=None):
        """Called by Keras; what is added to `logs` shows in its progress line."""
        seconds = time.perf_counter() - self.started - self.paused
        optimizer = self.model.optimizer
        schedule = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate  # float16 wraps the optimizer
        before = time.perf_counter()
        with self._as_it_predicts():
            if len(self.split.validation_images):
                self._validate(logs)
            self._keep_snapshot(epoch + 1)
        self.paused += time.perf_counter() - before
        row = {"fold": self.split.fold, "phase": self.phase, "epoch": epoch + 1, "seconds": round(seconds, 3)}
        row["learning_rate"] = float(schedule(optimizer.iterations - 1))
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            row[name] = float(logs.get(name, np.nan))
        self.history.append(row)
        if self.places:
            checkpoint.save(self.places.state, self.model, {"history": self.history})
        if self.patience_lost():
            self.model.stop_training = True

    @contextlib.contextmanager
    def _as_it_predicts(self):
        """The network with the weights that predict: averaged ones, if the recipe says so."""
        weights = self.network.trainable_variables
        own = [keras.ops.convert_to_numpy(weight) for weight in weights] if self.recipe.ema else []
        if self.recipe.ema:
            self.model.optimizer.finalize_variable_values(weights)
            for weight in weights:
                weight.assign(keras.ops.copy(weight))  # JAX shares the optimizer's arrays, and predicting frees them
        yield
        for weight, value in zip(weights, own, strict=bool(own)):
            weight.assign(value)

    def _validate(self, logs):
        chances = predict(self.network, self.split.validation_images)
        right = chances[np.arange(len(chances)), self.split.validation_labels]
        logs["val_loss"] = float(-np.log(np.maximum(right, 1e-7)).mean())
        logs["val_accuracy"] = float((chances.argmax(1) == self.split.validation_labels).mean())
        if self.places and all(logs["val_loss"] < row["val_loss"] for row in self.history):
            with files.replacing(self.places.best) as fresh:
                self.network.save(fresh)

    def _keep_snapshot(self, epochs):
        """Before the state is kept, so that no state without its snapshots is gone on from."""
        cycles = self.recipe.snapshots
        if self.places and cycles and epochs % (self.recipe.epochs // cycles) == 0:
            number = epochs // (self.recipe.epochs // cycles) - 1
            with files.replacing(self.places.snapshot(number)) as fresh:
                self.network.save(fresh)
