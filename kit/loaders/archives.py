"""Archives as a competition may have them: zip, tar (compressed or not) and 7z; zips also inside of zips.

Each is read as a stream, member after member in the order in which they are stored. Nothing is unpacked to disk.
"""

import contextlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, cast

from kit.errors import UserError
from kit.loaders import zips
from kit.loaders.seven_zip import SevenZip

SUFFIXES = (".zip", ".7z", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
LARGEST_DIRECTORY = 1 << 27  # bytes of a zip's directory: a million names
Opener = Callable[[], contextlib.AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name, its size in bytes, and what changes with its content."""

    name: str
    size: int
    state: str


def suffix(name: str) -> str:
    """Return the suffix of an archive's name, such as ".tar.gz"; empty for other files."""
    return max((one for one in SUFFIXES if name.lower().endswith(one)), key=len, default="")


@dataclass(frozen=True)
class Archive:
    """An archive that can be opened.

    Attributes:
        where: what errors call it.
        opened: opens it for reading, as a stream that can seek.
        most_members: how many files it may hold.
    """

    where: str
    opened: Opener
    most_members: int
    holds_archives: ClassVar[bool] = False

    def members(self) -> list[Member]:
        """Return the files in the archive, in the order in which they are stored."""
        raise NotImplementedError

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the members `wanted`, in the order in which they are stored."""
        raise NotImplementedError

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open one member as a stream that is read from its beginning to its end."""
        for _, content in self.contents([name]):
            yield io.BytesIO(content)
            return
        raise UserError(f"{self.where} has no {name}.")

    def _checked(self, members: list[Member]) -> list[Member]:
        if len(members) > self.most_members:
            raise UserError(f"{self.where} holds {len(members):,} files, more than the competition can have.")
        for member in members:
            zips.check_member_name(member.name, self.where)
        return members


class ZipArchive(Archive):
    """A zip, on disk or inside of another zip."""

    holds_archives = True

    @contextlib.contextmanager
    def _zip(self) -> Iterator[zipfile.ZipFile]:
        with self.opened() as stream, zips.opened(stream, LARGEST_DIRECTORY) as archive:
            yield archive

    def _files(self, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        return sorted((one for one in archive.infolist() if not one.is_dir()), key=lambda one: one.header_offset)

    def members(self) -> list[Member]:
        """Return the files in the archive, in the order in which they are stored."""
        with self._zip() as archive:
            files = self._files(archive)
        for one in files:
            if one.flag_bits & 1 or one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(
                    f"{self.where}: {one.filename[:99]} is encrypted, or compressed in a rare way; zip it anew."
                )
        return self._checked([Member(one.filename, one.file_size, str(one.CRC)) for one in files])

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the members `wanted`, in the order in which they are stored."""
        with self._zip() as archive:
            for one in self._files(archive):
                if one.filename in wanted:
                    yield one.filename, archive.read(one)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open one member as a stream."""
        with self._zip() as archive, archive.open(name) as stream:
            yield cast(BinaryIO, stream)


class TarArchive(Archive):
    """A tar, compressed or not."""

    @contextlib.contextmanager
    def _tar(self) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
        with self.opened() as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
            yield ((archive, one) for one in archive if one.isfile())

    def members(self) -> list[Member]:
        """Return the files in the archive, in the order in which they are stored."""
        found: list[Member] = []
        with self._tar() as files:
            for _, one in files:
                found.append(Member(one.name.removeprefix("./"), one.size, f"{one.mtime} {one.chksum}"))
                if len(found) > self.most_members:
                    break
        return self._checked(found)

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the members `wanted`, in the order in which they are stored."""
        with self._tar() as files:
            for archive, one in files:
                if (name := one.name.removeprefix("./")) in wanted and (stream := archive.extractfile(one)):
                    yield name, stream.read()

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open one member as a stream."""
        with self._tar() as files:
            for archive, one in files:
                if one.name.removeprefix("./") == name and (stream := archive.extractfile(one)):
                    yield cast(BinaryIO, stream)
                    return
        raise UserError(f"{self.where} has no {name}.")


class SevenZipArchive(Archive):
    """A 7z archive."""

    def members(self) -> list[Member]:
        """Return the files in the archive, in the order in which they are stored."""
        with self.opened() as stream:
            found = SevenZip(stream, self.most_members).members
        return self._checked([Member(one.name, one.size, "") for one in found])

    def contents(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the members `wanted`, in the order in which they are stored."""
        with self.opened() as stream:
            archive = SevenZip(stream, self.most_members)
            for member, content in zip(archive.members, archive.contents(), strict=True):
                if member.name in wanted:
                    yield member.name, content


def archive(name: str, where: str, opened: Opener, most_members: int) -> Archive:
    """Return the archive called `name`, of the kind that its suffix says."""
    kinds: dict[str, type[Archive]] = {".zip": ZipArchive, ".7z": SevenZipArchive}
    return kinds.get(suffix(name), TarArchive)(where, opened, most_members)
