"""A Keras callback that keeps what `kit.figures.learning_curves` draws."""

import time

import keras
import pandas as pd


class Stopwatch(keras.callbacks.Callback):
    """Keep loss, accuracy and the seconds of fit of each epoch.

        clock = workshop.Stopwatch()
        network.fit(images, labels, epochs=3, callbacks=[clock])
        figures.learning_curves(clock.history)

    Seconds count from the start of fit, building and compiling included and validation excluded, as in a run's
    `history.csv`. A second `fit` with the same stopwatch goes on counting, epochs and seconds alike.
    """

    def __init__(self):
        super().__init__()
        self._rows: list[dict] = []
        self._before, self._started, self._aside = 0.0, 0.0, 0.0

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: epoch (from 1), seconds, and Keras's own loss, accuracy, val_loss, val_accuracy."""
        return pd.DataFrame(self._rows)

    @property
    def seconds(self) -> float:
        """Seconds of fit until the end of the last whole epoch."""
        return self._rows[-1]["seconds"] if self._rows else 0.0

    def on_train_begin(self, logs=None):
        """Start counting, from where an earlier fit ended."""
        self._before, self._started, self._aside = self.seconds, time.perf_counter(), 0.0

    def on_test_begin(self, logs=None):
        """Stop counting while Keras validates."""
        self._aside -= time.perf_counter()

    def on_test_end(self, logs=None):
        """Go on counting."""
        self._aside += time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Keep the epoch's figures."""
        passed = self._before + time.perf_counter() - self._started - self._aside
        named = {name: float(value) for name, value in (logs or {}).items()}
        self._rows.append({"epoch": len(self._rows) + 1, "seconds": passed, **named})
