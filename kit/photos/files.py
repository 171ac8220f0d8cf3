"""Picture files of every kind, opened upright and in plain colours."""

import glob
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np

from kit.errors import UserError

LONGEST = 400  # pixels; more tell nothing about a digit
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners fill of a 16-bit file


def matching(paths: Sequence[str | pathlib.Path]) -> list[pathlib.Path]:
    """Return the files meant by `paths`; a pattern such as `digits/*.png`, which Windows hands on as it is, by name."""
    found = []
    for path in map(pathlib.Path, paths):
        several = [] if path.exists() else sorted(glob.glob(str(path)))
        found += map(pathlib.Path, several or [path])
    return found


def upright(path: pathlib.Path):
    """Open a picture upright, in RGB, on paper that its transparent parts let show.

    Raises:
        UserError: there is no such file, or it is no picture that Pillow can read, or only half of one.
    """
    from PIL import Image, ImageOps

    if path.is_dir():
        raise UserError(f"{path} is a folder; give the pictures in it.")
    try:
        # What Pillow warns of – large photos, odd metadata – is no matter here.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
            opened.draft("RGB", (2 * LONGEST, 2 * LONGEST))
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; give the path of a picture.") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path} has too many pixels to be a photo; make it smaller first.") from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's plugins raise all three for damaged files
        reason = "it is empty" if path.is_file() and not path.stat().st_size else " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as a picture ({reason}); save it as PNG or JPEG.") from None
    if picture.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(picture, np.float32))
        picture = Image.fromarray(np.clip(values * (255 / _ceiling(values)), 0, 255).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    pixels = np.asarray(picture.convert("RGBA"), np.float32)
    colour, opaque = pixels[..., :3], pixels[..., 3:] / 255
    brightness = (colour.mean(-1, keepdims=True) * opaque).sum() / max(opaque.sum(), 1e-6)
    paper = 255 if brightness < 128 else 0
    return Image.fromarray((colour * opaque + paper * (1 - opaque)).astype(np.uint8))


def small(picture):
    """Return a PIL picture of at most 400 pixels on its longer side."""
    from PIL import Image

    share = LONGEST / max(picture.size)
    if share >= 1:
        return picture
    return picture.resize([max(1, round(side * share)) for side in picture.size], Image.Resampling.BOX)


def _ceiling(values: np.ndarray) -> float:
    """The brightest value that a picture of floats, or of more than 8 bits, can have."""
    brightest = float(values.max())
    return next((full for full in (1.0, *(2.0**bits - 1 for bits in DEPTHS)) if brightest <= full), brightest)
