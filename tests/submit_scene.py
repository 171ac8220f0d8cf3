"""A folder with a run and its submission, and the stand-in that it is sent to; shared by the tests of submitting."""

import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import kaggle_stand_in
import numpy as np

from kit import competitions, submission, submit, tracking
from kit.competitions import Competition
from kit.kaggle_client import Retries
from kit.recipes import Recipe
from kit.submission.ledger import Ledger, Line

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
DIGITS = competitions.get("digit-recognizer")
QUICK = Retries(
    pauses=(0.01,) * 4,
    unreachable=1,
    connect=2,
    read=2,
    call=2,
    longest=1,
    checks=(0.01,) * 4,
    polls=(0.01,),
    score=2,
)
CHILD = f"""
import sys
from kit import submit
from kit.kaggle_client import Retries, connection
connection.RETRIES = {QUICK!r}
sys.exit(submit.main(sys.argv[1:]))
"""


def leave_run(
    name: str,
    of: Competition = DIGITS,
    labels: np.ndarray | None = None,
    data: dict[str, Any] | None = None,
    **metrics: Any,
) -> tracking.Run:
    """Leave a complete run with its predictions and submission, as a training does; another of the name is replaced.

    Args:
        of: the competition.
        labels: (m,) integers, what is predicted for the test images with the ids 1 to m.
        data, metrics: what of `config.yaml`'s data and of `metrics.json` is not as usual.
    """
    labels = np.array([1, 2, 3]) if labels is None else labels
    facts = {"competition": of.name, "source": "kaggle", "folder": "data", "limit": 0, "fingerprint": "0" * 64}
    config = tracking.Config(kind="network", data=tracking.Data(**{**facts, **(data or {})}), recipe=Recipe())
    usual = {
        "competition": of.name, "model": "resnet_small", "source": "kaggle", "seen": [], "seed": 0,
        "split_seed": 0, "folds": 0, "held_out_share": 0.0, "validation_share": 0.1, "data_fingerprint": "0" * 64,
        "validation_accuracy": 0.9941, "validation_log_loss": 0.02, "validation_images": 4200, "fit_seconds": 1.0,
        "images_per_second": 1.0, "parameters": 1,
    }  # fmt: skip
    run = tracking.place(of.name, name)
    shutil.rmtree(run.folder, ignore_errors=True)
    with run.begin(config):
        run.write_metrics(tracking.Metrics(**{**usual, **metrics}))
        run.write_array("test", np.eye(of.classes, dtype=np.float32)[labels])
        submission.write(run.submission, of, np.arange(1, len(labels) + 1), labels)
    return run


class Scene:
    """`data`, `runs` and `submissions` in the working folder, with Kaggle's files of `stand_in` downloaded."""

    def __init__(self, folder: pathlib.Path, stand_in: kaggle_stand_in.KaggleStandIn):
        self.folder, self.kaggle = folder, stand_in
        data = folder / "data" / "digit-recognizer"
        data.mkdir(parents=True)
        (data / "digit-recognizer.zip").write_bytes(stand_in.bundles["digit-recognizer"])
        self.labels = np.arange(28) % 10

    @property
    def ledger(self) -> list[Line]:
        return Ledger(self.folder / "submissions").lines()

    def run(self, name: str = "r", labels: np.ndarray | None = None, **metrics: Any) -> pathlib.Path:
        """Leave a complete run and its submission, and return the CSV's path."""
        return leave_run(name, labels=self.labels if labels is None else labels, **metrics).submission

    def submit(self, *argv: str) -> int:
        """Run `python -m kit.submit` in this process."""
        return submit.main(list(argv))

    def child(self, *argv: str, script: str = CHILD, folder: pathlib.Path | None = None) -> subprocess.Popen[str]:
        """Start `python -m kit.submit`, or another script, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", script, *argv],
            cwd=folder or self.folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
