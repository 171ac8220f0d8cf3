"""Drawings that were read wrong, kept with their right labels for `kit.train --extra-data`. Needs no Gradio.

<folder>/images/<class>/<hash>.png     what the network saw, in the competition's image shape: give this folder
<folder>/originals/<hash>.<suffix>     the drawing or photo as it was
"""

import hashlib
import io
import pathlib

import numpy as np

from kit import files
from kit.competitions import Competition
from kit.errors import UserError
from kit.photos import Photo

CORRECTIONS = pathlib.Path("corrections")
MOST = 10_000  # images of a folder: whoever is given the page's address could fill the disk
IMAGES, ORIGINALS = "images", "originals"


def usual(competition: str) -> pathlib.Path:
    """Return where a competition's corrections lie by default: `corrections/<competition>`."""
    return CORRECTIONS / competition


def keep(
    folder: pathlib.Path, competition: Competition, photo: Photo, label: str, content: bytes | None
) -> pathlib.Path:
    """Keep what a network saw under its right label; of the same image the last label counts.

    Args:
        folder: of the competition's corrections; made if it is not there.
        competition: whose class `label` is.
        photo: the drawing or photo.
        label: the right class's name.
        content: the file that it came in.

    Returns:
        The image's file.

    Raises:
        UserError: there is no such class, its name cannot be a folder's, or the folder is full.
        OSError: it cannot be written.
    """
    if label not in competition.class_names:
        raise UserError(f"{label[:80]!r} is not a class of {competition.name}.")
    if pathlib.PurePath(label).name != label or label.startswith("."):
        raise UserError(f"{label!r} cannot name a folder, so its images cannot be kept.")
    name = hashlib.sha256(photo.image.tobytes()).hexdigest()[:16]
    kept = sorted((folder / IMAGES).glob("*/*.png"))
    if len(kept) >= MOST:
        raise UserError(f"{folder} holds {MOST:,} images already; move some away.")
    path = folder / IMAGES / label / f"{name}.png"
    with files.replacing(path) as fresh:
        _image(photo.image).save(fresh)
    for other in kept:
        if other.name == path.name and other.parent != path.parent:
            other.unlink(missing_ok=True)
    if content:
        with files.replacing(folder / ORIGINALS / f"{name}.{_suffix(content)}") as fresh:
            fresh.write_bytes(content)
    return path


def count(folder: pathlib.Path) -> int:
    """Return how many images are kept."""
    return sum(1 for _ in (folder / IMAGES).glob("*/*.png"))


def _image(pixels: np.ndarray):
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _suffix(content: bytes) -> str:
    from PIL import Image

    from kit.photos.files import FORMATS

    with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
        return str(opened.format).lower()
