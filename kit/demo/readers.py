"""Runs that read images: their networks loaded once, and the confidence below which an answer is doubtful."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kit import competitions, loaders
from kit.competitions import Competition
from kit.errors import Failure, UserError
from kit.figures import attribution
from kit.prediction import parts
from kit.prediction.parts import Joined, Load, Networks
from kit.tracking import Run
from kit.training import transfer

DOUBTED = 0.01  # share of right out-of-fold answers that are called unlikely
FEWEST = 100  # right out-of-fold answers, of which one is that share


@dataclass(frozen=True, eq=False)
class Reader:
    """A run, ready to be asked.

    Attributes:
        run: which one.
        accuracy: its out-of-fold accuracy; None without validation images.
        likely_above: the confidence below which its answers are doubtful; None where that is not known.
        parts: its networks.
        load: loads one of them, once.
    """

    run: Run
    accuracy: float | None
    likely_above: float | None
    parts: Networks | Joined
    load: Load

    @property
    def competition(self) -> Competition:
        """What it was trained for."""
        return competitions.get(self.run.competition)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, classes), for images (n, h, w, c) uint8."""
        return self.parts.predict(images, self.load)

    def heat(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
        """Return Grad-CAM maps of its first network, (n, h, w) of 0…1; None for an ensemble, or without convolutions.

        Args:
            images: (n, h, w, c) uint8.
            classes: (n,) integers, the class to explain in each image.
        """
        if isinstance(self.parts, Joined):
            return None
        return None if self._grad_cam is None else self._grad_cam(images, classes)

    @functools.cached_property
    def _grad_cam(self) -> attribution.GradCam | None:
        assert isinstance(self.parts, Networks)
        try:
            return attribution.GradCam(self.load(self.parts.paths[0]))
        except ValueError:  # no layer has feature maps
            return None


def likely_above(oof: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the confidence that 99 of 100 right out-of-fold answers exceed.

    Confidence is the largest probability. On images like those that the run was trained on, one right answer in 100 is
    below it, and so is doubted. It is no detector of other images: nothing was measured on these, and a network may
    be sure of nonsense.

    Args:
        oof: (n, classes) float32, NaN in rows that no fold has predicted.
        labels: (n,) integers.

    Returns:
        0…1; None where fewer than 100 answers are right.

    Reference:
        Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
        Networks" (2017).
    """
    known = ~np.isnan(oof).any(axis=1)
    predicted = oof[known]
    right = predicted.max(axis=1)[predicted.argmax(axis=1) == labels[known]]
    return float(np.quantile(right, DOUBTED)) if len(right) >= FEWEST else None


def gather(
    runs: Sequence[Run], data_dir: str | None = None, thresholds: Mapping[str, float | None] | None = None
) -> list[Reader]:
    """Load runs of one competition; behind each ensemble stand its members.

    Args:
        runs: complete trainings or ensembles.
        data_dir: the folder of all competitions' files, where they have moved.
        thresholds: `likely_above` of each run by name, where the training images are not there to compute it from.

    Raises:
        UserError: the runs are of several competitions, one is not complete, or a network is missing or damaged.
    """
    wanted: dict[pathlib.Path, Run] = {}
    for run in runs:
        for one in (run, *members(run)):
            wanted.setdefault(one.folder.resolve(), one)
    first = runs[0]
    for run in runs:
        if run.competition != first.competition:
            raise UserError(f"{run.folder} is of {run.competition}, {first.folder} of {first.competition}; show one.")
    competition = competitions.get(first.competition)
    load = functools.cache(lambda path: transfer.load_classifier(path, competition))
    labels = _Labels(data_dir)
    found = []
    for run in wanted.values():
        reached, resolved = run.metrics(), parts.resolve(run)
        for leaf in resolved.leaves():
            for path in leaf.paths:
                load(path)
        doubt = thresholds.get(run.name) if thresholds is not None else labels.likely_above(run)
        found.append(Reader(run, reached.validation_accuracy, doubt, resolved, load))
    return found


def members(run: Run) -> list[Run]:
    """Return an ensemble's members, as runs beside it; none of a training."""
    made = run.config().ensemble
    return [] if made is None else [Run(run.folder.with_name(name)) for name in made.members]


class _Labels:
    """The training labels of runs, read once for all that were trained on the same data."""

    def __init__(self, data_dir: str | None):
        self.data_dir = data_dir
        self.known: dict[str, np.ndarray | None] = {}

    def likely_above(self, run: Run) -> float | None:
        data = run.config().data
        if data.fingerprint not in self.known:
            try:
                self.known[data.fingerprint] = loaders.load_for(data, self.data_dir).train_labels
            except (UserError, Failure) as error:
                print(f"no answer will be called unlikely, since the run's images are not there: {error}")
                self.known[data.fingerprint] = None
        labels = self.known[data.fingerprint]
        return None if labels is None else likely_above(run.oof(), labels)
