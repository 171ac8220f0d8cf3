"""Training batches as a pure function of seed and epoch: what makes a resumed training equal to an unbroken one."""

from collections.abc import Iterator

import numpy as np

from kit.recipe import Recipe
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
        """Yield epoch `epoch`'s batches, counted from 0: what `learner` takes, and targets (size, classes) float32."""
        rng = np.random.default_rng([self.recipe.seed, self.stream, epoch])
        order = rng.permutation(len(self.images))
        partner = rng.permutation(len(self.images))
        numbers = augmentation.draw(self.recipe, len(self.images), self.images.shape[1:], epoch, rng)
        share = augmentation.own_share(numbers, self.images.shape[1:])
        for step in range(self.steps):
            rows = order[step * self.size : (step + 1) * self.size]
            inputs = {"images": self.images[rows], **{name: drawn[rows] for name, drawn in numbers.items()}}
            targets = self.targets[rows]
            if share is not None:
                inputs["partners"] = self.images[partner[rows]]
                own = share[rows, None]
                targets = own * targets + (1 - own) * self.targets[partner[rows]]
            yield inputs, targets

    def from_epoch(self, first: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Yield the batches of epoch `first` and of all that follow, without end."""
        epoch = first
        while True:
            yield from self.epoch(epoch)
            epoch += 1

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape without the batch, and dtype, of every input, by name."""
        inputs, _ = next(self.epoch(0))
        return {name: (array.shape[1:], str(array.dtype)) for name, array in inputs.items()}
