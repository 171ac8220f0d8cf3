"""Everything that a training starts from, found and checked once, before anything is written."""

import contextlib
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from kit import zoo
from kit.competitions import Competition
from kit.loaders import Dataset
from kit.loaders.cache import folders
from kit.recipes import Recipe
from kit.training import devices, distillation, lineage, precision, splits, transfer
from kit.training.batches import Batches
from kit.training.features import Cache
from kit.training.fit import Split
from kit.training.inference import IDENTITY, Transform, tta_groups
from kit.training.lineage import Lineage


@dataclass(frozen=True)
class Training:
    """A training that can begin.

    Attributes:
        dataset: what it trains on.
        recipe: how, its precision settled.
        folds: of each fold (training rows, validation rows), integer arrays.
        lineage: the earlier runs that it starts from.
    """

    dataset: Dataset
    recipe: Recipe
    folds: list[tuple[np.ndarray, np.ndarray]]
    lineage: Lineage

    def split(self, fold: int) -> Split:
        """Return what fold `fold`, counted from 0, trains and validates on."""
        rows, held_out = self.folds[fold]
        images, labels = self.dataset.train_images, self.dataset.train_labels
        one_hot = np.eye(self.dataset.competition.classes, dtype=np.float32)
        targets = distillation.soften(one_hot[labels[rows]], rows, self.recipe, self.lineage)
        trained_on = images[rows]
        if self.dataset.extra is not None:
            trained_on = np.concatenate([trained_on, self.dataset.extra.images])
            targets = np.concatenate([targets, one_hot[self.dataset.extra.labels]])
        return Split(trained_on, targets, images[held_out], labels[held_out], fold, self.dataset.competition.metric)

    def network(self, split: Split) -> keras.Model:
        """Build a fold's network with its first weights, seeded, in the recipe's precision."""
        with _policy(self.recipe.precision):
            keras.utils.set_random_seed(self.recipe.seed + 1000 * split.fold)
            network, taken = transfer.build(
                self.recipe, self.dataset.competition, self.lineage, split.fold, split.images
            )
        if taken and not split.fold:
            print(f"weights: {transfer.describe(network, taken)}, from {self.recipe.weights}")
        return network

    @property
    def cache(self) -> Cache:
        """Where frozen layers' features are kept: beside the data, or in the user's cache."""
        beside, *users = folders(pathlib.Path(self.dataset.folder) / self.dataset.competition.name)
        return Cache([beside, *users] if beside.parent.is_dir() else users)

    @property
    def transforms(self) -> list[list[Transform]]:
        """The groups of augmented copies that the training's networks predict."""
        return transforms(self.recipe, self.dataset.competition)


def transforms(recipe: Recipe, competition: Competition) -> list[list[Transform]]:
    """Return the groups of augmented copies that networks of this recipe predict; the plain image without TTA."""
    return tta_groups(competition.mirror_symmetric, recipe.fill_mode) if recipe.tta else [[IDENTITY]]


def resolve(dataset: Dataset, recipe: Recipe) -> Training:
    """Find and check everything that a training of `recipe` on `dataset` starts from; nothing is written.

    The network is built once, so that a mistake in its options or weights shows now and not after hours; `auto`
    precision is measured.

    Raises:
        UserError: the recipe does not suit the network, the images, the runs that it names or this machine.
    """
    zoo.find(recipe.model)
    folds = splits.splits(dataset.train_labels, recipe)
    for rows, _ in folds:
        devices.check(recipe.devices, min(recipe.batch_size, len(rows)))
    training = Training(dataset, recipe, folds, lineage.resolve(recipe, dataset))
    split = training.split(0)
    with devices.prepare(recipe.devices):
        transfer.build(recipe, dataset.competition, training.lineage)
        settled = _settled(training, split)
    keras.backend.clear_session(free_memory=True)
    return Training(dataset, recipe.replace(precision=settled), folds, training.lineage)


def _settled(training: Training, split: Split) -> str:
    recipe = training.recipe
    if recipe.precision != "auto":
        return recipe.precision
    some = Batches(split.images[: recipe.batch_size], split.targets[: recipe.batch_size], recipe)

    def build():
        return transfer.build(recipe, training.dataset.competition, training.lineage)[0]

    return precision.choose(recipe, build, some)


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision.policy(name))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
