"""A Keras callback that records what `kit.figures.learning_curves` draws."""

import time

import keras
import pandas as pd


class Stopwatch(keras.callbacks.Callback):
    """Record loss, accuracy and the seconds of training of each epoch.

        stopwatch = workshop.Stopwatch()
        network.fit(images, labels, epochs=3, callbacks=[stopwatch])
        figures.learning_curves(stopwatch.history)

    As in a run's `history.csv`, the seconds count from the start of `fit`: building and compiling are included,
    validation is not. A second `fit` with the same stopwatch continues both epochs and seconds.
    """

    def __init__(self):
        super().__init__()
        self._rows: list[dict[str, float]] = []
        self._earlier, self._started, self._validating = 0.0, 0.0, 0.0

    @property
    def history(self) -> pd.DataFrame:
        """One row for each epoch: epoch (from 1), seconds, and Keras's loss, accuracy, val_loss, val_accuracy."""
        return pd.DataFrame(self._rows)

    @property
    def seconds(self) -> float:
        """Seconds of training up to the end of the last complete epoch."""
        return self._rows[-1]["seconds"] if self._rows else 0.0

    def on_train_begin(self, logs=None):
        """Start the clock, at the seconds of an earlier `fit`."""
        self._earlier, self._started, self._validating = self.seconds, time.perf_counter(), 0.0

    def on_test_begin(self, logs=None):
        """Stop the clock while Keras validates."""
        self._validating -= time.perf_counter()

    def on_test_end(self, logs=None):
        """Start the clock again."""
        self._validating += time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Record the epoch."""
        seconds = self._earlier + time.perf_counter() - self._started - self._validating
        measured = {name: float(value) for name, value in (logs or {}).items()}
        self._rows.append({"epoch": len(self._rows) + 1, "seconds": seconds, **measured})
