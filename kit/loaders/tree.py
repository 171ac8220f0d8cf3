"""All files of a competition as one tree, wherever they lie: loose, in zips and zips in them, in tars, in 7z archives.

A file's path is that which it has once everything is unpacked into folders of the archives' names: `cat.0.jpg` and
`train/cat.0.jpg` in `train.zip` are both `train/cat.0.jpg`. The bundle `<competition>.zip` adds no folder.
"""

import contextlib
import csv
import functools
import hashlib
import io
import os
import pathlib
import posixpath
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from kit import files as disk
from kit.errors import UserError
from kit.loaders import archives
from kit.loaders.archives import Archive, ZipArchive

DEEPEST = 4  # zips within each other
LARGEST_IMAGE = 1 << 26  # bytes of a file that is taken into memory whole
LARGEST_TABLE = 1 << 34
BUFFER = 1 << 18
LONGEST_LINE = 1 << 24  # characters
Content = Callable[[], bytes]


@dataclass(frozen=True)
class File:
    """A file of the tree.

    Attributes:
        path: its path in the tree.
        name: its path in the folder or the archive that holds it.
        holder: what holds it; None for the folder on disk.
        size: bytes.
        state: what changes with its content.
    """

    path: str
    name: str
    holder: Archive | None
    size: int
    state: str


@dataclass(frozen=True)
class Tree:
    """The files in a folder and in its archives.

    Attributes:
        folder: where they lie.
        bundle: the name of the archive that adds no folder, without suffix: the competition's.
        remedy: what errors advise.
        most_files: how many files an archive may hold.
    """

    folder: pathlib.Path
    bundle: str
    remedy: str
    most_files: int = 2_000_000

    @functools.cached_property
    def files(self) -> dict[str, File]:
        """Every file by its path; of two with the same path the loose one, else the first.

        Raises:
            UserError: a folder or an archive cannot be read; names it.
        """
        found: dict[str, File] = {}
        packed: list[tuple[str, Archive]] = []
        for name, path in sorted(_loose(self.folder)):
            if archives.suffix(name):
                opener = functools.partial(_open_file, path)
                packed.append((self._prefix(name), archives.archive(name, path, opener, self.most_files)))
            else:
                status = os.stat(path)
                found[name] = File(name, name, None, status.st_size, str(status.st_mtime_ns))
        for prefix, archive in packed:
            self._add(found, prefix, archive, 1)
        return found

    def any(self) -> bool:
        """Whether there is a file at all."""
        return next(_loose(self.folder), None) is not None

    def has(self, path: str) -> bool:
        """Whether the tree has a file of this path."""
        return path in self.files

    def where(self, path: str) -> str:
        """How a file is called in messages: its path on disk, or "archive.zip: name"."""
        file = self.files.get(path)
        if file is None or file.holder is None:
            return str(self.folder / path)
        return f"{file.holder.where}: {file.name}"

    @contextlib.contextmanager
    def open(self, path: str, largest: int = LARGEST_TABLE) -> Iterator[BinaryIO]:
        """Open a file as a stream that is read from its beginning to its end.

        Raises:
            UserError: it is missing, too large or damaged.
        """
        file = self._file(path)
        if file.size > largest:
            raise UserError(f"{self.where(path)} holds {file.size:,} bytes, more than {largest:,}; {self.remedy}")
        with self._explained(self.where(path)):
            source = _open_file(self.folder / file.name) if file.holder is None else file.holder.open(file.name)
            with source as stream:
                yield stream

    def contents(self, paths: Collection[str]) -> Generator[tuple[str, Content], None, None]:
        """Yield path and content of files, in the order in which they lie in their archives.

        The content is what a call returns: loose files are read by the thread that calls.

        Raises:
            UserError: one is missing, too large or damaged.
        """
        wanted: dict[Archive | None, dict[str, str]] = {}
        for path in paths:
            file = self._file(path)
            if file.size > LARGEST_IMAGE:
                raise UserError(f"{self.where(path)} holds {file.size:,} bytes; no image has so many; {self.remedy}")
            wanted.setdefault(file.holder, {})[file.name] = path
        for holder, names in wanted.items():
            if holder is None:
                folder = str(self.folder)
                for name, path in names.items():
                    yield path, functools.partial(self._loose, os.path.join(folder, name), self.files[path].size)
                continue
            with self._explained(holder.where):
                for name, content in holder.contents(names):
                    yield names.pop(name), functools.partial(bytes, content)
            if names:
                raise UserError(f"{self.where(next(iter(names.values())))} has become unreadable; {self.remedy}")

    def _loose(self, path: str, size: int) -> bytes:
        with self._explained(path):
            return disk.content(path, size)  # sets so much aside

    def fingerprint(self) -> str:
        """Return a hash that changes when one of the files does, without reading them."""
        digest = hashlib.blake2b(digest_size=16)
        for path, file in sorted(self.files.items()):
            digest.update(f"{path}\0{file.size}\0{file.state}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _file(self, path: str) -> File:
        if path not in self.files:
            raise UserError(f"{self.folder / path} is missing; {self.remedy}")
        return self.files[path]

    def _add(self, found: dict[str, File], prefix: str, archive: Archive, depth: int) -> None:
        with self._explained(archive.where):
            members = archive.members()
        inner: list[tuple[str, Archive]] = []
        for member in members:
            if _is_hidden(member.name):
                continue
            path = _joined(prefix, member.name)
            if archive.holds_archives and member.name.lower().endswith(".zip"):
                if depth == DEEPEST:
                    raise UserError(f"{archive.where}: {member.name} lies in too many zips; {self.remedy}")
                opener = functools.partial(archive.open, member.name)
                where = f"{archive.where}: {member.name}"
                inner.append((self._prefix(path), ZipArchive(where, opener, self.most_files)))
            else:
                state = member.state or f"{self._state(archive)} {member.name}"
                found.setdefault(path, File(path, member.name, archive, member.size, state))
        for place, one in inner:
            self._add(found, place, one, depth + 1)

    def _state(self, archive: Archive) -> str:
        """When an archive on disk was changed, for members that have no checksum in its directory."""
        status = os.stat(archive.where)
        return f"{status.st_size} {status.st_mtime_ns}"

    def _prefix(self, name: str) -> str:
        bare = name[: -len(archives.suffix(name))]
        return "" if bare == self.bundle else bare

    @contextlib.contextmanager
    def _explained(self, where: str) -> Iterator[None]:
        """Turn whatever goes wrong while a file is read into one line; the libraries raise a dozen types."""
        try:
            yield
        except (UserError, GeneratorExit):
            raise
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())[:200]
            raise UserError(f"{where} cannot be read ({reason}); {self.remedy}") from None
        except (MemoryError, RecursionError):
            raise UserError(f"{where} needs too much memory; {self.remedy}") from None
        except Exception as error:
            reason = " ".join(str(error).split()).rstrip(".")[:200] or "it ends too early"
            raise UserError(f"{where} is damaged or truncated ({reason}); {self.remedy}") from None


