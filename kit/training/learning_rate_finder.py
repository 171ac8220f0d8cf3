"""Find a learning rate: train for some steps while it grows from far too small to far too large.

Reference: Smith 2015, https://arxiv.org/abs/1506.01186.
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kit.errors import Failure
from kit.training import devices
from kit.training.batches import Batches, Epochs
from kit.training.fit import compiled
from kit.training.setup import Training

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 120
SMOOTHING = 0.8  # share that each loss keeps of those before it
DIVERGED = 3.0  # times the lowest loss
FELL = 0.95  # of the first loss; above it, nothing was learned
BEFORE_LOWEST = 10.0  # the suggestion is this many times smaller than the rate of the lowest loss


@dataclass(frozen=True)
class Sweep:
    """How the loss answered to each learning rate.

    Attributes:
        learning_rates: (n,) float64, rising by the same factor from step to step.
        losses: (n,) float64, of each step's batch, before the step.
        smoothed: (n,) float64, exponential mean of the losses.
        suggestion: the learning rate to try, of two digits.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float


class Rising(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that grows by the same factor from each step to the next.

    Args:
        first, last: learning rates of the first and of the last step.
        steps: how many there are.
    """

    def __init__(self, first: float, last: float, steps: int):
        self.first, self.last, self.steps = first, last, steps

    def __call__(self, step):
        """Return the learning rate of step `step`, counted from 0, as a float32 scalar tensor."""
        share = ops.cast(step, "float32") / max(self.steps - 1, 1)
        return self.first * ops.power(self.last / self.first, share)

    def get_config(self) -> dict:
        """The arguments, as Keras asks for them."""
        return {"first": self.first, "last": self.last, "steps": self.steps}


def sweep(training: Training, steps: int = STEPS) -> Sweep:
    """Train the first fold's network for some steps, the learning rate rising from 1e-6 until the loss explodes.

    Nothing is kept of the network. Everything else is as in a training: augmentation, optimizer, precision.

    Args:
        training: says what is trained, and on what.
        steps: how many at most.

    Raises:
        Failure: the loss never fell.
    """
    split = training.split(0)
    recipe = training.recipe
    rising = Rising(LOWEST, HIGHEST, steps)
    losses: list[float] = []
    with devices.prepare(recipe.devices):
        batches = Batches(split.images, split.targets, recipe)
        model = compiled(training.network(split), batches, learning_rate=rising)
        epochs = Epochs(batches, 0, -(-steps // batches.steps))
        for step in range(steps):
            model.reset_metrics()  # else Keras gives the mean of all steps
            inputs, targets = epochs[step]
            losses.append(float(model.train_on_batch(inputs, targets, return_dict=True)["loss"]))
            if not np.isfinite(losses[-1]) or _diverged(losses):
                break
    keras.backend.clear_session(free_memory=True)
    known = np.array(losses[:-1] if not np.isfinite(losses[-1]) else losses)
    rates = LOWEST * (HIGHEST / LOWEST) ** (np.arange(len(known)) / (steps - 1))
    return Sweep(rates, known, smoothed(known), suggestion(rates, known))


def suggestion(learning_rates: np.ndarray, losses: np.ndarray) -> float:
    """Return a tenth of the learning rate at which the smoothed loss is lowest, rounded to two digits.

    At the lowest loss itself the next steps already do harm; a tenth is what fast.ai's course takes.

    Args:
        learning_rates, losses: (n,), of a sweep.

    Raises:
        Failure: the loss never fell.
    """
    mean = smoothed(losses)
    if not len(mean) or mean.min() > FELL * mean[0]:
        raise Failure(
            "the loss does not fall at any learning rate, so none can be suggested; check the recipe, or take more "
            "images than --limit gives."
        )
    return float(f"{learning_rates[mean.argmin()] / BEFORE_LOWEST:.1e}")


def smoothed(losses: np.ndarray) -> np.ndarray:
    """Return the exponential mean of (n,) losses, corrected for its beginning."""
    weights = SMOOTHING ** np.arange(len(losses))
    return np.array([np.average(losses[: end + 1], weights=weights[end::-1]) for end in range(len(losses))])


def _diverged(losses: list[float]) -> bool:
    mean = smoothed(np.array(losses))
    return bool(mean[-1] > DIVERGED * mean.min())
