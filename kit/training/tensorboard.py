"""What TensorBoard shows of a run: `tensorboard --logdir runs/<competition>/<name>/tensorboard`.

The numbers are those of `history.csv`, whatever Keras runs on. A training that goes on after an interruption writes
them anew from its state, so that no epoch is missing and none is there twice.
"""

import importlib.util
import math
import pathlib
import shutil
import time
from typing import Any

import keras

from kit.errors import UserError
from kit.tracking import Run
from kit.training import checkpoint

CURVES = {
    "train": {"epoch_loss": "loss", "epoch_accuracy": "accuracy", "epoch_learning_rate": "learning_rate"},
    "validation": {"epoch_loss": "val_loss", "epoch_accuracy": "val_accuracy"},
}
"""Keras's own names: for each curve of a plot its plots, and the columns of `history.csv` that they show."""


def check() -> None:
    """Refuse to begin where the package that writes for TensorBoard is missing.

    Raises:
        UserError: it is not installed; says how to install it.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs a package that is not installed: pip install tensorboard")


def callback(run: Run, fold: int) -> keras.callbacks.Callback:
    """Return a callback that writes loss, accuracy and learning rate of each epoch for TensorBoard.

    It only reads the state that the training has saved, so it must come after the callback that saves it; the weights
    are those of a training without it.

    Args:
        run: what is trained; the files lie in its folder, in `tensorboard/fold-<fold>/`.
        fold: its number, from 0.

    Raises:
        UserError: as `check`.
    """
    check()
    return _Scalars(run.folder / "tensorboard" / f"fold-{fold}", run.working / f"state-{fold}.npz")


class _Scalars(keras.callbacks.Callback):
    def __init__(self, folder: pathlib.Path, state: pathlib.Path):
        super().__init__()
        self.folder, self.state = folder, state
        self.written = 0
        self.writers: dict[str, Any] = {}
        self.started = 0.0

    def on_train_begin(self, logs=None):
        """Called by Keras at the beginning of each stage."""
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        rows = self._rows()
        if not self.written:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.started = time.time() - (rows[-1]["seconds"] if rows else 0.0)
        self.writers = {name: EventFileWriter(str(self.folder / name)) for name in CURVES}
        self._write(rows)

    def on_epoch_end(self, epoch, logs=None):
        """Called by Keras."""
        self._write(self._rows())

    def on_train_end(self, logs=None):
        """Called by Keras at the end of each stage."""
        for writer in self.writers.values():
            writer.close()

    def _rows(self) -> list[dict[str, Any]]:
        return checkpoint.progress(self.state)["history"] if self.state.exists() else []

    def _write(self, rows: list[dict[str, Any]]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for row in rows[self.written :]:
            moment = self.started + row["seconds"]
            for name, plots in CURVES.items():
                for plot, column in plots.items():
                    if not math.isnan(row[column]):
                        summary = scalar_pb(plot, row[column])
                        self.writers[name].add_event(Event(wall_time=moment, step=row["epoch"], summary=summary))
        self.written = len(rows)
        for writer in self.writers.values():
            writer.flush()
