"""PNG files in 7z archives, decoded while the archive is read; no file is unpacked to disk.

An archive that somebody has unpacked already, into a folder of its name, does as well.
"""

import contextlib
import io
import itertools
import pathlib
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import numpy as np

from kit import files as disk
from kit.errors import UserError
from kit.loaders.kaggle_files import KaggleFiles
from kit.loaders.read_ahead import read_ahead
from kit.loaders.seven_zip import BadSevenZip, SevenZip
from kit.loaders.zips import check_member_name

Item = TypeVar("Item")
PNG = b"\x89PNG\r\n\x1a\n"
METADATA = 1 << 16  # bytes of one PNG beside its pixels: a colour profile, a comment
BATCH = 256


def read(
    files: KaggleFiles, name: str, ids: np.ndarray, ids_from: str, image_shape: tuple[int, int, int]
) -> np.ndarray:
    """Decode the images `<id>.png` of an archive.

    Args:
        files: where the archive lies.
        name: the archive's, as in "train.7z".
        ids: (n,) the ids that it must hold, no more and no less.
        ids_from: what errors call the file that the ids were read from.
        image_shape: (height, width, channels) of every image; 1 or 3 channels.

    Returns:
        (n, height, width, channels) uint8, in the order of `ids`.

    Raises:
        UserError: an image is missing, too many, of another size or not a PNG; the archive is damaged or hostile.
    """
    from tqdm import tqdm

    folder = files.unpacked(name)
    images = np.empty((len(ids), *image_shape), np.uint8)
    archive = _Archive(
        where=files.where(name),
        folder=pathlib.PurePath(name).stem,
        row_of={number: row for row, number in enumerate(ids.tolist())},
        ids_from=ids_from,
        remedy=f"unpack {name} again, or delete the folder" if folder else files.remedy,
        largest=2 * images[:1].nbytes + METADATA,
    )
    with contextlib.ExitStack() as stack:
        found = archive.unpacked(folder) if folder else archive.members(stack.enter_context(files.open(name)))
        # A thread reads and decompresses, for which Python's lock is not held, while this one decodes.
        batches = stack.enter_context(contextlib.closing(read_ahead(_batches(found))))
        closed = sys.stderr is None
        progress = stack.enter_context(tqdm(total=len(ids), desc=name, unit=" images", unit_scale=True, disable=closed))
        for batch in batches:
            for row, member, content in batch:
                try:
                    images[row] = _decode(content, image_shape)
                except ValueError as error:
                    raise UserError(f"{archive.where}: {member} {error}; {archive.remedy}") from None
            progress.update(len(batch))
    return images


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    while batch := list(itertools.islice(items, BATCH)):
        yield batch


@dataclass(frozen=True)
class _Archive:
    """An archive or the folder it was unpacked into, and which images it must hold.

    Attributes:
        where: what errors call it.
        folder: the folder that the archive's members lie in.
        row_of: the row of each id.
        ids_from: what errors call the file that the ids were read from.
        remedy: what errors advise.
        largest: bytes that one PNG can have.
    """

    where: str
    folder: str
    row_of: dict[int, int]
    ids_from: str
    remedy: str
    largest: int

    def members(self, stream: BinaryIO) -> Iterator[tuple[int, str, bytes]]:
        """Yield row, name and content of each; all names are checked before the first content is read."""
        try:
            archive = SevenZip(stream, most_members=2 * len(self.row_of) + 1000)
            for member in archive.members:
                check_member_name(member.name, self.where)
                if member.size > self.largest:
                    reason = f"is too large (more than {self.largest:,} bytes)"
                    raise UserError(f"{self.where}: {member.name[:99]} {reason}; {self.remedy}")
            names = [member.name for member in archive.members]
            yield from zip(self._rows(names), names, archive.contents(), strict=True)
        except BadSevenZip as error:
            raise UserError(
                f"{self.where} cannot be read: {error}; {self.remedy} (or unpack it into {self.folder}/ by hand)"
            ) from None

    def unpacked(self, folder: pathlib.Path) -> Iterator[tuple[int, str, bytes]]:
        """Yield row, name and content of each PNG in a folder on disk."""
        names = [path.name for path in folder.glob("*.png")]
        for row, name in zip(self._rows(names), names, strict=True):
            try:
                content = disk.content(folder / name, self.largest)
            except OSError as error:
                raise UserError(f"{self.where}: {name} cannot be read ({error.strerror}); {self.remedy}") from None
            yield row, name, content

    def _rows(self, names: list[str]) -> list[int]:
        """Compare the images that are there with the ids that must be, and return each image's row."""
        named: dict[int, int] = {}
        for name in names:
            match = re.fullmatch(rf"(?:{self.folder}/)?([1-9][0-9]{{0,17}})\.png", name)
            if not match:
                raise UserError(f"{self.where}: {name[:99]!r} does not belong there, only <id>.png does; {self.remedy}")
            number = int(match[1])
            if number not in self.row_of:
                raise UserError(f"{self.where}: {name} has an id that {self.ids_from} has not; {self.remedy}")
            if number in named:
                raise UserError(f"{self.where}: {name} is there twice; {self.remedy}")
            named[number] = self.row_of[number]
        if len(named) < len(self.row_of):
            missing = self.row_of.keys() - named.keys()
            raise UserError(
                f"{self.where}: {min(missing)}.png is missing ({len(missing):,} images in all) "
                f"though {self.ids_from} has its id; {self.remedy}"
            )
        return list(named.values())


def _decode(content: bytes, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Return one PNG as (height, width, channels) uint8.

    Raises:
        ValueError: it is not a PNG file, damaged, or of another size.
    """
    from PIL import Image

    if not content.startswith(PNG) or len(content) < 24:
        raise ValueError("is not a PNG file")
    # The size is looked at before anything is decoded: a small file may claim billions of pixels.
    width, height = struct.unpack(">II", content[16:24])
    if (height, width) != image_shape[:2]:
        raise ValueError(f"is {width}×{height} pixels, not {image_shape[1]}×{image_shape[0]}")
    mode = "RGB" if image_shape[2] == 3 else "L"
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            pixels = (image if image.mode == mode else image.convert(mode)).tobytes()
        return np.frombuffer(pixels, np.uint8).reshape(image_shape)
    except Exception as error:  # Pillow raises what its parsers stumble over
        raise ValueError(f"is a damaged PNG file ({' '.join(str(error).split())[:200]})") from None
