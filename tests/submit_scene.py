"""A folder with a run and its submission, and the stand-in that it is sent to; shared by the tests of submitting."""

import json
import os
import pathlib
import subprocess
import sys

import kaggle_stand_in
import numpy as np

from kit import competitions, submission, submit, tracking
from kit.command_line import command
from kit.kaggle_client import Retries
from kit.submission.ledger import Ledger, Line

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
DIGITS = competitions.get("digit-recognizer")
QUICK = Retries(
    pauses=(0.01,) * 4, unreachable=1, connect=2, read=2, looks=(0.01,) * 3, polls=(0.01,), score=2, longest=1
)
CHILD = f"""
import sys
from kit import submit
from kit.command_line import command
from kit.kaggle_client import Retries
patience = {QUICK!r}
sys.exit(command(lambda argv: submit.run(submit.parser().parse_args(argv), patience))(sys.argv[1:]))
"""


class Scene:
    """`data`, `runs` and `submissions` in the working folder, with Kaggle's files of `stand_in` downloaded."""

    def __init__(self, folder: pathlib.Path, stand_in: kaggle_stand_in.KaggleStandIn):
        self.folder, self.kaggle = folder, stand_in
        data = folder / "data" / "digit-recognizer"
        data.mkdir(parents=True)
        (data / "digit-recognizer.zip").write_bytes(stand_in.bundles["digit-recognizer"])
        self.labels = np.arange(28, dtype=np.uint8) % 10

    @property
    def ledger(self) -> list[Line]:
        return Ledger(self.folder / "submissions").lines()

    def run(self, name: str = "r", labels: np.ndarray | None = None, **metrics) -> pathlib.Path:
        """Leave a finished run and its submission, and return the CSV's path."""
        run = tracking.Run(pathlib.Path("runs/digit-recognizer") / name)
        run.write_config({"model": "resnet_small"})
        plain = {"competition": DIGITS.name, "model": "resnet_small", "source": "kaggle", "seen": [], "folds": 0}
        run.write_metrics({**plain, "validation_accuracy": 0.9941, **metrics})
        submission.write(run.submission, DIGITS, np.arange(1, 29), self.labels if labels is None else labels)
        return run.submission

    def submit(self, *argv: str) -> int:
        """Run `python -m kit.submit` in this process, in no mood to wait."""
        return command(lambda words: submit.run(submit.parser().parse_args(words), QUICK))(list(argv))

    def child(self, *argv: str, script: str = CHILD, **more: str) -> subprocess.Popen:
        """Start `python -m kit.submit`, or another script, in a process of its own."""
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}
        return subprocess.Popen(
            [sys.executable, "-c", script, *argv],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def metrics(self, name: str = "r") -> dict:
        return json.loads((self.folder / "runs" / "digit-recognizer" / name / "metrics.json").read_text())