def _loose(folder: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Yield each file's path within the folder, with "/" between its parts, and on disk; hidden ones are left out."""
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        inner = pathlib.Path(place).relative_to(folder).as_posix()
        inner = "" if inner == "." else f"{inner}/"
        for name in names:
            if not _is_hidden(name):
                yield inner + name, os.path.join(place, name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _joined(prefix: str, name: str) -> str:
    """Put an archive's folder before a member's name, unless the member brings it along."""
    last = posixpath.basename(prefix)
    if prefix and (name == last or name.startswith(f"{last}/")):
        return posixpath.join(posixpath.dirname(prefix), name)
    return posixpath.join(prefix, name) if prefix else name


@contextlib.contextmanager
def _open_file(path: str | pathlib.Path) -> Iterator[BinaryIO]:
    with disk.open_regular(path) as stream:
        yield stream


def lines(stream: BinaryIO) -> Iterator[str]:
    """Yield the lines of UTF-8 text, with or without BOM; one without an end is an error, not a full memory.

    Raises:
        csv.Error: a line has LONGEST_LINE characters.
        UnicodeDecodeError: it is not UTF-8.
    """
    with io.TextIOWrapper(buffered(stream), "utf-8-sig", newline="") as text:
        while line := text.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise csv.Error(f"a line has {LONGEST_LINE:,} characters or more")
            yield line


def buffered(stream: BinaryIO) -> BinaryIO:
    """Return a stream with a buffer, for readers of lines."""
    return stream if isinstance(stream, io.BufferedReader | io.BytesIO) else io.BufferedReader(stream, BUFFER)  # type: ignore
