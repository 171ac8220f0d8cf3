"""7z archives read as streams: first the members' names and sizes, then their contents, one after another.

Only the standard library's decompressors are needed, memory stays at a few megabytes and the dictionary of the
compression, and a member costs microseconds; a general 7z library spends longer on each member than a small picture
takes to decode. What 7-Zip and py7zr write by default is read; encrypted archives and rare methods are refused.

Reference: `DOC/7zFormat.txt` of the LZMA SDK, https://www.7-zip.org/sdk.html
"""

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

MAGIC = b"7z\xbc\xaf\x27\x1c"
CHUNK = 1 << 20
LARGEST_HEADER = 1 << 28
LARGEST_DICTIONARY = 1 << 28  # bytes of memory that an archive may ask for; 7-Zip's strongest setting asks for 2²⁶
LZMA2, X86 = b"\x21", (b"\x04", b"\x03\x03\x01\x03")

(END, HEADER, _, _, MAIN_STREAMS, FILES, PACK, FOLDERS, SUBSTREAMS, SIZE, CRC, FOLDER, FOLDER_SIZES) = range(13)
SUBSTREAM_COUNTS, EMPTY_STREAM, EMPTY_FILE, NAMES, ENCODED_HEADER = 0x0D, 0x0E, 0x0F, 0x11, 0x17


class BadSevenZip(Exception):
    """The archive is damaged, truncated, hostile, or of a kind that is not read here; the text says which."""


@dataclass
class _Folder:
    """One compressed stream, which holds the contents of one or more members, back to back."""

    coders: list[tuple[bytes, bytes]]  # method and properties, in the order of decompression
    last: int = 0  # the coder whose output is the content
    size: int = 0
    crc: int | None = None
    packed_start: int = 0
    packed_size: int = 0
    sizes: list[int] = field(default_factory=list)
    crcs: list[int | None] = field(default_factory=list)


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
        self._folders, entries = _read_directory(stream)
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
        streams = (content for folder in self._folders for content in _unpack(self._stream, folder))
        for has_stream in self._has_stream:
            yield next(streams) if has_stream else b""


def _unpack(stream: BinaryIO, folder: _Folder) -> Iterator[bytes]:
    """Yield the contents that lie in one folder."""
    chunks = _decompressed(stream, folder)
    buffer, position = b"", 0
    for size, crc in zip(folder.sizes, folder.crcs, strict=True):
        if len(buffer) - position < size:
            parts = [buffer[position:]]
            missing = size - len(parts[0])
            while missing > 0:
                parts.append(next(chunks))
                missing -= len(parts[-1])
            buffer, position = b"".join(parts), 0
        content = buffer[position : position + size]
        position += size
        if crc is not None and zlib.crc32(content) != crc:
            raise BadSevenZip("a checksum does not fit: the file is damaged")
        yield content


def _decompressed(stream: BinaryIO, folder: _Folder) -> Iterator[bytes]:
    """Yield the folder's `size` bytes in pieces of at most CHUNK."""
    decoder = _decoder(folder)
    stream.seek(folder.packed_start)
    packed_left, left = folder.packed_size, folder.size
    while left:
        data = b""
        if decoder is None or decoder.needs_input:
            data = stream.read(min(CHUNK, packed_left))
            packed_left -= len(data)
        try:
            piece = data if decoder is None else decoder.decompress(data, min(CHUNK, left))
        except (lzma.LZMAError, OSError, EOFError) as error:
            raise BadSevenZip(f"the compressed data are damaged ({error})") from None
        if not piece and not data:
            raise BadSevenZip("it ends in the middle of the data: it is truncated or damaged")
        left -= len(piece)
        if left < 0:
            raise BadSevenZip("it holds more data than it says")
        yield piece


