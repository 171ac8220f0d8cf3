"""Train one network on one split: `model.fit` with a callback that validates, checkpoints and stops early."""

import contextlib
import math
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kit import files, metrics
from kit.errors import Failure
from kit.recipes import Recipe
from kit.training import checkpoint, devices, features, fine_tuning, norm_statistics, optimizers
from kit.training.batches import Batches, Epochs
from kit.training.features import FeatureBatches
from kit.training.inference import predict


@dataclass(frozen=True)
class Split:
    """What one fold trains and validates on.

    Attributes:
        images: (n, h, w, c) uint8; targets: (n, classes) float32, a distribution over the classes each.
        validation_images: (m, h, w, c) uint8; validation_labels: (m,) integers. m may be 0.
        fold: its number, from 0.
        metric: by what the competition scores, one of `kit.metrics.METRICS`.
    """

    images: np.ndarray
    targets: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    fold: int = 0
    metric: str = "accuracy"


@dataclass(frozen=True)
class CheckpointPaths:
    """Where a training keeps what must outlast it: its state after each epoch, and its best network so far."""

    state: pathlib.Path
    best: pathlib.Path

    def snapshot(self, number: int) -> pathlib.Path:
        """Where the network at the end of cycle `number`, counted from 0, lies until it has predicted."""
        return self.state.with_name(f"{self.state.stem}-snapshot-{number}.keras")


def training_model(network: keras.Model, batches: Batches | FeatureBatches) -> keras.Model:
    """Return `network` with the recipe's augmentation before it: one model, and so one compiled step, for both.

    With `FeatureBatches` the network is a head, and features need no augmentation.
    """
    inputs = {
        name: keras.Input(shape, dtype=dtype, name=name) for name, (shape, dtype) in batches.input_shapes().items()
    }
    return keras.Model(inputs, network(batches.prepared(inputs)))


def compiled(
    network: keras.Model,
    batches: Batches | FeatureBatches,
    epochs: int | None = None,
    unfrozen: Sequence[keras.Layer] = (),
    learning_rate: keras.optimizers.schedules.LearningRateSchedule | None = None,
) -> keras.Model:
    """Return the training model, ready for `fit`: with the recipe's optimizer and loss.

    Args:
        network: pixels to logits.
        batches: what it will be trained on; their recipe counts.
        epochs: how many the schedule spans; all of the recipe's by default.
        unfrozen: layers that learn at the recipe's `unfreeze_factor`.
        learning_rate: another schedule than the recipe's.
    """
    recipe = batches.recipe
    model = training_model(network, batches)
    optimizer = optimizers.build(recipe, network, batches.steps * (epochs or recipe.epochs), unfrozen, learning_rate)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
    model.optimizer.build(network.trainable_variables)  # under float16 it is another one, around the recipe's
    return model


def fit(
    network: keras.Model,
    split: Split,
    recipe: Recipe,
    paths: CheckpointPaths | None = None,
    started: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    cache: features.Cache | None = None,
) -> list[dict[str, Any]]:
    """Train `network` in place; afterwards it holds the weights that predict (averaged ones, if the recipe says so).

    Args:
        network: pixels to logits, as the zoo builds them.
        split: what to train and validate on.
        recipe: how.
        paths: where to keep the state after each epoch. If there is one already, the training goes on from it, and
            ends with the weights that an unbroken one would have had.
        started: `time.perf_counter()` at the beginning of this training, if that was before this call.
        callbacks: more callbacks for Keras.
        cache: where the frozen layers' features may be kept, so that each is computed once; None: nowhere.

    Returns:
        The history, one dict an epoch: fold, stage (from 0), epoch (from 1, over all stages), seconds, learning_rate,
        loss, accuracy, val_loss, val_accuracy; by another metric than accuracy and log-loss also val_score.

    Raises:
        Failure: the training diverged: a loss or a probability is not finite.
        UserError: the state in `paths` is damaged or another training's.
    """
    started = time.perf_counter() if started is None else started
    batches = Batches(split.images, split.targets, recipe, stream=split.fold)
    progress = ValidateAndCheckpoint(network, split, batches, paths, started)
    if paths and paths.state.exists():
        kept = checkpoint.progress(paths.state)
        checkpoint.check_recipe(kept, recipe, paths.state)
        progress.restore(kept)
    reached = progress.stage
    for number, stage in enumerate(fine_tuning.stages(recipe)):
        unfrozen = fine_tuning.unfreeze(network, stage.unfreeze)
        if number < reached:
            continue  # its weights are in the state of the stage after it
        last = progress.begin(number, stage.epochs, cache)
        trained, data = progress.trained, progress.data
        model = compiled(trained, data, stage.epochs, unfrozen)
        if paths and progress.history and number == reached:
            checkpoint.load(paths.state, [*progress.state.variables, *model.optimizer.variables])
        if progress.epochs_done < last and not progress.stops_early():
            if unfrozen:
                print(f"fine-tuning: {', '.join(layer.name for layer in unfrozen)}")
            with devices.shared_statistics(network):
                model.fit(
                    Epochs(data, progress.epochs_done, last),
                    steps_per_epoch=batches.steps,
                    initial_epoch=progress.epochs_done,
                    epochs=last,
                    shuffle=False,
                    callbacks=[progress, *callbacks],
                    verbose=1 if shows_progress() else 2,
                )
        if recipe.ema:
            model.optimizer.finalize_variable_values(trained.trainable_variables)
            norm_statistics.recompute(trained, data)
    return progress.history


def shows_progress() -> bool:
    """Whether a moving progress bar makes sense: on a terminal and in a notebook, not in a log file."""
    return bool(sys.stdout and sys.stdout.isatty()) or "ipykernel" in sys.modules


