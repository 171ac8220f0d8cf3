"""Picture files of every kind, opened upright and in plain colours."""

import pathlib

import numpy as np

from kit.errors import UserError

LONGEST = 400  # pixels; more tell nothing about a digit


def upright(path: pathlib.Path):
    """Open a picture upright, in RGB, on paper that its transparent parts let show."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * LONGEST, 2 * LONGEST))
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; give the path of a picture.") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path} has too many pixels to be a photo; make it smaller first.") from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's plugins raise all three for damaged files
        raise UserError(f"{path} cannot be read as a picture ({error}); save it as PNG or JPEG.") from None
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, np.float32)
        picture = Image.fromarray(np.clip(values * (255 / max(_ceiling(values), 1)), 0, 255).astype(np.uint8))
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
    """The brightest value that a picture of more than 8 bits can have."""
    return 255.0 if values.max() <= 255 else 65535.0 if values.max() <= 65535 else float(values.max())
