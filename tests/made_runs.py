"""Run folders that were never trained: what a training leaves, written in milliseconds."""

import numpy as np

from kit import tracking
from kit.recipes import Recipe
from kit.tracking import Config, Data, Metrics, Run

COMPETITION = "digit-recognizer"
IMAGES, CLASSES = 20, 10


def config(fingerprint="a", source="sample", limit=0, competition=COMPETITION, **fields):
    """The config of a network's run; `fields` are its recipe's."""
    fingerprint = (fingerprint * 64)[:64]
    data = Data(competition=competition, source=source, folder="data", limit=limit, fingerprint=fingerprint)
    return Config(kind="network", data=data, recipe=Recipe(**{"model": "fast_cnn", "precision": "float32", **fields}))


def metrics(**fields):
    return Metrics(
        **{
            "competition": COMPETITION, "model": "fast_cnn", "source": "sample", "seen": [], "seed": 0, "split_seed": 0,
            "folds": 0, "held_out_share": 0.0, "validation_share": 0.1, "data_fingerprint": "a" * 64,
            "validation_accuracy": 0.9, "validation_log_loss": 0.3, "validation_images": 2, "fit_seconds": 1.5,
            "images_per_second": 100.0, "parameters": 1000, "epochs": 1, "precision": "float32",
            **fields,
        }
    )  # fmt: skip


def history(epochs=1):
    row = dict.fromkeys(tracking.history.COLUMNS, 0.5)
    return [{**row, "fold": 0, "epoch": epoch, "seconds": float(epoch)} for epoch in range(1, epochs + 1)]


def probabilities(labels=None):
    """(n, CLASSES) float32; the label's class is the likeliest where there are labels."""
    if labels is None:
        return np.full((IMAGES, CLASSES), 1 / CLASSES, np.float32)
    return np.eye(CLASSES, dtype=np.float32)[labels] * 0.5 + np.float32(0.05)


def write(run: Run, predicted=None, epochs=1, **fields):
    """Write what a training leaves into a run that has begun; `fields` are its metrics'."""
    run.write_history(history(epochs))
    run.write_array("oof", probabilities(predicted))
    run.write_array("test", probabilities())
    run.write_metrics(metrics(**fields))


def made(name, asked=None, predicted=None, epochs=1, **fields) -> Run:
    """Make a complete run; `fields` are its metrics'."""
    asked = asked or config()
    known = {"data_fingerprint": asked.data.fingerprint, "competition": asked.data.competition}
    with tracking.place(asked.data.competition, name).begin(asked) as run:
        write(run, predicted, epochs, **{**known, **fields})
    return run


def begun(name, asked=None) -> Run:
    """Make a run as a process leaves it that died while it trained."""
    run = tracking.place(COMPETITION, name)
    try:
        with run.begin(asked or config(), "resume"):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return run
