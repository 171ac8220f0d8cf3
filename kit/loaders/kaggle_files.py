"""Where a competition's files lie, and how each is opened: loose, as NAME.zip, or inside Kaggle's bundle.

Nothing is ever unpacked to disk; members are read as streams.
"""

import contextlib
import hashlib
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


@dataclass(frozen=True)
class KaggleFiles:
    """The folder that holds a competition's files."""

    competition: str
    folder: pathlib.Path

    @property
    def bundle(self) -> pathlib.Path:
        """The zip of all files, as Kaggle serves it."""
        return self.folder / f"{self.competition}.zip"

    def any(self) -> bool:
        """Whether at least one of the competition's files is here, in any form."""
        return any(self._has(name) for name in file_names(self.competition))

    def where(self, name: str) -> str:
        """How the file is called in messages: its path, or "bundle.zip: NAME"."""
        outside = self._outside(name)
        return str(outside) if outside == self.folder / name else f"{outside}: {name}"

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for reading as a seekable binary stream; damage found while it is read is the user's to mend.

        Raises:
            UserError: the file is nowhere, its archive is damaged or truncated, or is not as Kaggle makes it.
        """
        path = self._outside(name)
        try:
            with contextlib.ExitStack() as stack:
                if path == self.folder / name:
                    yield stack.enter_context(path.open("rb"))
                else:
                    archive = stack.enter_context(zipfile.ZipFile(path))
                    yield stack.enter_context(archive.open(_member(path, archive, name)))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise UserError(
                f"{path} is damaged or truncated ({str(error).rstrip('.') or 'it ends too early'}); {self.remedy}"
            ) from None
        except PermissionError:
            raise UserError(f"{path} cannot be read: permission denied. Make it readable for you.") from None

    def fingerprint(self, names: list[str]) -> str:
        """Return a hash that changes when one of the files does, without reading them whole.

        A zip's directory holds a checksum of each member's whole content. Of a loose file, size, time of change (ns)
        and content at both ends are taken: an edit that keeps all of them is made on purpose.

        Raises:
            UserError: as `open`.
        """
        digest = hashlib.blake2b(digest_size=16)
        for name in names:
            path = self._outside(name)
            if path == self.folder / name and path.is_dir():
                continue
            with self.open(name) as stream:
                if path == self.folder / name:
                    status = path.stat()
                    stream.seek(max(0, status.st_size - EDGE))
                    tail = stream.read(EDGE)
                    stream.seek(0)
                    digest.update(f"{name} {status.st_size} {status.st_mtime_ns}".encode())
                    digest.update(stream.read(EDGE) + tail)
                else:
                    with zipfile.ZipFile(path) as archive:
                        member = archive.getinfo(_member(path, archive, name))
                    digest.update(f"{name} {member.file_size} {member.CRC}".encode())
        return digest.hexdigest()

    @property
    def remedy(self) -> str:
        """The step that mends every damaged file."""
        return f"get it again: `python -m kit.download {self.competition}`."

    def _has(self, name: str) -> bool:
        with contextlib.suppress(UserError):
            self._outside(name)
            return True
        return False

    def _outside(self, name: str) -> pathlib.Path:
        """Return the file on disk that is, or holds, the file `name`."""
        for path in (self.folder / name, self.folder / f"{name}.zip", self.bundle):
            if path.exists():
                return path
        raise UserError(f"{self.folder / name} is missing; {self.remedy}")


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

    The kit itself unpacks nothing; but such an archive is not Kaggle's, and must not be trusted with anything.

    Raises:
        UserError: `name` is absolute, climbs with "..", or holds a drive, a backslash or a control character.
    """
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or re.search(r"[\\:\x00-\x1f]", name):
        raise UserError(f"{archive} has a member that points outside, {name!r}: it is not Kaggle's; delete it.")


def _member(path: pathlib.Path, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return the member `name` of an opened zip whose every member is checked."""
    members = archive.infolist()
    for member in members:
        check_member_name(member.filename, path)
    fitting = [member for member in members if member.filename == name]
    if not fitting:
        raise UserError(f"{path} has no {name}; it is not the competition's bundle as Kaggle serves it.")
    if len(fitting) > 1:
        raise UserError(f"{path} has {name} {len(fitting)} times; it is not Kaggle's; delete it.")
    if fitting[0].flag_bits & 1:
        raise UserError(f"{path}: {name} is encrypted; Kaggle's is not; delete it.")
    return fitting[0]
