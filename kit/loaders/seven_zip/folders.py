"""The compressed streams of a 7z archive, which the format calls folders, and what comes out of them."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

CHUNK = 1 << 20
LARGEST_DICTIONARY = 1 << 28  # bytes of memory that an archive may ask for; 7-Zip's strongest setting asks for 2²⁶
LZMA2, X86 = b"\x21", (b"\x04", b"\x03\x03\x01\x03")


class BadSevenZip(Exception):
    """The archive is damaged, truncated, hostile, or of a kind that is not read here; the text says which."""


@dataclass
class Folder:
    """One compressed stream, which holds the contents of one or more members, back to back."""

    coders: list[tuple[bytes, bytes]]  # method and properties, in the order of decompression
    last: int = 0  # the coder whose output is the content
    size: int = 0
    crc: int | None = None
    packed_start: int = 0
    packed_size: int = 0
    sizes: list[int] = field(default_factory=list)
    crcs: list[int | None] = field(default_factory=list)


def unpack(stream: BinaryIO, folder: Folder) -> Iterator[bytes]:
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


def _decompressed(stream: BinaryIO, folder: Folder) -> Iterator[bytes]:
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


def _decoder(folder: Folder) -> lzma.LZMADecompressor | bz2.BZ2Decompressor | None:
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
        chain: list[dict[str, int]] = [{"id": lzma.FILTER_X86}] * len(filters) + [options]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)
    except (struct.error, lzma.LZMAError, ValueError):
        raise BadSevenZip("its compression settings make no sense") from None
