"""Zips as Kaggle makes them, of which everything else is refused before it takes memory."""

import contextlib
import io
import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from kit.errors import UserError

LARGEST_DIRECTORY = 1 << 20  # bytes; Kaggle's bundles hold a handful of files


@contextlib.contextmanager
def opened(file: Any, largest_directory: int | None = None) -> Iterator[zipfile.ZipFile]:
    """Open a zip for reading; one whose directory has more bytes than `largest_directory` is refused.

    Raises:
        Exception: of the many types that `zipfile` raises for what is damaged.
    """
    with _Reader(getattr(file, "raw", file)) as reader:
        reader.largest_directory = largest_directory or LARGEST_DIRECTORY
        archive = zipfile.ZipFile(reader)
        with archive:
            reader.directory_read = True
            yield archive


def member(path: pathlib.Path, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return the member `name` of an opened zip, every member of which is checked.

    Raises:
        UserError: it is missing, encrypted, there twice or compressed in another way than Kaggle's, or a member's name
            points outside.
    """
    members = archive.infolist()
    for one in members:
        check_member_name(one.orig_filename, path)
    fitting = [one for one in members if one.filename == name]
    if not fitting:
        raise UserError(f"{path} has no {name}; it is not what Kaggle serves: delete it.")
    if len(fitting) > 1:
        raise UserError(f"{path} has {name} {len(fitting)} times; it is not Kaggle's: delete it.")
    if fitting[0].flag_bits & 1:
        raise UserError(f"{path}: {name} is encrypted; it is not Kaggle's: delete it.")
    if fitting[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Of all others `zipfile` decompresses as much as a block holds: 4 GB from 4 kB of bzip2.
        raise UserError(f"{path}: {name} is compressed otherwise than Kaggle's files: delete it, or zip them anew.")
    return fitting[0]


def check_member_name(name: str, archive: object) -> None:
    """Refuse an archive with a member that would be written outside the folder it is unpacked into.

    The kit itself unpacks nothing; but such an archive is not Kaggle's, and is trusted with nothing.

    Raises:
        UserError: `name` is absolute, climbs with "..", or holds a drive, a backslash or a control character.
    """
    if name.startswith("/") or ".." in name.split("/") or re.search(r"[\\:\x00-\x1f]", name):
        raise UserError(f"{archive} has a member that points outside, {name[:200]!r}; it is not Kaggle's: delete it.")


class _Reader(io.BufferedReader):
    """What `zipfile` reads a zip through, which takes a directory of any size into memory."""

    directory_read = False
    largest_directory = LARGEST_DIRECTORY

    def read(self, size: int | None = -1) -> bytes:
        if self.directory_read:
            return super().read(size)
        most = self.largest_directory + 1
        wanted = most if size is None or size < 0 else min(size, most)
        # As many bytes as are asked for are set aside before the first is read.
        content = super().read(wanted if wanted <= LARGEST_DIRECTORY + 1 else min(wanted, self._left() + 1))
        if len(content) == most:
            raise zipfile.BadZipFile("its directory is too large")
        return content

    def _left(self) -> int:
        place = self.tell()
        end = self.seek(0, io.SEEK_END)
        self.seek(place)
        return end - place
