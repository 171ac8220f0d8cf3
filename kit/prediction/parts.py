"""Which networks a run's predictions come from, and how these are joined: found once, then asked or exported."""

import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from kit import competitions, ensemble
from kit.ensemble.averaging import pool
from kit.errors import UserError
from kit.tracking import Run
from kit.training import inference, setup
from kit.training.inference import Transform

MOST_LEVELS = 5

Load = Callable[[pathlib.Path], keras.Model]
"""Loads a network, pixels to logits, from its file."""


@dataclass(frozen=True)
class Networks:
    """A training's networks, one a fold, whose probabilities are averaged.

    Attributes:
        run: whose they are.
        paths: their files.
        groups: the augmented copies of an image that each of them predicts.
        weights: of each group, their sum 1; within a group, copies count the same.
    """

    run: Run
    paths: list[pathlib.Path]
    groups: list[list[Transform]]
    weights: list[float]

    def predict(self, images: np.ndarray, load: Load) -> np.ndarray:
        """Return probabilities, float32 (n, classes), for images (n, h, w, c) uint8."""
        weights = np.asarray(self.weights)
        answers = [
            np.tensordot(weights, inference.predict_groups(load(path), images, self.groups), axes=1)
            for path in self.paths
        ]
        return np.mean(answers, axis=0).astype(np.float32)

    def leaves(self) -> Iterator["Networks"]:
        """Yield this one."""
        yield self


@dataclass(frozen=True)
class Joined:
    """An ensemble's members, and how their probabilities are pooled.

    Attributes:
        run: the ensemble.
        members: in its order.
        weights: (members,) on the simplex; None where a second model joins them.
        geometric, temperature: as of `kit.ensemble.averaging.pool`.
    """

    run: Run
    members: list["Networks | Joined"]
    weights: np.ndarray | None
    geometric: bool
    temperature: float

    def predict(self, images: np.ndarray, load: Load) -> np.ndarray:
        """Return probabilities, float32 (n, classes), for images (n, h, w, c) uint8."""
        stacked = np.stack([member.predict(images, load) for member in self.members])
        if self.weights is not None:
            return pool(stacked, self.weights, self.geometric, self.temperature)
        made = self.run.config().ensemble
        assert made is not None
        read = ensemble.gather([str(member.run.folder) for member in self.members])
        return ensemble.estimator(made.method, seed=made.seed).fit(read.oof, read.labels).predict_proba(stacked)

    def leaves(self) -> Iterator[Networks]:
        """Yield the trainings that it is made of, those of members that are ensembles themselves too."""
        for member in self.members:
            yield from member.leaves()


def resolve(run: Run, tta: bool = False) -> Networks | Joined:
    """Find the networks that a run's predictions come from.

    Args:
        run: a training, or an ensemble whose members still lie beside it.
        tta: whether to average over augmented copies, also where the run was trained without.

    Raises:
        UserError: a network or a member is missing.
    """
    return _resolve(run, tta, MOST_LEVELS)


def _resolve(run: Run, tta: bool, levels: int) -> Networks | Joined:
    config = run.config()
    if config.ensemble is not None:
        return _joined(run, tta, levels)
    paths = run.network_paths()
    if not paths and config.kind == "tta" and config.parent:
        paths = Run(run.folder.with_name(config.parent)).network_paths()
    if not paths or config.recipe is None:
        raise UserError(f"{run.folder} has no network to predict with; train the run again.")
    copied = config.recipe.replace(tta=True) if tta and config.recipe.validates else config.recipe
    groups = setup.transforms(copied, competitions.get(run.competition))
    weights = run.metrics().tta_weights
    if weights is None or len(weights) != len(groups):
        weights = [1 / len(groups)] * len(groups)
    return Networks(run, paths, groups, [weight / sum(weights) for weight in weights])  # in metrics.json rounded


def _joined(run: Run, tta: bool, levels: int) -> Joined:
    made = run.config().ensemble
    assert made is not None
    if not levels:
        raise UserError(f"{run.folder} is an ensemble of ensembles too deep to predict with.")
    members = []
    for name in made.members:
        member = Run(run.folder.with_name(name))
        if made.method == "snapshot" or member.state == "absent":
            raise UserError(
                f"{run.folder}: its member {name} has no network beside it; predict with a run of kit.train."
            )
        members.append(_resolve(member, tta, levels - 1))
    weights = None if made.weights is None else np.array([made.weights[name] for name in made.members])
    return Joined(run, members, weights, bool(made.options.get("geometric")), made.temperature or 1.0)
