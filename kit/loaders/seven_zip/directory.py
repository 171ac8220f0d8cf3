"""The directory at the end of a 7z archive: what its streams are, and which files come out of them."""

import struct
import zlib
from typing import BinaryIO

from kit.loaders.seven_zip.folders import BadSevenZip, Folder, unpack

MAGIC = b"7z\xbc\xaf\x27\x1c"
MEMBER = 256  # bytes that one member takes in a directory, at most: a name, times, sizes
LARGEST_NUMBER = 1 << 56  # sums of a few such are still positions in a file

Entry = tuple[str, bool, bool]  # name, whether it has content, whether it is a folder

(END, HEADER, _, _, MAIN_STREAMS, FILES, PACK, FOLDERS, SUBSTREAMS, SIZE, CRC, FOLDER, FOLDER_SIZES) = range(13)
SUBSTREAM_COUNTS, EMPTY_STREAM, EMPTY_FILE, NAMES, ENCODED_HEADER = 0x0D, 0x0E, 0x0F, 0x11, 0x17


def read_directory(stream: BinaryIO, most_members: int) -> tuple[list[Folder], list[Entry]]:
    """Return the compressed streams and the entries of an archive of at most so many members."""
    start = stream.read(32)
    if len(start) < 32 or not start.startswith(MAGIC):
        raise BadSevenZip("it is not a 7z archive")
    start_crc, offset, size, crc = struct.unpack("<IQQI", start[8:])
    if zlib.crc32(start[12:]) != start_crc:
        raise BadSevenZip("its first bytes are damaged")
    largest = MEMBER * most_members
    if size > largest or offset > LARGEST_NUMBER:
        raise BadSevenZip(f"its directory, {size} bytes at {offset}, is too large to be true")
    stream.seek(32 + offset)
    header = stream.read(size)
    if len(header) < size:
        raise BadSevenZip("its end is missing: it is truncated")
    if zlib.crc32(header) != crc:
        raise BadSevenZip("its directory is damaged")
    fields = _Fields(header, most_members)
    kind = fields.byte() if header else END
    for _ in range(4):  # a directory that is compressed over and over again is an attack
        if kind != ENCODED_HEADER:
            break
        folders = fields.streams()
        if len(folders) != 1 or folders[0].size > largest:
            raise BadSevenZip("its directory is damaged")
        fields = _Fields(b"".join(unpack(stream, folders[0])), most_members)
        kind = fields.byte()
    if kind == END:
        return [], []
    if kind != HEADER:
        raise BadSevenZip("its directory is damaged")
    folders, entries = list[Folder](), list[Entry]()
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

    def __init__(self, data: bytes, most: int):
        self._data = data
        self._most = most
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
        number = int.from_bytes(self.take(following), "little") | high << (8 * following)
        if number > LARGEST_NUMBER:
            raise BadSevenZip("its directory is damaged")
        return number

    def count(self) -> int:
        """A number of members, or of what there is at most one of a member."""
        count = self.number()
        if count > self._most:
            raise BadSevenZip(f"its directory names {count:,} things, more than the {self._most:,} expected")
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

    def streams(self) -> list[Folder]:
        """Where the compressed streams lie, how they are compressed and what sizes come out."""
        folders, packed = list[Folder](), list[int]()
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
        sizes = list[int]()
        while (kind := self.byte()) != END:
            if kind == SIZE:
                sizes = [self.number() for _ in range(count)]
            elif kind == CRC:
                self.crcs(count)
            else:
                raise BadSevenZip("its directory is damaged")
        return sizes

    def _folders(self) -> list[Folder]:
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

    def _folder(self) -> Folder:
        coders = []
        for _ in range(self.count()):
            flags = self.byte()
            if flags & 0xD0:
                raise BadSevenZip("it is compressed by a method that is not read here (several streams together)")
            coders.append((self.take(flags & 0x0F), self.take(self.number()) if flags & 0x20 else b""))
        source = dict[int, int]()  # which coder's output each coder reads; one of them reads the archive itself
        for _ in coders[1:]:
            reader, writer = self.number(), self.number()
            source[reader] = writer
        order = [number for number in range(len(coders)) if number not in source]
        following = {writer: reader for reader, writer in source.items()}
        while order and order[-1] in following and len(order) < len(coders):
            order.append(following[order[-1]])
        if not coders or sorted(order) != list(range(len(coders))):
            raise BadSevenZip("its directory is damaged")
        return Folder([coders[number] for number in order], last=order[-1])

    def _substreams(self, folders: list[Folder]) -> None:
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

    def files(self) -> list[Entry]:
        """The archive's entries."""
        count = self.count()
        names, empty, empty_file = list[str](), [False] * count, list[bool]()
        while (kind := self.byte()) != END:
            part = _Fields(self.take(self.number()), self._most)
            if kind == EMPTY_STREAM:
                empty = part.bits(count)
            elif kind == EMPTY_FILE:
                empty_file = part.bits(sum(empty))
            elif kind == NAMES:
                part.expect(0)
                try:
                    text = part.take(len(part._data) - 1).decode("utf-16-le")
                except UnicodeDecodeError:
                    raise BadSevenZip("the names in it are damaged") from None
                *names, rest = text.split("\0", count)
                if rest:
                    raise BadSevenZip("it names more files than it holds")
        if len(names) != count:
            raise BadSevenZip("some of its files have no name")
        is_file = iter(empty_file or [False] * sum(empty))
        return [(name, not none, none and not next(is_file)) for name, none in zip(names, empty, strict=True)]
