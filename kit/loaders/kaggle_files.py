"""Where a competition's files lie, and how each is opened: loose, as NAME.zip, inside Kaggle's bundle, or unpacked.

Nothing is ever unpacked to disk; members are read as streams.
"""

import contextlib
import hashlib
import io
import os
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import IO, Any, BinaryIO

from kit import files
from kit.competitions import Competition, ImageArchives, PixelTables
from kit.errors import UserError
from kit.loaders import zips
from kit.loaders.tree import Tree

KAGGLE_INPUT = pathlib.Path("/kaggle/input")
EDGE = 1 << 16
BUFFER = 1 << 18
FIELD = 8  # bytes of a pixel in a table: three digits and a comma, and room for quotes and spaces


@dataclass(frozen=True)
class KaggleFiles:
    """The folder that holds a competition's files."""

    competition: Competition
    folder: pathlib.Path

    @property
    def remedy(self) -> str:
        """The step that mends a damaged file."""
        if self.folder.is_relative_to(KAGGLE_INPUT):
            return "add the competition's data to the notebook again"
        return f"delete it and get it again: python -m kit.download {self.competition.name}"

    def any(self) -> bool:
        """Whether at least one of the competition's files is here, in any form."""
        return any(self._find(name) for name in self.names)

    def whole(self) -> bool:
        """Whether every file is here, loose, zipped by itself or in the bundle.

        Raises:
            UserError: the bundle is damaged.
        """
        paths = {name: self._find(name) for name in self.names}
        bundle = self.folder / f"{self.competition.name}.zip"
        if None in paths.values() or bundle not in paths.values():
            return None not in paths.values()
        with self._explained(bundle), files.open_regular(bundle) as file, zips.opened(file) as archive:
            return archive.NameToInfo.keys() >= {name for name, path in paths.items() if path == bundle}

    def where(self, name: str) -> str:
        """How the file is called in messages: its path, or "bundle.zip: NAME"."""
        path = self._path(name)
        return f"{path}: {name}" if path.suffix == ".zip" else str(path)

    def unpacked(self, name: str) -> pathlib.Path | None:
        """Return the folder into which somebody has unpacked the archive `name`, if that is how it lies here."""
        path = self._path(name)
        return path if name.endswith(".7z") and path.is_dir() else None

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading, as a binary stream that can seek.

        Raises:
            UserError: the file is missing, not a regular file, larger than the competition's can be, or its zip is
                damaged, truncated or not as Kaggle makes it; also raised by the stream, for damage that shows later.
        """
        path = self._path(name)
        with contextlib.ExitStack() as opened:
            with self._explained(path):
                file = opened.enter_context(files.open_regular(path))
                stream, size = _contents(path, file, name, opened)
            largest = _largest(self.competition, name)
            if size > largest:
                raise UserError(
                    f"{self.where(name)} holds {size:,} bytes, but the competition's file at most {largest:,}; "
                    f"it is not Kaggle's: {self.remedy}"
                )
            raw = _Stream(stream, lambda: self._explained(path), opened.pop_all())
        return io.BufferedReader(raw, BUFFER)

    def fingerprint(self) -> str:
        """Return a hash that changes when one of the files does, without reading them whole.

        A zip's directory holds a checksum of each member's whole content. Of a loose file, size, time of change (ns)
        and content at both ends are taken: an edit that keeps all of them is made on purpose.

        Raises:
            UserError: as `open`.
        """
        digest = hashlib.blake2b(digest_size=16)
        for name in self.names:
            path = self._path(name)
            digest.update(f"/{name}/{path.name}/".encode())
            with self._explained(path):
                digest.update(_state(path, name))
        return digest.hexdigest()

    @contextlib.contextmanager
    def _explained(self, path: pathlib.Path) -> Iterator[None]:
        """Turn whatever goes wrong while `path` is read into one line; `zipfile` raises a dozen types of exceptions."""
        try:
            yield
        except UserError:
            raise
        except OSError as error:
            if error.errno is None:  # of a decompressor, not of the operating system
                raise self._damaged(path, error) from None
            raise _unreadable(path, error) from None
        except Exception as error:
            raise self._damaged(path, error) from None

    def _damaged(self, path: pathlib.Path, error: Exception) -> UserError:
        reason = " ".join(str(error).split()).rstrip(".")[:200] or "it ends too early"
        return UserError(f"{path} is damaged or truncated ({reason}); {self.remedy}")

    @property
    def names(self) -> list[str]:
        """The names of all files that the competition serves and the kit reads."""
        served = self.competition.files
        return served.names if isinstance(served, PixelTables | ImageArchives) else []

    def _path(self, name: str) -> pathlib.Path:
        """Return what holds the file `name`: itself, a zip, or the folder it was unpacked into."""
        path = self._find(name)
        if path is None:
            raise UserError(
                f"{self.folder / name} is missing; get it with: python -m kit.download {self.competition.name}"
            )
        return path

    def _find(self, name: str) -> pathlib.Path | None:
        if name.endswith(".7z"):
            # A folder goes first: whoever unpacked the archive may have done so because it cannot be read.
            folder = self.folder / pathlib.PurePath(name).stem
            for unpacked in (folder / folder.name, folder):
                if _has_png(unpacked):
                    return unpacked
        candidates = (name, f"{name}.zip", f"{self.competition.name}.zip")
        return next((self.folder / one for one in candidates if _is_there(self.folder / one)), None)


def locate(competition: Competition, data_dir: str | os.PathLike[str] = "data") -> KaggleFiles | Tree | None:
    """Return where the competition's files lie: its own folder, `<data_dir>/<competition>/`, or Kaggle's input folder.

    Returns:
        The first folder that has any of them, or None.

    Raises:
        UserError: a folder cannot be looked into.
    """
    folders = [
        folder / competition.name for folder in (pathlib.Path(data_dir), KAGGLE_INPUT, KAGGLE_INPUT / "competitions")
    ]
    if competition.folder:
        folders.insert(0, pathlib.Path(competition.folder))
    candidates = (_files(competition, folder) for folder in folders)
    return next((files for files in candidates if files.any()), None)


def _files(competition: Competition, folder: pathlib.Path) -> KaggleFiles | Tree:
    """Return how a folder is read: as Kaggle's two oldest competitions are served, or as a tree of any make."""
    exact = KaggleFiles(competition, folder)
    if isinstance(competition.files, ImageArchives):
        return exact
    tree = Tree(folder, competition.name, exact.remedy, 2 * competition.most_images + 1000)
    if not isinstance(competition.files, PixelTables):
        return tree
    try:
        return exact if exact.whole() or not all(map(tree.has, exact.names)) else tree
    except UserError:
        return exact


