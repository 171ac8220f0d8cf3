"""7z archives read as streams: first the members' names and sizes, then their contents, one after another.

Why not py7zr: 1.1.4 refuses archives of more than 65,536 streams, so a test set of 300,000 pictures that was packed one
by one could not be opened, and keeps each stream's decompressor until it closes; earlier versions hang on damaged
archives. What 7-Zip and py7zr write by default is read; encrypted archives and rare methods are refused.

Reference: `DOC/7zFormat.txt` of the LZMA SDK, https://www.7-zip.org/sdk.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from kit.loaders.seven_zip.directory import read_directory
from kit.loaders.seven_zip.folders import BadSevenZip, unpack

__all__ = ["BadSevenZip", "Member", "SevenZip"]


@dataclass(frozen=True)
class Member:
    """A file in the archive: its name with "/" between folders, its size in bytes."""

    name: str
    size: int


class SevenZip:
    """An opened archive.

    Attributes:
        members: the files, in the order in which `contents` yields them; folders are left out.

    Raises:
        BadSevenZip: the archive's directory cannot be read.
    """

    members: list[Member]

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._folders, entries = read_directory(stream)
        sizes = (size for folder in self._folders for size in folder.sizes)
        try:
            self.members = [
                Member(name, next(sizes) if has_stream else 0)
                for name, has_stream, is_folder in entries
                if not is_folder
            ]
        except StopIteration:
            raise BadSevenZip("it names more files than it holds") from None
        self._has_stream = [has_stream for _, has_stream, is_folder in entries if not is_folder]
        if next(sizes, None) is not None:
            raise BadSevenZip("it holds more files than it names")

    def contents(self) -> Iterator[bytes]:
        """Yield the content of every member, checked against the archive's checksums.

        Raises:
            BadSevenZip: the data are damaged or truncated, or compressed in a way that is not read here.
        """
        streams = (content for folder in self._folders for content in unpack(self._stream, folder))
        for has_stream in self._has_stream:
            yield next(streams) if has_stream else b""
