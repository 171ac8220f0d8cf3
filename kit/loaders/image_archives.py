"""PNG files in 7z archives, decoded while the archive is read; no file is unpacked to disk.

An archive that somebody has unpacked already, into a folder of its name, does as well.
"""

import contextlib
import io
import itertools
import pathlib
import re
import struct
from collections.abc import Iterator

import numpy as np

from kit.errors import UserError
from kit.loaders.kaggle_files import KaggleFiles, check_member_name
from kit.loaders.read_ahead import read_ahead
from kit.loaders.seven_zip import BadSevenZip, SevenZip

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 1 << 20  # bytes of one PNG; 32×32 pixels take about 2,300
BATCH = 256


def read(files: KaggleFiles, name: str, ids: np.ndarray, ids_from: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Decode the images `<id>.png` of an archive.

    Args:
        files: where the archive lies.
        name: the archive's, as in "train.7z".
        ids: (n,) the ids that it must hold, no more and no less.
        ids_from: what errors call the file that the ids were read from.
        shape: (height, width, channels) of every image; 1 or 3 channels.

    Returns:
        (n, height, width, channels) uint8, in the order of `ids`.

    Raises:
        UserError: an image is missing, too many, of another size or no PNG; the archive is damaged or hostile.
    """
    from tqdm import tqdm

    where = files.where(name)
    row_of = {int(one): row for row, one in enumerate(ids)}
    folder = files.unpacked(name)
    images = np.empty((len(ids), *shape), np.uint8)
    with contextlib.ExitStack() as stack:
        if folder:
            pictures = _in_folder(folder, row_of, where, ids_from, files.remedy)
        else:
            stream = stack.enter_context(files.open(name))
            pictures = _in_archive(stream, name, row_of, where, ids_from, files.remedy)
        # A thread reads and decompresses, which needs no Python, while this one decodes.
        batches = stack.enter_context(contextlib.closing(read_ahead(_batches(pictures))))
        progress = stack.enter_context(tqdm(total=len(ids), desc=name, unit=" images", unit_scale=True))
        for batch in batches:
            for picture, data in batch:
                images[row_of[int(pathlib.PurePath(picture).stem)]] = _decode(
                    data, shape, f"{where}: {picture}", files.remedy
                )
            progress.update(len(batch))
    return images


def _batches(items: Iterator) -> Iterator[list]:
    while batch := list(itertools.islice(items, BATCH)):
        yield batch


def _in_archive(stream, name, row_of, where, ids_from, remedy) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents; all names are checked before the first content is read."""
    try:
        archive = SevenZip(stream)
        for member in archive.members:
            check_member_name(member.name, where)
            if member.size > LARGEST:
                raise UserError(
                    f"{where}: {member.name} has {member.size:,} bytes, too many for such an image; {remedy}"
                )
        names = [member.name for member in archive.members]
        _check_names(names, pathlib.PurePath(name).stem, row_of, where, ids_from, remedy)
        yield from zip(names, archive.contents(), strict=True)
    except BadSevenZip as error:
        raise UserError(f"{where} cannot be read: {error}; {remedy}, or unpack it into a folder beside it.") from None


def _in_folder(folder, row_of, where, ids_from, remedy) -> Iterator[tuple[str, bytes]]:
    names = [path.name for path in folder.glob("*.png")]
    _check_names(names, ".", row_of, where, ids_from, remedy)
    for name in names:
        yield name, (folder / name).read_bytes()


def _check_names(names, folder, row_of, where, ids_from, remedy) -> None:
    """Compare the images that are there with the ids that must be."""
    seen = {}
    for name in names:
        match = re.fullmatch(rf"(?:{folder}/)?([1-9][0-9]{{0,17}})\.png", name)
        if not match:
            raise UserError(f"{where}: {name!r} does not belong there, only <id>.png does; {remedy}")
        number = int(match[1])
        if number not in row_of:
            raise UserError(f"{where}: {name} is an image whose id {ids_from} does not have; {remedy}")
        if number in seen:
            raise UserError(f"{where}: {seen[number]} and {name} are the same image's; {remedy}")
        seen[number] = name
    if len(seen) < len(row_of):
        missing = min(row_of.keys() - seen.keys())
        raise UserError(
            f"{where}: {missing}.png is missing ({len(row_of) - len(seen):,} images in all) "
            f"though {ids_from} has its id; {remedy}"
        )


def _decode(data: bytes, shape: tuple[int, int, int], where: str, remedy: str) -> np.ndarray:
    """Return one PNG as (height, width, channels) uint8."""
    from PIL import Image

    if not data.startswith(PNG) or len(data) < 24:
        raise UserError(f"{where} is no PNG; {remedy}")
    # The size is looked at before anything is decoded: a small file may claim billions of pixels.
    width, height = struct.unpack(">II", data[16:24])
    if (height, width) != shape[:2]:
        raise UserError(f"{where} is {width}×{height} pixels, expected {shape[1]}×{shape[0]}; {remedy}")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture = picture.convert("L" if shape[2] == 1 else "RGB")
            return np.frombuffer(picture.tobytes(), np.uint8).reshape(shape)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise UserError(f"{where} is a damaged PNG ({error}); {remedy}") from None
