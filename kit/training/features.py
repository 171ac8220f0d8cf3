"""Training on features: a head behind frozen layers learns from what these gave once, not from images.

While layers are frozen their outputs for an image never change. `kit.training.frozen` cuts a network where its frozen
part ends; the head trains on stored features (`kit.training.feature_cache`) as it would have within the whole network.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kit.recipes.recipe import Recipe
from kit.training.batches import Batches
from kit.training.feature_cache import Cache, Features
from kit.training.frozen import Parts, split


class FeatureBatches:
    """The batches of `Batches` in the same order, as features in place of images.

    Args:
        batches: the training batches.
        parts: the network, cut.
        cache: where the features are kept.

    Epoch k gets the images as they were augmented in epoch k modulo the recipe's `feature_copies`: with as many copies
    as epochs the training is that of the whole network.
    """

    def __init__(self, batches: Batches, parts: Parts, cache: Cache):
        self.batches, self.recipe, self.size, self.steps = batches, batches.recipe, batches.size, batches.steps
        self._parts, self._cache = parts, cache
        self._copies: dict[int, Features] = {}

    def compute(self, first: int, last: int) -> bool:
        """Compute what the epochs from `first` up to `last` need, and epoch 0; whether the disk has room for it."""
        for copy in sorted({self._copy(epoch) for epoch in (0, *range(first, last))}):
            if copy not in self._copies:
                _, numbers = self.batches.draw(copy)
                found = self._cache.features(self._parts, self.batches.images, numbers, self.recipe.fill_mode)
                if found is None:
                    return False
                self._copies[copy] = found
        return True

    def epoch(self, epoch: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Yield epoch `epoch`'s batches, counted from 0: what the head takes, and targets (size, classes) float32."""
        features = self._copies[self._copy(epoch)]
        order, _ = self.batches.draw(epoch)
        for step in range(self.steps):
            rows = order[step * self.size : (step + 1) * self.size]
            yield features.rows(rows), self.batches.targets[rows]

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape without the batch, and dtype, of every input, by name."""
        return {
            f"features{number}": (tuple(tensor.shape[1:]), str(tensor.dtype))
            for number, tensor in enumerate(self._parts.frozen.outputs)
        }

    @staticmethod
    def prepared(inputs: dict[str, Any]) -> Any:
        """What the head takes, from a batch's inputs."""
        values = list(inputs.values())
        return values if len(values) > 1 else values[0]

    def _copy(self, epoch: int) -> int:
        return epoch % max(1, self.recipe.feature_copies) if self.recipe.augments else 0


def usable(recipe: Recipe, network: keras.Model, announce: bool = False) -> Parts | None:
    """Return the parts of a network whose features a training of `recipe` may keep; None where it may not.

    Args:
        recipe: says whether, and how many augmented copies.
        network: as it stands; what is frozen may change from stage to stage.
        announce: whether to print a line where only the augmentation is in the way.
    """
    if recipe.cache_features == "off":
        return None
    parts = split(network)
    if parts and recipe.augments and not recipe.feature_copies:
        if announce:
            print(
                "features are computed in every epoch, because the recipe augments; --feature-copies N keeps N copies"
            )
        return None
    return parts
