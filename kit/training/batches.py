"""Training batches as a pure function of seed and epoch: what makes a resumed training equal to an unbroken one."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kit.recipes.recipe import Recipe
from kit.training import augmentation


class Batches:
    """The training batches of one fold.

    Args:
        images: (n, h, w, c) uint8.
        targets: (n, classes) float32, each row a distribution over the classes.
        recipe: batch size, augmentation and seed.
        stream: tells trainings with the same seed apart, e.g. the fold.

    Every epoch sees each image at most once; the images that do not fill a last batch wait for the next epoch.
    """

    def __init__(self, images: np.ndarray, targets: np.ndarray, recipe: Recipe, stream: int = 0):
        self.images, self.targets, self.recipe, self.stream = images, targets, recipe, stream
        self.size = min(recipe.batch_size, len(images))
        self.steps = len(images) // self.size

    def epoch(self, epoch: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Yield epoch `epoch`'s batches, counted from 0: what `Augment` takes, and targets (size, classes) float32."""
        order, numbers = self.draw(epoch)
        for step in range(self.steps):
            rows = order[step * self.size : (step + 1) * self.size]
            inputs = {"images": self.images[rows], **{name: drawn[rows] for name, drawn in numbers.items()}}
            yield inputs, self.targets[rows]

    def draw(self, epoch: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return epoch `epoch`'s order, the images' numbers (n,), and what augments each image, by its number."""
        rng = np.random.default_rng([self.recipe.seed, self.stream, epoch])
        order = rng.permutation(len(self.images))
        return order, augmentation.draw(self.recipe, len(self.images), self.images.shape[1:], epoch, rng)

    def prepared(self, inputs: dict[str, Any]) -> Any:
        """What the network takes, from a batch's inputs: images float32 (n, h, w, c), augmented."""
        return augmentation.Augment(self.recipe.fill_mode, name="augment")(inputs)

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape without the batch, and dtype, of every input, by name."""
        inputs, _ = next(self.epoch(0))
        return {name: (array.shape[1:], str(array.dtype)) for name, array in inputs.items()}


class Epochs(keras.utils.PyDataset):
    """The batches of the epochs from `first` up to `last`, one after the other, by number.

    By number and not as a generator: on several devices Keras takes a first batch for its shapes and begins again, and
    from a generator that batch would be lost.
    """

    def __init__(self, batches: Any, first: int, last: int):
        super().__init__()
        self.batches, self.first, self.last = batches, first, last
        self._open: tuple[int, Iterator] = (-1, iter(()))

    def __len__(self) -> int:
        """How many batches there are in all."""
        return self.batches.steps * (self.last - self.first)

    def __getitem__(self, number: int):
        """Batch `number`, counted from 0 over all epochs."""
        expected, epoch = self._open
        if number != expected or number % self.batches.steps == 0:
            epoch = self.batches.epoch(self.first + number // self.batches.steps)
            for _ in range(number % self.batches.steps):
                next(epoch)
        self._open = (number + 1, epoch)
        return next(epoch)