class ValidateAndCheckpoint(keras.callbacks.Callback):
    """After each epoch: validate, note the numbers, save the best network and the state, stop early."""

    def __init__(self, network, split, batches, paths, started):
        super().__init__()
        self.network, self.split, self.batches, self.paths = network, split, batches, paths
        # What of the network is trained, and on what; what of it a state holds; and what predicts with it.
        self.trained: keras.Model = network
        self.data: Batches | FeatureBatches = batches
        self.state: keras.Model = network
        self.validation: features.Features | None = None
        self.recipe: Recipe = batches.recipe
        self.history: list[dict[str, Any]] = []
        self.stage = 0
        self.started, self.paused = started, 0.0

    @property
    def has_score(self) -> bool:
        """Whether the competition's metric is neither of the two numbers that every epoch has."""
        return self.split.metric not in ("accuracy", "log-loss")

    @property
    def epochs_done(self) -> int:
        """How many epochs are done."""
        return len(self.history)

    @property
    def first_epoch(self) -> int:
        """How many epochs were done before this stage."""
        return sum(row["stage"] < self.stage for row in self.history)

    def restore(self, progress: dict[str, Any]) -> None:
        """Take up the `progress` of an earlier, interrupted process."""
        self.history = progress["history"]
        self.stage = self.history[-1]["stage"]
        self.paused = -self.history[-1]["seconds"]

    def begin(self, stage: int, epochs: int, cache: features.Cache | None) -> int:
        """Begin a stage, on features if they can be kept; return after how many epochs in all it ends at the latest."""
        self.stage = stage
        last = self.first_epoch + epochs
        parts = features.usable(self.recipe, self.network, not stage) if cache else None
        self.trained, self.data, self.validation = self.network, self.batches, None
        self.state = parts.head if parts else self.network
        if cache and parts:
            data = FeatureBatches(self.batches, parts, cache)
            if data.compute(self.epochs_done, last):
                self.trained, self.data = parts.head, data
                if len(self.split.validation_images):
                    self.validation = cache.features(parts, self.split.validation_images)
        return last

    def stops_early(self) -> bool:
        """Whether in this stage the validation loss has not fallen for as many epochs as the recipe's patience."""
        losses = [row["val_loss"] for row in self.history[self.first_epoch :]]
        return (
            bool(self.recipe.patience and losses) and len(losses) - 1 - int(np.argmin(losses)) >= self.recipe.patience
        )

    def on_epoch_end(self, epoch, logs=None):
        """Called by Keras; what is added to `logs` shows in its progress line."""
        logs = {} if logs is None else logs
        seconds = time.perf_counter() - self.started - self.paused
        optimizer = self.model.optimizer
        schedule = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate  # float16 wraps the optimizer
        self._check_finite(logs.get("loss", math.nan), epoch)
        before = time.perf_counter()
        with self._predicting_weights():
            if len(self.split.validation_images):
                self._validate(logs, epoch)
            self._save_snapshot(epoch + 1)
        self.paused += time.perf_counter() - before
        row = {"fold": self.split.fold, "stage": self.stage, "epoch": epoch + 1, "seconds": round(seconds, 3)}
        row["learning_rate"] = float(schedule(optimizer.iterations - 1))
        columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
        for name in [*columns, "val_score"] if self.has_score else columns:
            row[name] = float(logs.get(name, math.nan))
        self.history.append(row)
        if self.paths:
            variables = [*self.state.variables, *optimizer.variables]
            notes = {"history": self.history, "recipe": self.recipe.as_dict()}
            checkpoint.save(self.paths.state, variables, notes)
        if self.stops_early():
            self.model.stop_training = True

    def _check_finite(self, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            raise Failure(
                f"the training diverged in epoch {epoch + 1} (the loss is {loss}); take a smaller --learning-rate "
                f"than {self.recipe.learning_rate:g}, and begin anew under another --name."
            )

    @contextlib.contextmanager
    def _predicting_weights(self) -> Iterator[None]:
        """The network with the weights that predict: with EMA the averaged ones, and norm statistics of their own."""
        if not self.recipe.ema:
            yield
            return
        own = [keras.ops.convert_to_numpy(weight).copy() for weight in self.trained.weights]
        weights = self.trained.trainable_variables
        self.model.optimizer.finalize_variable_values(weights)
        for weight in weights:
            weight.assign(keras.ops.copy(weight))  # JAX shares the optimizer's arrays, and predicting frees them
        norm_statistics.recompute(self.trained, self.data)
        yield
        for weight, value in zip(self.trained.weights, own, strict=True):
            weight.assign(value)

    def _validate(self, logs: dict[str, Any], epoch: int) -> None:
        try:
            if self.validation:
                probabilities = self.validation.predict(self.trained)
            else:
                probabilities = predict(self.network, self.split.validation_images)
        except Failure:
            self._check_finite(math.nan, epoch)
            raise
        labels = self.split.validation_labels
        logs["val_loss"] = metrics.log_loss(labels, probabilities)
        logs["val_accuracy"] = metrics.accuracy(labels, probabilities)
        if self.has_score:
            logs["val_score"] = metrics.named(self.split.metric).score(labels, probabilities)
        if self.paths and all(logs["val_loss"] < row["val_loss"] for row in self.history):
            with files.replacing(self.paths.best) as fresh:
                self.network.save(fresh)

    def _save_snapshot(self, epochs: int) -> None:
        """Before the state is saved, so that no state without its snapshots is gone on from."""
        cycles = self.recipe.snapshots
        if self.paths and cycles and epochs % (self.recipe.epochs // cycles) == 0:
            number = epochs // (self.recipe.epochs // cycles) - 1
            with files.replacing(self.paths.snapshot(number)) as fresh:
                self.network.save(fresh)
