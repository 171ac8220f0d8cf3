"""One training of a benchmark, in a process of its own: nothing compiled or allocated is left from the last one.

Importing this module is cheap; Keras starts in the measuring process only.
"""

import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from kit import timings
from kit.recipes.recipe import Recipe

KERAS_MNIST_CONVNET = "keras-mnist-convnet"
"""Keras's own first recipe, https://keras.io/examples/vision/mnist_convnet/, by plain `Sequential.fit`."""
MOST_EPOCHS = 30


@dataclass(frozen=True)
class Job:
    """What to measure: `recipe` on a competition's data, or Keras's own MNIST recipe where it is None."""

    name: str
    recipe: Recipe | None
    competition: str
    source: str
    data_dir: str
    limit: int
    seed: int
    target: float


@dataclass(frozen=True)
class Measured:
    """What one training showed.

    Attributes:
        name, seed: the job's.
        epochs: (seconds of fit so far, validation accuracy) after each epoch; start-up and compilation included,
            validation excluded.
        start_seconds: what the first epoch took longer than the others' median: building and compiling.
        training_rate, inference_rate: images a second, once compiled.
        peak_memory: bytes that the process held at most, data included; None where the system does not tell.
        parameters: of the network.
        precision: of the arithmetic.
        hardware: processor, accelerator and versions.
    """

    name: str
    seed: int
    epochs: list[tuple[float, float]]
    start_seconds: float
    training_rate: float
    inference_rate: float
    peak_memory: int | None
    parameters: int
    precision: str
    hardware: dict

    def seconds_to(self, target: float) -> float | None:
        """Seconds of fit until the validation accuracy first was `target` or more; None if it never was."""
        return next((seconds for seconds, accuracy in self.epochs if accuracy >= target), None)

    def accuracy_within(self, seconds: float) -> float | None:
        """The last validation accuracy after at most `seconds` of fit; None if no epoch was done by then."""
        done = [accuracy for at, accuracy in self.epochs if at <= seconds]
        return done[-1] if done else None


def measure(job: Job) -> Measured:
    """Do `job` in a fresh process and return what it showed.

    Raises:
        UserError: as the training would.
    """
    with multiprocessing.get_context("spawn").Pool(1, _end_with_parent) as pool:
        return pool.apply(_in_this_process, (job,))


def mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """Mean and standard deviation (n - 1; 0 for a single value)."""
    values = list(values)
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def _end_with_parent():
    """End this process when its parent does, however that ends: killed, it could not say so."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _in_this_process(job: Job) -> Measured:
    from kit.backend import start_keras

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        start_keras()
        return _keras_mnist_convnet(job) if job.recipe is None else _recipe(job)


def _data(job):
    from kit import loaders
    from kit.loaders.limit import limited

    return limited(loaders.load(job.competition, job.source, job.data_dir), job.limit)


def _recipe(job):
    from kit.training import devices, inference, session, splits
    from kit.training.fit import fit

    dataset = _data(job)
    recipe = dataclasses.replace(job.recipe, seed=job.seed, split_seed=job.seed)
    recipe = session.with_precision(dataset, recipe)
    ((rows, held_out), *_) = splits.splits(dataset.train_labels, recipe)
    with devices.prepare(recipe.devices):
        started = time.perf_counter()
        split = session.split_of(dataset, recipe, rows, held_out, fold=0)
        network = session.built(dataset, recipe, split)
        history = fit(network, split, recipe, None, started)
        inference_rate = _rate(lambda images: inference.predict(network, images), dataset.test_images)
    return Measured(
        name=job.name,
        seed=job.seed,
        epochs=[(row["seconds"], row["val_accuracy"]) for row in history],
        start_seconds=_start_seconds([row["seconds"] for row in history]),
        training_rate=session.images_per_second(len(rows), history),
        inference_rate=inference_rate,
        peak_memory=timings.peak_memory(),
        parameters=network.count_params(),
        precision=recipe.precision,
        hardware=devices.hardware(),
    )


def _keras_mnist_convnet(job):
    """Keras's recipe as it stands on its page: float images, Adam, batch 128; until `target`, at most 30 epochs."""
    import keras
    import numpy as np
    from keras import layers

    from kit.training import devices, session, splits

    dataset = _data(job)
    rules = dataset.competition
    ((rows, held_out),) = splits.splits(dataset.train_labels, Recipe(split_seed=job.seed))
    images = dataset.train_images.astype("float32") / 255
    labels = np.eye(rules.classes, dtype="float32")[dataset.train_labels]
    keras.utils.set_random_seed(job.seed)
    started = time.perf_counter()
    network = keras.Sequential(
        [
            keras.Input(rules.image_shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(rules.classes, activation="softmax"),
        ]
    )
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    epochs, validating = [], 0.0
    while len(epochs) < MOST_EPOCHS and not (epochs and epochs[-1][1] >= job.target):
        network.fit(images[rows], labels[rows], batch_size=128, verbose=0)
        seconds = time.perf_counter() - started - validating
        accuracy = network.evaluate(images[held_out], labels[held_out], batch_size=512, verbose=0)[1]
        validating = time.perf_counter() - started - seconds
        epochs.append((seconds, accuracy))
    return Measured(
        name=job.name,
        seed=job.seed,
        epochs=epochs,
        start_seconds=_start_seconds([seconds for seconds, _ in epochs]),
        training_rate=session.images_per_second(len(rows), [{"fold": 0, "seconds": seconds} for seconds, _ in epochs]),
        inference_rate=_rate(
            lambda images: network.predict(images.astype("float32") / 255, batch_size=512, verbose=0),
            dataset.test_images,
        ),
        peak_memory=timings.peak_memory(),
        parameters=network.count_params(),
        precision="float32",
        hardware=devices.hardware(),
    )


def _rate(predict, images):
    """Images a second of the second call; the first one compiles."""
    images = images[:10_000]
    predict(images)
    before = time.perf_counter()
    predict(images)
    return len(images) / (time.perf_counter() - before)


def _start_seconds(ends):
    """The first epoch's length less the others' median; 0 where there are no others. `ends` are seconds so far."""
    others = [end - begin for begin, end in itertools.pairwise(ends)]
    return max(ends[0] - statistics.median(others), 0.0) if others else 0.0
