"""The classes of a person's own photos."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kit import photos
from kit.competitions import Competition
from kit.errors import UserError
from kit.photos import Photo


@dataclass(frozen=True, eq=False)
class PhotoPrediction:
    """A photo or a drawing in one, and the probabilities (classes,) float32 that a network gives its classes."""

    photo: Photo
    probabilities: np.ndarray


def predict_photos(
    predict: Callable[[np.ndarray], np.ndarray], competition: Competition, paths: Sequence[str | os.PathLike[str]]
) -> tuple[list[PhotoPrediction], list[UserError]]:
    """Prepare photos for a competition's networks, and predict their classes.

    Args:
        predict: from images (n, h, w, c) uint8 in the competition's shape to probabilities (n, classes); called once,
            and only if there are images.
        competition: what the networks were trained for.
        paths: the photos' files, or patterns such as `digits/*.png`.

    Returns:
        What could be used, in order, with its probabilities, each drawing of a photo by itself; and an error for each
        of the other files.
    """
    prepared: list[Photo] = []
    refused = []
    for path in photos.matching(paths):
        try:
            prepared += photos.prepare(path, competition)
        except UserError as error:
            refused.append(error)
    if not prepared:
        return [], refused
    probabilities = predict(np.stack([photo.image for photo in prepared]))
    return [PhotoPrediction(*pair) for pair in zip(prepared, probabilities, strict=True)], refused


def likeliest(probabilities: np.ndarray, class_names: Sequence[str], count: int = 3) -> str:
    """Return the likeliest classes as text, such as "7 (98.2%), 1 (1.1%), 9 (0.4%)".

    Args:
        probabilities: (classes,).
        class_names: what each class is called.
        count: how many.
    """
    top = np.argsort(-np.asarray(probabilities), kind="stable")[:count]
    return ", ".join(f"{class_names[label]} ({probabilities[label]:.1%})" for label in top)
