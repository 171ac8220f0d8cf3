"""The first images of a training, before and after augmentation."""

import keras
import numpy as np

from kit.loaders import Dataset
from kit.recipes.recipe import Recipe
from kit.training.augmentation import Augment
from kit.training.batches import Batches

COUNT = 16


def batch(dataset: Dataset, recipe: Recipe) -> tuple[np.ndarray, np.ndarray | None]:
    """Return some training images, and their augmented copies of the first epoch.

    Returns:
        Two arrays (16 or fewer, h, w, c) uint8; the second is None where the recipe does not augment.
    """
    images = dataset.train_images[:COUNT]
    inputs, _ = next(Batches(images, np.eye(len(images), dtype=np.float32), recipe).epoch(0))
    if len(inputs) == 1:
        return images, None
    augmented = keras.ops.convert_to_numpy(Augment(recipe.fill_mode)(inputs))
    return inputs["images"], np.clip(np.round(augmented), 0, 255).astype(np.uint8)
