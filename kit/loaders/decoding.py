"""Image files of any size and colour, decoded on all cores into one array of images of the same shape."""

import io
import math
import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import numpy as np

from kit.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

Shape = tuple[int, int, int]
Fit = Literal["crop", "pad"]
File = tuple[int, str, int, Callable[[], bytes]]
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow opens others by running programs, as EPS
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MOST_PIXELS = 100_000_000

ORIENTATION = 0x0112  # the EXIF tag
TRANSPOSED = (5, 6, 7, 8)  # orientations in which width and height change places
SPARE = 1.5  # with less, halving and scaling to nearly the same size blur what full decoding keeps
BATCH, WAITING = 32, 3  # images a task, and tasks that wait for each core
MOST_WAITING = 1 << 27  # bytes of files that wait to be decoded


def decode_all(
    contents: Iterator[File],
    images: np.ndarray,
    fit: Fit,
    where: Callable[[str], str],
    remedy: str,
    title: str,
) -> None:
    """Decode files into the rows of an array, with a progress bar.

    Args:
        contents: row, name, size in bytes and content of each file; a call returns the content.
        images: (n, height, width, channels) uint8; is filled.
        fit: how other proportions become the array's.
        where: returns what errors call a file.
        remedy: what errors advise.
        title: of the progress bar.

    Raises:
        UserError: a file is not an image, damaged or too large; names it.
    """
    from tqdm import tqdm

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def work(batch: list[File]) -> int:
        for row, name, _, content in batch:
            try:
                images[row] = decode(content(), images.shape[1:], fit)
            except ValueError as error:
                raise UserError(f"{where(name)} {error}; {remedy}") from None
        return len(batch)

    with (
        warnings.catch_warnings(action="ignore"),  # what Pillow warns of (odd metadata) does not matter here
        ThreadPoolExecutor(cores + 1) as pool,  # so that no core waits while a file is read
        tqdm(total=len(images), desc=title, unit=" images", unit_scale=True, disable=sys.stderr is None) as progress,
    ):
        waiting: deque[tuple[Future[int], int]] = deque()
        batch: list[File] = []
        size = held = 0
        try:
            for item in contents:
                batch.append(item)
                size += item[2]
                if len(batch) == BATCH or size > MOST_WAITING // (WAITING * cores):
                    waiting.append((pool.submit(work, batch), size))
                    held += size
                    batch, size = [], 0
                while len(waiting) > WAITING * cores or held > MOST_WAITING:
                    done, its = waiting.popleft()
                    progress.update(done.result())
                    held -= its
            waiting.append((pool.submit(work, batch), size))
            while waiting:
                progress.update(waiting.popleft()[0].result())
        except BaseException:
            for future, _ in waiting:
                future.cancel()
            raise


def decode(content: bytes, shape: Shape, fit: Fit) -> np.ndarray:
    """Return one image file as (height, width, channels) uint8, upright.

    Raises:
        ValueError: it is not an image of a known kind, damaged, or too large.
    """
    from PIL import Image

    height, width, channels = shape
    mode = "RGB" if channels == 3 else "L"
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"has more than {MOST_PIXELS:,} pixels")
            orientation = _orientation(image)
            turned = orientation in TRANSPOSED
            box = (height, width) if turned else (width, height)
            size = _reduced(image, mode, box) if image.format == "JPEG" else image.size
            plain = _plain(image, mode)
            fitted = _cropped(plain, size, box) if fit == "crop" else _padded(plain, size, box)
        return np.asarray(_upright(fitted, orientation)).reshape(shape)
    except ValueError as error:
        if str(error).startswith("has more"):
            raise
        raise ValueError(f"is a damaged image ({_reason(error)})") from None
    except Exception as error:  # Pillow's plugins raise whatever their parsers stumble over
        reason = _reason(error)
        what = "is not an image of a known kind" if reason.startswith("cannot identify") else "is a damaged image"
        raise ValueError(what if what.startswith("is not") else f"{what} ({reason})") from None


def size_of(content: bytes) -> tuple[int, int, str]:
    """Return height, width and mode of an image file, upright, without decoding it.

    Raises:
        ValueError: it is not an image of a known kind.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            turned = _orientation(image) in TRANSPOSED
            return (image.width, image.height, image.mode) if turned else (image.height, image.width, image.mode)
    except Exception:
        raise ValueError("is not an image of a known kind") from None


def _orientation(image: "Image.Image") -> int:
    """Return what EXIF says of an image's orientation; 1 is upright."""
    if image.format == "JPEG" and "exif" not in image.info:  # most photos of data sets; looking into it takes time
        return 1
    found = image.getexif().get(ORIENTATION, 1)
    return found if isinstance(found, int) else 1


def _reduced(image: "Image.Image", mode: str, box: tuple[int, int]) -> tuple[float, float]:
    """Let JPEG's decoder halve the image as often as leaves `SPARE` times the pixels that are wanted; it averages.

    Returns:
        Width and height of what the image holds then: a part of its last column and row may be beyond the picture.
    """
    share = SPARE * max(box[0] / image.width, box[1] / image.height)
    drafted = image.draft(mode, (math.ceil(image.width * share), math.ceil(image.height * share)))
    return drafted[1][2:] if drafted else image.size


def _plain(image: "Image.Image", mode: str) -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert(mode)
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA").convert(mode)
    image.load()
    return image if image.mode == mode else image.convert(mode)


def _cropped(image: "Image.Image", size: tuple[float, float], box: tuple[int, int]) -> "Image.Image":
    """Cut the largest part with the box's proportions out of the middle, and scale it."""
    if image.size == size == box:
        return image
    share = min(size[0] / box[0], size[1] / box[1])
    width, height = share * box[0], share * box[1]
    left, top = max(0.0, (size[0] - width) / 2), max(0.0, (size[1] - height) / 2)
    right, bottom = min(left + width, size[0]), min(top + height, size[1])  # rounding may lead past the edge
    return _scaled(image, box, (left, top, right, bottom))


def _scaled(image: "Image.Image", size: tuple[int, int], part: tuple[float, float, float, float]) -> "Image.Image":
    """Scale a part of an image; to a much smaller one by Hamming's filter, as good as bicubic in half the time."""
    from PIL.Image import Resampling

    ratio = min((part[2] - part[0]) / size[0], (part[3] - part[1]) / size[1])
    return image.resize(size, Resampling.HAMMING if ratio >= SPARE else Resampling.BICUBIC, box=part, reducing_gap=2.0)


def _padded(image: "Image.Image", extent: tuple[float, float], box: tuple[int, int]) -> "Image.Image":
    """Scale the whole image into the box, and leave the rest black."""
    from PIL import Image

    share = min(box[0] / extent[0], box[1] / extent[1])
    size = (max(1, round(extent[0] * share)), max(1, round(extent[1] * share)))
    small = image if image.size == extent == size else _scaled(image, size, (0, 0, *extent))
    padded = Image.new(image.mode, box)
    padded.paste(small, ((box[0] - size[0]) // 2, (box[1] - size[1]) // 2))
    return padded


def _upright(image: "Image.Image", orientation: int) -> "Image.Image":
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
    return image.transpose(turns[orientation]) if orientation in turns else image


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
