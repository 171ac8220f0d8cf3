"""A training that has only so much time: it stops after a whole epoch, and --resume goes on."""

import time

import keras

from kit.errors import Failure

RESERVE = 1.25  # an epoch may take so many times as long as the longest one before it


class TimeIsUp(Failure):
    """The time limit is reached; everything up to the last whole epoch is kept."""


class StopInTime(keras.callbacks.Callback):
    """Stops a training before an epoch that would not end in time.

    It stands behind the callback that saves the state, so that the epoch that has just ended is kept. A training whose
    last epoch is done is not stopped: it only has to predict.

    Args:
        until: of `time.monotonic()`.

    Raises:
        TimeIsUp: from `fit`.
    """

    def __init__(self, until: float):
        super().__init__()
        self.until, self.longest, self.began = until, 0.0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Called by Keras."""
        self.began = time.monotonic()
        self._check(epoch)

    def on_epoch_end(self, epoch, logs=None):
        """Called by Keras."""
        self.longest = max(self.longest, time.monotonic() - self.began)
        if epoch + 1 < self.params["epochs"] and not self.model.stop_training:
            self._check(epoch + 1)

    def _check(self, epochs: int) -> None:
        if time.monotonic() + RESERVE * self.longest >= self.until:
            raise TimeIsUp(f"the time limit is reached after epoch {epochs}; --resume goes on from there.")
