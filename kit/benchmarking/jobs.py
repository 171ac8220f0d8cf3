"""What a benchmark measures: jobs, and what a training of one showed."""

import itertools
import statistics
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
        metric: by what the competition scores.
        score: after the last epoch by this metric, where it is another than accuracy.
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
    metric: str = "accuracy"
    score: float | None = None

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
