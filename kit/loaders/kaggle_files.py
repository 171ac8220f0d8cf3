"""Where a competition's files lie, and how each is opened: loose, as NAME.zip, inside Kaggle's bundle, or unpacked.

Nothing is ever unpacked to disk; members are read as streams.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from kit import competitions
from kit.errors import UserError

KAGGLE_INPUT = pathlib.Path("/kaggle/input")
EDGE = 1 << 16
LARGEST = 1 << 32  # bytes; no file of these competitions has a fifth of it, a zip bomb has more


@dataclass(frozen=True)
class KaggleFiles:
    """The folder that holds a competition's files."""

    competition: str
    folder: pathlib.Path

    @property
    def remedy(self) -> str:
        """The step that mends a damaged file."""
        if self.folder.is_relative_to(KAGGLE_INPUT):
            return "add the competition's data to the notebook again"
        return f"delete it and get it again: python -m kit.download {self.competition}"

    def any(self) -> bool:
        """Whether at least one of the competition's files is here, in any form."""
        return any(self._find(name) for name in file_names(self.competition))

    def where(self, name: str) -> str:
        """How the file is called in messages: its path, or "bundle.zip: NAME"."""
        path = self._path(name)
        return f"{path}: {name}" if path.suffix == ".zip" else str(path)

    def unpacked(self, name: str) -> pathlib.Path | None:
        """Return the folder into which somebody has unpacked the archive `name`, if that is how it lies here."""
        path = self._path(name)
        return path if path.is_dir() else None

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for reading, as a binary stream that can seek.

        Raises:
            UserError: the file is nowhere, or its zip is damaged, truncated or not as Kaggle makes it; also raised
                for damage that shows while the stream is read.
        """
        path = self._path(name)
        if path.suffix != ".zip":
            with self._readable(path), path.open("rb") as stream:
                yield stream
            return
        with (
            self._readable(path),
            zipfile.ZipFile(path) as archive,
            archive.open(_member(path, archive, name)) as stream,
        ):
            yield stream

    def fingerprint(self) -> str:
        """Return a hash that changes when one of the files does, without reading them whole.

        A zip's directory holds a checksum of each member's whole content. Of a loose file, size, time of change (ns)
        and content at both ends are taken: an edit that keeps all of them is made on purpose.

        Raises:
            UserError: as `open`.
        """
        digest = hashlib.blake2b(digest_size=16)
        for name in file_names(self.competition):
            path = self._path(name)
            digest.update(f"/{name}/{path.name}/".encode())
            with self._readable(path):
                if path.suffix == ".zip":
                    with zipfile.ZipFile(path) as archive:
                        member = _member(path, archive, name)
                    digest.update(f"{member.file_size} {member.CRC}".encode())
                elif path.is_dir():
                    with os.scandir(path) as entries:
                        states = sorted(
                            (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries
                        )
                    digest.update(repr(states).encode())
                else:
                    status = path.stat()
                    digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
                    with path.open("rb") as stream:
                        digest.update(stream.read(EDGE))
                        stream.seek(max(0, status.st_size - EDGE))
                        digest.update(stream.read(EDGE))
        return digest.hexdigest()

    @contextlib.contextmanager
    def _readable(self, path: pathlib.Path) -> Iterator[None]:
        """Turn what can go wrong with a file on disk into words."""
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            reason = str(error).rstrip(".") or "it ends too early"
            raise UserError(f"{path} is damaged or truncated ({reason}); {self.remedy}") from None
        except (PermissionError, IsADirectoryError) as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); make it a file that you may read.") from None

    def _path(self, name: str) -> pathlib.Path:
        """Return what holds the file `name`: itself, a zip, or the folder it was unpacked into."""
        path = self._find(name)
        if path is None:
            raise UserError(f"{self.folder / name} is missing; get it with: python -m kit.download {self.competition}")
        return path

    def _find(self, name: str) -> pathlib.Path | None:
        if name.endswith(".7z"):
            # What somebody has unpacked by hand goes first: he may have done so because the archive cannot be read.
            folder = self.folder / pathlib.PurePath(name).stem
            for unpacked in (folder / folder.name, folder):
                if unpacked.is_dir() and _has_png(unpacked):
                    return unpacked
        for path in (self.folder / name, self.folder / f"{name}.zip", self.folder / f"{self.competition}.zip"):
            if path.exists():
                return path
        return None


def file_names(competition: str) -> list[str]:
    """Return the names of all files that the competition serves and the kit reads."""
    return list(vars(competitions.get(competition).files).values())


def locate(competition: str, data_dir: str | pathlib.Path = "data") -> KaggleFiles | None:
    """Return where the competition's files lie: `<data_dir>/<competition>/`, or Kaggle's own input folder.

    Returns:
        The first folder that has any of them, or None.
    """
    folders = (pathlib.Path(data_dir), KAGGLE_INPUT, KAGGLE_INPUT / "competitions")
    places = [KaggleFiles(competition, folder / competition) for folder in folders]
    return next((place for place in places if place.any()), None)


def check_member_name(name: str, archive: object) -> None:
    """Refuse an archive with a member that would be written outside the folder it is unpacked into.

    The kit itself unpacks nothing; but such an archive is not Kaggle's, and is trusted with nothing.

    Raises:
        UserError: `name` is absolute, climbs with "..", or holds a drive, a backslash or a control character.
    """
    if name.startswith("/") or ".." in name.split("/") or re.search(r"[\\:\x00-\x1f]", name):
        raise UserError(f"{archive} has a member that points outside, {name!r}; it is not Kaggle's: delete it.")


def _has_png(folder: pathlib.Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(".png") for entry in entries)


def _member(path: pathlib.Path, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return the member `name` of an opened zip, every member of which is checked."""
    members = archive.infolist()
    for member in members:
        check_member_name(member.orig_filename, path)
    fitting = [member for member in members if member.filename == name]
    if not fitting:
        raise UserError(f"{path} has no {name}; it is not what Kaggle serves: delete it.")
    if len(fitting) > 1:
        raise UserError(f"{path} has {name} {len(fitting)} times; it is not Kaggle's: delete it.")
    if fitting[0].flag_bits & 1:
        raise UserError(f"{path}: {name} is encrypted; it is not Kaggle's: delete it.")
    if fitting[0].file_size > LARGEST:
        raise UserError(
            f"{path}: {name} would unpack to {fitting[0].file_size:,} bytes; it is not Kaggle's: delete it."
        )
    return fitting[0]