def _decoder(folder: _Folder) -> lzma.LZMADecompressor | bz2.BZ2Decompressor | None:
    """Return the decompressor of a folder, or None where its data are stored as they are."""
    (method, properties), *filters = folder.coders
    if filters and not (method == LZMA2 and [name for name, _ in filters] in ([name] for name in X86)):
        # LZMA of the first kind has no end mark, without which liblzma keeps the filter's last bytes to itself.
        raise BadSevenZip("it is encrypted, or compressed by methods together that are not read here")
    if method == b"\x00":
        return None
    if method == b"\x04\x02\x02":
        return bz2.BZ2Decompressor()
    try:
        if method == b"\x03\x01\x01":
            packed, dictionary = struct.unpack("<BI", properties)
            rest, lc = divmod(packed, 9)
            pb, lp = divmod(rest, 5)
            options = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb}
        elif method == LZMA2:
            (bits,) = struct.unpack("<B", properties)
            dictionary = (2 | bits & 1) << (bits // 2 + 11) if bits < 40 else LARGEST_DICTIONARY + 1
            options = {"id": lzma.FILTER_LZMA2}
        else:
            raise BadSevenZip(f"it is compressed by a method that is not read here (number {method.hex()})")
        # No more of a dictionary is ever used than the data are long.
        dictionary = min(dictionary, max(folder.size, 4096))
        if dictionary > LARGEST_DICTIONARY:
            raise BadSevenZip(f"reading it would take {dictionary >> 20} MB of memory")
        options["dict_size"] = max(dictionary, 4096)
        chain = [{"id": lzma.FILTER_X86}] * len(filters) + [options]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
    except (struct.error, lzma.LZMAError, ValueError):
        raise BadSevenZip("its compression settings make no sense") from None


def _read_directory(stream: BinaryIO) -> tuple[list[_Folder], list[tuple[str, bool, bool]]]:
    """Return the compressed streams, and for every entry its name, whether it has content, whether it is a folder."""
    start = stream.read(32)
    if len(start) < 32 or not start.startswith(MAGIC):
        raise BadSevenZip("it is no 7z archive")
    start_crc, offset, size, crc = struct.unpack("<IQQI", start[8:])
    if zlib.crc32(start[12:]) != start_crc:
        raise BadSevenZip("its first bytes are damaged")
    if size > LARGEST_HEADER:
        raise BadSevenZip(f"its directory of {size} bytes is too large to be true")
    stream.seek(32 + offset)
    header = stream.read(size)
    if len(header) < size:
        raise BadSevenZip("its end is missing: it is truncated")
    if zlib.crc32(header) != crc:
        raise BadSevenZip("its directory is damaged")
    fields = _Fields(header)
    kind = fields.byte() if header else END
    for _ in range(4):  # a directory that is compressed over and over again is an attack
        if kind != ENCODED_HEADER:
            break
        folders = fields.streams()
        if len(folders) != 1 or folders[0].size > LARGEST_HEADER:
            raise BadSevenZip("its directory is damaged")
        fields = _Fields(b"".join(_unpack(stream, folders[0])))
        kind = fields.byte()
    if kind == END:
        return [], []
    if kind != HEADER:
        raise BadSevenZip("its directory is damaged")
    folders, entries = [], []
    while (kind := fields.byte()) != END:
        if kind == MAIN_STREAMS:
            folders = fields.streams()
        elif kind == FILES:
            entries = fields.files()
        else:
            raise BadSevenZip(f"its directory has a part that is not read here (number {kind})")
    return folders, entries


class _Fields:
    """The directory's fields, taken off its bytes one after another."""

    def __init__(self, data: bytes):
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        if len(taken) < count:
            raise BadSevenZip("its directory is damaged")
        self._position += count
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """A whole number in 1 to 9 bytes: as many leading ones in the first byte as bytes follow."""
        first = self.byte()
        following = 8 - (first ^ 0xFF).bit_length()
        high = first & (0x7F >> following) if following < 8 else 0
        return int.from_bytes(self.take(following), "little") | high << (8 * following)

    def count(self) -> int:
        """A number of things that each take up room in what follows, so that it cannot be absurdly large."""
        count = self.number()
        if count > 8 * len(self._data):
            raise BadSevenZip("its directory is damaged")
        return count

    def bits(self, count: int) -> list[bool]:
        data = self.take((count + 7) // 8)
        return [bool(data[bit // 8] & (0x80 >> bit % 8)) for bit in range(count)]

    def crcs(self, count: int) -> list[int | None]:
        defined = [True] * count if self.byte() else self.bits(count)
        values = iter(struct.unpack(f"<{sum(defined)}I", self.take(4 * sum(defined))))
        return [next(values) if one else None for one in defined]

    def expect(self, kind: int) -> None:
        if self.byte() != kind:
            raise BadSevenZip("its directory is damaged")

    def streams(self) -> list[_Folder]:
        """Where the compressed streams lie, how they are compressed and what sizes come out."""
        folders, packed = [], []
        start = 0
        while (kind := self.byte()) != END:
            if kind == PACK:
                start = 32 + self.number()
                packed = self._packed(self.count())
            elif kind == FOLDERS:
                folders = self._folders()
            elif kind == SUBSTREAMS:
                self._substreams(folders)
            else:
                raise BadSevenZip("its directory is damaged")
        if len(packed) != len(folders):
            raise BadSevenZip("it is compressed by a method that is not read here (several streams together)")
        for folder, size in zip(folders, packed, strict=True):
            folder.packed_start, folder.packed_size = start, size
            start += size
            if not folder.crcs:
                folder.sizes, folder.crcs = [folder.size], [folder.crc]
        return folders

    def _packed(self, count: int) -> list[int]:
        sizes = []
        while (kind := self.byte()) != END:
            if kind == SIZE:
                sizes = [self.number() for _ in range(count)]
            elif kind == CRC:
                self.crcs(count)
            else:
                raise BadSevenZip("its directory is damaged")
        return sizes

    def _folders(self) -> list[_Folder]:
        self.expect(FOLDER)
        count = self.count()
        self.expect(0)  # the description of the folders lies here, not elsewhere
        folders = [self._folder() for _ in range(count)]
        self.expect(FOLDER_SIZES)
        for folder in folders:
            folder.size = [self.number() for _ in folder.coders][folder.last]
        while (kind := self.byte()) != END:
            if kind != CRC:
                raise BadSevenZip("its directory is damaged")
            for folder, crc in zip(folders, self.crcs(count), strict=True):
                folder.crc = crc
        return folders

    def _folder(self) -> _Folder:
        coders = []
        for _ in range(self.count()):
            flags = self.byte()
            if flags & 0xD0:
                raise BadSevenZip("it is compressed by a method that is not read here (several streams together)")
            coders.append((self.take(flags & 0x0F), self.take(self.number()) if flags & 0x20 else b""))
        source = {}  # which coder's output each coder reads; one of them reads the archive itself
        for _ in coders[1:]:
            reader, writer = self.number(), self.number()
            source[reader] = writer
        order = [number for number in range(len(coders)) if number not in source]
        following = {writer: reader for reader, writer in source.items()}
        while order and order[-1] in following and len(order) < len(coders):
            order.append(following[order[-1]])
        if not coders or sorted(order) != list(range(len(coders))):
            raise BadSevenZip("its directory is damaged")
        return _Folder([coders[number] for number in order], last=order[-1])

    def _substreams(self, folders: list[_Folder]) -> None:
        counts = [1] * len(folders)
        kind = self.byte()
        if kind == SUBSTREAM_COUNTS:
            counts = [self.count() for _ in folders]
            kind = self.byte()
        for folder, count in zip(folders, counts, strict=True):
            folder.sizes = [self.number() for _ in range(count - 1)] if kind == SIZE else []
            if len(folder.sizes) != max(count - 1, 0) or sum(folder.sizes) > folder.size:
                raise BadSevenZip("the sizes in its directory do not add up")
            if count:
                folder.sizes.append(folder.size - sum(folder.sizes))
            folder.crcs = [folder.crc] if count == 1 else [None] * count
        if kind == SIZE:
            kind = self.byte()
        while kind != END:
            if kind != CRC:
                raise BadSevenZip("its directory is damaged")
            unknown = [folder for folder in folders if folder.crcs != [folder.crc] or folder.crc is None]
            crcs = iter(self.crcs(sum(len(folder.sizes) for folder in unknown)))
            for folder in unknown:
                folder.crcs = [next(crcs) for _ in folder.sizes]
            kind = self.byte()

    def files(self) -> list[tuple[str, bool, bool]]:
        """The entries: name, whether there is content, whether it is a folder."""
        count = self.count()
        names, empty, empty_file = [], [False] * count, []
        while (kind := self.byte()) != END:
            part = _Fields(self.take(self.number()))
            if kind == EMPTY_STREAM:
                empty = part.bits(count)
            elif kind == EMPTY_FILE:
                empty_file = part.bits(sum(empty))
            elif kind == NAMES:
                part.expect(0)
                try:
                    names = part.take(len(part._data) - 1).decode("utf-16-le").split("\0")[:-1]
                except UnicodeDecodeError:
                    raise BadSevenZip("the names in it are damaged") from None
        if len(names) != count:
            raise BadSevenZip("some of its files have no name")
        is_file = iter(empty_file or [False] * sum(empty))
        return [(name, not none, none and not next(is_file)) for name, none in zip(names, empty, strict=True)]