class _Stream(io.RawIOBase):
    """A file's content, whose damage becomes a `UserError` wherever it shows."""

    def __init__(
        self,
        stream: IO[bytes],
        explained: Callable[[], contextlib.AbstractContextManager[None]],
        opened: contextlib.ExitStack,
    ):
        self._stream = stream
        self._explained = explained
        self._opened = opened

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        into = memoryview(buffer)
        with self._explained():
            data = self._stream.read(len(into))
        into[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._explained():
            return self._stream.seek(offset, whence)

    def tell(self) -> int:
        with self._explained():
            return self._stream.tell()

    def close(self) -> None:
        self._opened.close()
        super().close()


def _contents(
    path: pathlib.Path, file: io.BufferedReader, name: str, opened: contextlib.ExitStack
) -> tuple[IO[bytes], int]:
    """Return the stream of the file called `name`, and its size."""
    if path.suffix != ".zip":
        return file, os.fstat(file.fileno()).st_size
    archive = opened.enter_context(zips.opened(file))
    member = zips.member(path, archive, name)
    return opened.enter_context(archive.open(member)), member.file_size


def _state(path: pathlib.Path, name: str) -> bytes:
    """What changes with the content of the file called `name`, of which `path` is what lies on disk."""
    if path.is_dir() and name.endswith(".7z"):
        with os.scandir(path) as entries:
            states = sorted((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries)
        return repr(states).encode("utf-8", "surrogateescape")
    with files.open_regular(path) as stream:
        if path.suffix == ".zip":
            with zips.opened(stream) as archive:
                member = zips.member(path, archive, name)
            return f"{member.file_size} {member.CRC}".encode()
        status = os.fstat(stream.fileno())
        start = stream.read(EDGE)
        stream.seek(max(0, status.st_size - EDGE))
        return f"{status.st_size} {status.st_mtime_ns}".encode() + start + stream.read(EDGE)


def _largest(competition: Competition, name: str) -> int:
    """How many bytes the file called `name` can have, by the number and the shape of the competition's images."""
    served, images, pixels = competition.files, competition.most_images, prod(competition.image_shape)
    if name == served.sample_submission or (isinstance(served, ImageArchives) and name == served.labels):
        return (images + 1) * (32 + 4 * max(map(len, competition.class_names)))  # an id and a label in UTF-8
    if isinstance(served, PixelTables):
        return (images + 2) * (pixels + 1) * FIELD  # the header has longer fields than a row
    return images * (2 * pixels + 1024)


def _has_png(folder: pathlib.Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".png") for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from None


def _is_there(path: pathlib.Path) -> bool:
    """Whether something lies at `path`, if only a link that leads nowhere, of which the reader says so."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return True


def _unreadable(path: pathlib.Path, error: Exception) -> UserError:
    reason, at = getattr(error, "strerror", None) or error, getattr(error, "filename", None) or path
    return UserError(f"{at} cannot be read ({reason}); put a file or folder there that you may read.")
