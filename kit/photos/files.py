"""Photo files of every kind, opened upright and in plain colours, in bounded memory."""

import glob
import io
import math
import os
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kit import files
from kit.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow opens others by running programs, as EPS
LONGEST = 400  # pixels; more tell nothing about a digit
MOST_PIXELS = 70_000_000  # decoded: four bytes each, for WebP sixteen
KEPT_PIXELS = 4_000_000  # of which colours are computed, in a dozen arrays of floats
STRIP = 64  # rows of the reduced image that are converted at once
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners fill of a 16-bit file
ORIENTATION = 0x0112  # the EXIF tag


def matching(paths: Sequence[str | os.PathLike[str]]) -> list[pathlib.Path]:
    """Return the files meant by `paths`, those of a pattern such as `digits/*.png`, which Windows keeps, by name."""
    found: list[pathlib.Path] = []
    for path in (os.fspath(one) for one in paths):
        several = [] if os.path.lexists(path) or "\0" in path else sorted(glob.glob(path))
        found += map(pathlib.Path, several or [path])
    return found


def upright(path: pathlib.Path, content: bytes | None = None) -> "Image.Image":
    """Open a photo upright, in RGB, on paper where its transparent parts let it show through.

    Of a photo of more than 4 million pixels, blocks of pixels are averaged.

    Args:
        path: the file, or what errors call it where there is `content`.
        content: what the file holds, where it does not lie on disk.

    Raises:
        UserError: there is no such file; or it is not an image that Pillow can read, only half of one, or too large.
    """
    from PIL import Image

    try:
        # What Pillow warns of (large photos, odd metadata) does not matter here.
        with (
            warnings.catch_warnings(action="ignore"),
            files.open_regular(path) if content is None else io.BytesIO(content) as stream,
            Image.open(stream, formats=FORMATS) as opened,
        ):
            opened.draft("RGB", (2 * LONGEST, 2 * LONGEST))  # JPEG's decoder reduces at once
            if opened.width * opened.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            opened.load()
            orientation = opened.getexif().get(ORIENTATION)
            return _turned(_plain(opened), orientation)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; give the path of a photo.") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; give the photos in it.") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path} has more than {MOST_PIXELS:,} pixels; make it smaller first.") from None
    except Exception as error:  # Pillow's plugins raise whatever their parsers stumble over
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        if not reason.startswith("cannot identify"):
            raise UserError(f"{path} cannot be read ({reason}); save it as PNG or JPEG.") from None
        kinds = ", ".join(FORMATS)
        raise UserError(f"{path} is not an image of a known kind ({kinds}); save it as PNG or JPEG.") from None


def small(image: "Image.Image") -> "Image.Image":
    """Return an image of at most 400 pixels on its longer side."""
    from PIL import Image

    share = LONGEST / max(image.size)
    if share >= 1:
        return image
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.BOX)


def _plain(image: "Image.Image") -> "Image.Image":
    """Return a loaded image of any mode in RGB, reduced to at most 4 million pixels."""
    factor = math.ceil(math.sqrt(image.width * image.height / KEPT_PIXELS))
    if image.mode.startswith(("I", "F")):
        return _of_values(image, factor)
    if image.has_transparency_data:
        return _on_paper(_joined(_strips(image, "RGBA", factor), image, factor))
    return _joined(_strips(image, "RGB", factor), image, factor)


def _strips(image: "Image.Image", mode: str, factor: int) -> Iterator["Image.Image"]:
    """Yield an image's strips, converted and reduced: a copy of the whole in another mode may take a gigabyte."""
    for top in range(0, image.height, STRIP * factor):
        strip = image.crop((0, top, image.width, min(top + STRIP * factor, image.height)))
        strip = strip if strip.mode == mode else strip.convert(mode)
        yield strip.reduce(factor) if factor > 1 else strip


def _joined(strips: Iterator["Image.Image"], image: "Image.Image", factor: int) -> "Image.Image":
    from PIL import Image

    joined = None
    for number, strip in enumerate(strips):
        if joined is None:
            joined = Image.new(strip.mode, (strip.width, math.ceil(image.height / factor)))
        joined.paste(strip, (0, number * STRIP))
    assert joined is not None  # an image has a row at least
    return joined


def _of_values(image: "Image.Image", factor: int) -> "Image.Image":
    """Scale an image of floats, or of more than 8 bits, to grey levels."""
    from PIL import Image

    brightest = 0.0
    for strip in _strips(image, "F", 1):
        values = np.asarray(strip)
        brightest = max(brightest, float(values.max(initial=0, where=np.isfinite(values))))
    full = next((full for full in (1.0, *(2.0**bits - 1 for bits in DEPTHS)) if brightest <= full), brightest)
    values = np.nan_to_num(np.asarray(_joined(_strips(image, "F", factor), image, factor)))
    return Image.fromarray(np.clip(values * (255 / full), 0, 255).astype(np.uint8)).convert("RGB")


def _on_paper(image: "Image.Image") -> "Image.Image":
    """Lay an RGBA image on paper that is as dark or light as its ink is not."""
    from PIL import Image

    pixels = np.asarray(image, np.float32)
    colour, opaque = pixels[..., :3], pixels[..., 3:] / 255
    brightness = (colour.mean(-1, keepdims=True) * opaque).sum() / max(opaque.sum(), 1e-6)
    paper = 255 if brightness < 128 else 0
    return Image.fromarray((colour * opaque + paper * (1 - opaque)).astype(np.uint8))


def _turned(image: "Image.Image", orientation: object) -> "Image.Image":
    """Turn an image upright; its EXIF orientation says how the sensor stored it."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if isinstance(orientation, int) and orientation in turns else image
