"""A person's own photos, scans and drawings of any size, made into what a competition's networks take.

For a competition of handwriting the drawings are found, freed of paper, light and colour, and each is placed as
MNIST's digits were. For all others the photo is made small as the competition's own images are: its middle, or all of
it on black.
"""

import os
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kit.competitions import Competition
from kit.photos import drawing, files
from kit.photos.files import matching

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Photo", "matching", "prepare"]


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as it is, and what a network takes of it: all, or one of the drawings in it.

    Attributes:
        path: where it was read from.
        original: (h, w, 3) uint8, upright, at most 400 pixels long.
        image: the network's input in the competition's shape, uint8.
        box: what of `original` the image shows: left, top, right, bottom in pixels.
        number, count: which drawing of the photo it is, counted from 1 as one reads; and how many there are.
    """

    path: pathlib.Path
    original: np.ndarray
    image: np.ndarray
    box: tuple[int, int, int, int]
    number: int = 1
    count: int = 1

    @property
    def title(self) -> str:
        """Its file's name, and which of several drawings it is."""
        return self.path.name if self.count == 1 else f"{self.path.name}, {self.number} of {self.count}"


def prepare(path: str | os.PathLike[str], competition: Competition, content: bytes | None = None) -> list[Photo]:
    """Read a photo of any size and find in it what a network of the competition takes.

    Args:
        path: PNG, JPEG, WebP, GIF, BMP or TIFF; colour or grey, transparent or not, turned as its EXIF data say.
        competition: for one of handwriting, dark on light or light on dark in any colour, in even or uneven light:
            every drawing that is about as tall and as bold as the main one, with the strokes that belong to it.
        content: what the file holds, where it does not lie on disk.

    Returns:
        The network's inputs: of handwriting one a drawing, lines from top to bottom, each from left to right; else one.

    Raises:
        UserError: there is no such file, it is not an image, it is too large, or there is nothing in it.

    Reference:
        LeCun, Cortes and Burges, "The MNIST database": scaled into 20 × 20 pixels with their grey levels, then centred
        by the mass in 28 × 28.
    """
    path = pathlib.Path(path)
    height, width, channels = competition.image_shape
    upright = files.upright(path, content)
    original = files.small(upright)
    if competition.handwriting:
        found = [
            (np.repeat(drawing.placed(ink, (height, width))[..., None], channels, axis=2), box)
            for ink, box in drawing.find(np.asarray(original, np.float32), path)
        ]
    else:
        plain = upright if channels == 3 else upright.convert("L")
        fit = _middle if competition.fit == "crop" else _whole
        found = [fit(plain, original, (height, width))]
    pixels, shape = np.asarray(original), competition.image_shape
    return [
        Photo(path, pixels, image.reshape(shape), box, number, len(found))
        for number, (image, box) in enumerate(found, 1)
    ]


def _middle(
    upright: "Image.Image", original: "Image.Image", shape: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Cut out the largest part in the middle that has the shape's proportions, and make it small."""
    from PIL import Image, ImageOps

    image = ImageOps.fit(upright, (shape[1], shape[0]), Image.Resampling.LANCZOS)
    share = min(original.width / shape[1], original.height / shape[0])
    left, top = (original.width - share * shape[1]) / 2, (original.height - share * shape[0]) / 2
    box = (round(left), round(top), round(left + share * shape[1]), round(top + share * shape[0]))
    return np.asarray(image), box


def _whole(
    upright: "Image.Image", original: "Image.Image", shape: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Make the whole photo small, on black where it has other proportions than the shape."""
    from PIL import Image, ImageOps

    image = ImageOps.pad(upright, (shape[1], shape[0]), Image.Resampling.LANCZOS)
    return np.asarray(image), (0, 0, original.width, original.height)
