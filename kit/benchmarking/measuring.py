"""One training of a benchmark, in a process of its own: nothing compiled or allocated is left from the last one.

Importing this module is cheap; Keras starts in the measuring process only.
"""

import contextlib
import itertools
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kit.recipes import Recipe


@dataclass(frozen=True)
class Job:
    """What to measure: `recipe` on a competition's data, or Keras's own MNIST example where it is None."""

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
    """What one training measured.

    Attributes:
        name, seed: the job's.
        epochs: (seconds of fit so far, validation accuracy without TTA) after each epoch; start-up and compilation
            included, validation excluded.
        start_seconds: how much longer the first epoch took than the others' median: building and compiling.
        training_speed, inference_speed: images a second, once compiled.
        peak_memory: bytes that the process held at most, data included; None where the system does not tell.
        parameters: of the network.
        precision: of the arithmetic.
        hardware: processor, accelerator and versions.
    """

    name: str
    seed: int
    epochs: list[tuple[float, float]]
    start_seconds: float
    training_speed: float
    inference_speed: float
    peak_memory: int | None
    parameters: int
    precision: str
    hardware: dict

    @property
    def seconds(self) -> float:
        """Seconds of fit."""
        return self.epochs[-1][0]

    @property
    def accuracy(self) -> float:
        """Validation accuracy after the last epoch."""
        return self.epochs[-1][1]

    def seconds_to(self, target: float) -> float | None:
        """Return the seconds of fit until the validation accuracy first was `target` or more; None if it never was."""
        return next((seconds for seconds, accuracy in self.epochs if accuracy >= target), None)

    def accuracy_within(self, seconds: float) -> float | None:
        """Return the last validation accuracy after at most `seconds` of fit; None if no epoch was done by then."""
        done = [accuracy for at, accuracy in self.epochs if at <= seconds]
        return done[-1] if done else None


def measure(job: Job) -> Measured:
    """Do `job` in a fresh process and return what it measured.

    Raises:
        UserError, Failure: as the training would.
    """
    with multiprocessing.get_context("spawn").Pool(1, _end_with_parent) as pool:
        return pool.apply(_in_this_process, (job,))


def inference_speed(predict: Callable[[np.ndarray], object], images: np.ndarray) -> float:
    """Return how many images a second `predict` takes in its second call; the first one compiles."""
    images = images[:10_000]
    predict(images)
    before = time.perf_counter()
    predict(images)
    return len(images) / (time.perf_counter() - before)


def start_seconds(ends: Sequence[float]) -> float:
    """Return the first epoch's length less the others' median; 0 where there are no others.

    Args:
        ends: seconds so far at the end of each epoch.
    """
    others = [end - begin for begin, end in itertools.pairwise(ends)]
    return max(ends[0] - statistics.median(others), 0.0) if others else 0.0


def _end_with_parent() -> None:
    """End this process when its parent ends, even if that is killed."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _in_this_process(job: Job) -> Measured:
    from kit import loaders
    from kit.backend import start_keras

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        dataset = loaders.load(job.competition, job.source, job.data_dir, job.limit)
        start_keras()
        from kit.benchmarking import keras_example

        return keras_example.measure(dataset, job) if job.recipe is None else _recipe(dataset, job, job.recipe)


def _recipe(dataset, job: Job, recipe: Recipe) -> Measured:
    from kit import timings
    from kit.training import devices, inference, session, setup
    from kit.training.fit import fit

    training = setup.resolve(dataset, recipe.replace(seed=job.seed, split_seed=job.seed))
    with devices.prepare(training.recipe.devices):
        started = time.perf_counter()
        split = training.split(fold=0)
        network = training.network(split)
        history = fit(network, split, training.recipe, started=started)
        speed = inference_speed(lambda images: inference.predict(network, images), dataset.test_images)
    return Measured(
        name=job.name,
        seed=job.seed,
        epochs=[(row["seconds"], row["val_accuracy"]) for row in history],
        start_seconds=start_seconds([row["seconds"] for row in history]),
        training_speed=session.images_per_second(len(split.images), history),
        inference_speed=speed,
        peak_memory=timings.peak_memory(),
        parameters=network.count_params(),
        precision=training.recipe.precision,
        hardware=devices.hardware(),
    )
