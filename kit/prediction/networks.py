"""The probabilities of a run's networks, or of an ensemble's members joined as it joins them."""

import numpy as np

from kit import competitions
from kit.errors import UserError
from kit.prediction import parts
from kit.tracking import Run
from kit.training import transfer


def predict(run: Run, images: np.ndarray, tta: bool = False) -> np.ndarray:
    """Predict the classes of images.

    Args:
        run: a training, or an ensemble whose members still lie beside it.
        images: (n, h, w, c) uint8 in the competition's shape.
        tta: whether to average over augmented copies, also where the run was trained without.

    Returns:
        Probabilities, float32 (n, classes): the mean of the folds' networks; for an ensemble its own rule of joining.

    Raises:
        UserError: images of another shape; a network or a member is missing or damaged.
    """
    competition = competitions.get(run.competition)
    shape, images = competition.image_shape, np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != shape or images.dtype != np.uint8:
        raise UserError(f"images must be (n, {', '.join(map(str, shape))}) uint8, not {images.shape} {images.dtype}.")
    return parts.resolve(run, tta).predict(images, lambda path: transfer.load_classifier(path, competition))
