"""A person's own pictures – photos, scans, drawings of any size – made into what a competition's networks expect.

A competition with one channel is one of drawings: the drawing is found, freed of paper, light and colour, and placed as
MNIST's digits were. One with three channels is one of photos: the picture's middle square, made small.
"""

import pathlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit import competitions, tracking
from kit.command_line import DONE, WRONG_INPUT
from kit.errors import UserError
from kit.photos import drawing, files

MOST = 36  # pictures in the figure


@dataclass(frozen=True)
class Picture:
    """A picture as it is and as the network sees it.

    Attributes:
        path: where it was read from.
        original: (h, w, 3) uint8, upright, at most 400 pixels long.
        image: the network's input in the competition's shape, uint8.
        box: what of `original` the image shows: left, top, right, bottom in pixels.
    """

    path: pathlib.Path
    original: np.ndarray
    image: np.ndarray
    box: tuple[int, int, int, int]


def read(path: str | pathlib.Path, competition: str) -> np.ndarray:
    """Read a picture as a network of `competition` expects it, (h, w, c) uint8; see `look`."""
    return look(path, competition).image


def look(path: str | pathlib.Path, competition: str) -> Picture:
    """Read a picture of any size and find in it what a network of `competition` expects.

    Args:
        path: PNG, JPEG, WebP, GIF, BMP or TIFF; colour or grey, transparent or not, turned as its EXIF data say.
        competition: the competition's name. For one of drawings, dark on light or light on dark in any colour, in even
            or uneven light: the largest shape with the strokes that belong to it.

    Returns:
        The picture and the network's input.

    Raises:
        UserError: there is no such file, it is no picture, or there is nothing in it.

    Reference:
        LeCun, Cortes and Burges, "The MNIST database": scaled into 20 × 20 pixels with their grey levels, then centred
        by the mass in 28 × 28.
    """
    path = pathlib.Path(path)
    height, width, channels = competitions.get(competition).image_shape
    upright = files.upright(path)
    original = files.small(upright)
    if channels == 1:
        ink, box = drawing.find(np.asarray(original, np.float32), path)
        image = drawing.placed(ink, (height, width))[..., None]
    else:
        image, box = _middle(upright, original, (height, width))
    return Picture(path, np.asarray(original), image, box)


def report(run: tracking.Run, paths: Sequence[str | pathlib.Path]) -> int:
    """Let a run's networks look at pictures; print the three likeliest classes of each, draw what the networks saw.

    A file that is no picture, or has nothing in it, gets a line on stderr; the others are looked at all the same.

    Args:
        run: a finished run with networks of its own; several folds' answers are averaged.
        paths: the pictures' files, or patterns such as `digits/*.png`.

    Returns:
        The command's exit status: whether every file could be used.

    Raises:
        UserError: a network cannot be read.
    """
    seen, refused = [], []
    for path in files.matching(paths):
        try:
            seen.append(look(path, run.competition))
        except UserError as error:
            refused.append(error)
    for error in refused:
        print(f"error: {error}", file=sys.stderr, flush=True)
    if not seen:
        return WRONG_INPUT
    from kit import figures
    from kit.training import inference, transfer

    images = np.stack([picture.image for picture in seen])
    answers = np.mean([inference.predict(transfer.load(path), images) for path in run.network_paths()], axis=0)
    names = competitions.get(run.competition).class_names
    width = max(len(str(picture.path)) for picture in seen)
    for picture, answer in zip(seen, answers, strict=True):
        print(f"{picture.path!s:<{width}}  {likeliest(answer, names)}")
    shown = seen[:MOST]
    drawn = figures.prepared_photos(
        [picture.original for picture in shown],
        [picture.box for picture in shown],
        images[:MOST],
        answers[:MOST],
        [picture.path.name for picture in shown],
        names,
    )
    some = f" (the first {MOST} of {len(seen)})" if len(seen) > MOST else ""
    print(f"what the network saw{some}: {run.write_figure('pictures', drawn)}")
    return WRONG_INPUT if refused else DONE


def likeliest(probabilities: np.ndarray, class_names: Sequence[str], count: int = 3) -> str:
    """Return the likeliest classes in words, such as "7 (98.2 %), 1 (1.1 %), 9 (0.4 %)".

    Args:
        probabilities: (classes,).
        class_names: what each class is called.
        count: how many.
    """
    top = np.argsort(-np.asarray(probabilities), kind="stable")[:count]
    return ", ".join(f"{class_names[one]} ({100 * probabilities[one]:.1f} %)" for one in top)


def _middle(picture, original, shape):
    """Cut out the largest part in the middle that has the shape's proportions, and make it small."""
    from PIL import Image, ImageOps

    image = ImageOps.fit(picture, (shape[1], shape[0]), Image.Resampling.LANCZOS)
    share = min(original.width / shape[1], original.height / shape[0])
    left, top = (original.width - share * shape[1]) / 2, (original.height - share * shape[0]) / 2
    box = tuple(round(edge) for edge in (left, top, left + share * shape[1], top + share * shape[0]))
    return np.asarray(image), box
