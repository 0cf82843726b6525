"""Where the sound of an audio file begins and ends, by its own header.

libsndfile reads a file that was cut short without complaint, and nothing of one whose header says that it is empty, as
a recorder that was killed leaves it. So the headers of the common containers are read here as well.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Extent", "extent_of"]

_UNKNOWN_32 = 0x7FFFFF00
"""Lengths from here on stand for an unknown one in headers of 32 bits, where the file is shorter."""

_UNKNOWN_64 = 1 << 60
_MOST_CHUNKS = 10_000
"""A file of the smallest chunks shall not keep us for long."""

_MOST_PAGES = 1_000_000
"""Five hours of the smallest pages."""

_W64_START = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_OGG_LAST = 4
_MOST_SKIPPED = 1 << 16
"""Bytes of an MP3 file in which its first frame is looked for."""


@dataclass(frozen=True)
class LengthField:
    """A number in a header: how many bytes of sound there are.

    Attributes:
        at: Its place in the file.
        width: Its bytes.
        little: Whether its lowest byte comes first.
        more: Bytes beside the sound that it counts.
    """

    at: int
    width: int
    little: bool
    more: int = 0


@dataclass(frozen=True)
class Extent:
    """The place of the sound in a file.

    Attributes:
        start: Where it begins, in bytes.
        length: Bytes that the header promises; None: the header does not say, and the sound goes on to the end.
        size: Bytes of the file.
        field: Where the header has the length; None: it cannot be filled in.
        slack: Bytes by which the header may be wrong.
    """

    start: int
    length: int | None
    size: int
    field: LengthField | None = None
    slack: int = 1

    @property
    def is_cut(self) -> bool:
        """Whether the file ends before the sound does."""
        return self.length is not None and self.start + self.length - self.size > self.slack

    @property
    def filled_in(self) -> tuple[int, bytes] | None:
        """Place and bytes of the length that the header should have; None: it has one, or there is no place for it."""
        if self.length is not None or self.field is None:
            return None
        field = self.field
        length = min(self.size - self.start + field.more, (1 << 8 * field.width) - 1)
        return field.at, length.to_bytes(field.width, "little" if field.little else "big")


def extent_of(file: IO[bytes]) -> Extent | None:
    """Return where the sound of a file is; None: it is of a format whose header is not known here, or damaged.

    Args:
        file: Open for reading in binary; where it stands afterwards is undefined.
    """
    size = file.seek(0, os.SEEK_END)
    head = _at(file, 0, 16)
    readers: tuple[tuple[bool, Callable[[IO[bytes], int], Extent | None]], ...] = (
        (head[8:12] == b"WAVE" and head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"}, _wave),
        (head == _W64_START, _w64),
        (head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}, _aiff),
        (head[:4] in {b".snd", b"dns."}, _au),
        (head[:4] == b"caff", _caf),
        (head[:4] == b"OggS", _ogg),
        (head[4:8] == b"ftyp", _mp4),
        (head[:3] == b"ID3" or _is_mp3_frame(head), _mp3),
    )
    reader = next((reader for fits, reader in readers if fits), None)
    return reader(file, size) if reader is not None else None


def _at(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _wave(file: IO[bytes], size: int) -> Extent | None:
    order = _at(file, 0, 4)
    little = order != b"RIFX"
    wide = None
    for name, at, length in _chunks(file, size, 12, little=little):
        if name == b"ds64" and order in {b"RF64", b"BW64"}:
            wide = LengthField(at + 8, 8, little=True)
        if name == b"data":
            field = wide if length == 0xFFFFFFFF and wide is not None else LengthField(at - 4, 4, little)
            number = int.from_bytes(_at(file, field.at, field.width), "little" if little else "big")
            known = _known(number, at, file, size, little=little)
            if known and _goes_on(file, at + known, size, little=little):
                known = None
            return Extent(at, known, size, field)
    return None


def _known(length: int, at: int, file: IO[bytes], size: int, *, little: bool) -> int | None:
    """Return the length of a chunk of samples; None for one that only stands in for an unknown length."""
    if at + length > size:
        return None if length >= _UNKNOWN_32 else length
    # Empty, and behind it no other chunk but samples: whoever wrote it did not live to write the length.
    if length == 0 and at < size and not _is_chain(file, at, size, little=little):
        return None
    return length


def _goes_on(file: IO[bytes], end: int, size: int, *, little: bool) -> bool:
    """Tell whether samples go on behind the end that a header gives, as where it was not brought up to date.

    That is so where the file's outermost chunk reaches to its end, or has no length, and what stands behind the samples
    is no chunk.
    """
    whole = int.from_bytes(_at(file, 4, 4), "little" if little else "big")
    if end + end % 2 >= size or not (whole == 0 or abs(whole + 8 - size) <= 1):
        return False
    return not any(_is_chain(file, at, size, little=little) for at in {end, end + end % 2})


def _is_chain(file: IO[bytes], at: int, size: int, *, little: bool) -> bool:
    """Tell whether from here on the file consists of whole chunks."""
    end = at
    for name, begin, length in _chunks(file, size, at, little=little):
        if not (name.isascii() and name.decode("ascii").isprintable()):
            return False
        end = begin + length
    return at < end <= size < end + 8


def _chunks(file: IO[bytes], size: int, at: int, *, little: bool) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place of the content and length of chunks, as RIFF and IFF have them."""
    for _ in range(_MOST_CHUNKS):
        if at + 8 > size:
            return
        head = _at(file, at, 8)
        length = int.from_bytes(head[4:], "little" if little else "big")
        yield head[:4], at + 8, length
        at += 8 + length + length % 2


def _w64(file: IO[bytes], size: int) -> Extent | None:
    at = 40
    for _ in range(_MOST_CHUNKS):
        head = _at(file, at, 24)
        if len(head) < 24:
            return None
        length = int.from_bytes(head[16:], "little")  # the head of the chunk is counted
        if head[:16] == _W64_DATA:
            unknown = length <= 24 or length >= _UNKNOWN_64
            field = LengthField(at + 16, 8, little=True, more=24)
            return Extent(at + 24, None if unknown and size > at + 24 else length - 24, size, field)
        if not 24 <= length <= size:
            return None
        at += (length + 7) // 8 * 8
    return None


def _aiff(file: IO[bytes], size: int) -> Extent | None:
    for name, at, length in _chunks(file, size, 12, little=False):
        if name == b"SSND":
            begin = at + 8 + int.from_bytes(_at(file, at, 4), "big")
            known = _known(max(0, length - 8), begin, file, size, little=False)
            if known and _goes_on(file, begin + known, size, little=False):
                known = None
            return Extent(begin, known, size, LengthField(at - 4, 4, little=False, more=8))
    return None


def _au(file: IO[bytes], size: int) -> Extent | None:
    little = _at(file, 0, 4) == b"dns."
    at, length = (int.from_bytes(_at(file, place, 4), "little" if little else "big") for place in (4, 8))
    if at < 24:
        return None
    unknown = (length == 0 and at < size) or (length >= _UNKNOWN_32 and at + length > size)
    return Extent(at, None if unknown else length, size, LengthField(8, 4, little))


def _caf(file: IO[bytes], size: int) -> Extent | None:
    at = 8
    for _ in range(_MOST_CHUNKS):
        head = _at(file, at, 12)
        length = int.from_bytes(head[4:], "big", signed=True)
        if head[:4] == b"data":  # begins with a count of edits
            unknown = length < 0 or (length <= 4 and at + 16 < size)
            field = LengthField(at + 4, 8, little=False, more=4)
            return Extent(at + 16, None if unknown else length - 4, size, field)
        if not 0 <= length <= size or len(head) < 12:
            break
        at += 12 + length
    return None


def _ogg(file: IO[bytes], size: int) -> Extent | None:
    """Follow the pages: the last one must be whole and say that it is the last."""
    at, flags = 0, 0
    for page in range(_MOST_PAGES + 1):
        if at >= size:
            break
        if page == _MOST_PAGES:
            return None
        head = _at(file, at, 27)
        if head[:4] != b"OggS":  # a tag behind the sound, or damage that the decoder finds
            break
        table = file.read(head[26]) if len(head) == 27 else b""
        if len(head) < 27 or len(table) < head[26]:
            return Extent(at, 28 + len(table), size, slack=0)
        length = 27 + len(table) + sum(table)
        if at + length > size:
            return Extent(at, length, size, slack=0)
        flags, at = head[5], at + length
    return Extent(0, size if flags & _OGG_LAST else size + 1, size, slack=0)


def _mp4(file: IO[bytes], size: int) -> Extent | None:
    at = 0
    for atom in range(_MOST_CHUNKS + 1):
        if at + 8 > size:
            break
        if atom == _MOST_CHUNKS:
            return None
        head = _at(file, at, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if length == 0:  # up to the end
            return Extent(at, None, size)
        if length < 8 or at + length > size:
            return Extent(at, length, size) if length >= 8 and head[4:8].isalnum() else None
        at += length
    return Extent(0, at, size)


def _mp3(file: IO[bytes], size: int) -> Extent | None:
    """Read what the first frame says of the file: a Xing or Info header, or one of the encoder VBRI."""
    start = 0
    for _ in range(_MOST_CHUNKS):
        tag = _at(file, start, 10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            break
        start += 10 + sum((tag[6 + n] & 0x7F) << (7 * (3 - n)) for n in range(4)) + (10 if tag[5] & 0x10 else 0)
    window = _at(file, start, _MOST_SKIPPED)
    offset = next((n for n in range(len(window) - 4) if window[n] == 0xFF and _is_mp3_frame(window[n : n + 4])), None)
    if offset is None:
        return Extent(start, 1, size) if start >= size else None
    frame = window[offset : offset + 200]
    length = _mp3_bytes(frame)
    if length is None:
        return None
    # Programs count the first frame or leave it out, and the greatest frame has 2881 bytes.
    return Extent(start + offset, length, size, slack=2881)


def _mp3_bytes(frame: bytes) -> int | None:
    """Return the bytes of the whole file that its first frame tells."""
    for name in (b"Xing", b"Info"):
        place = frame.find(name, 4, 44)
        if place > 0:
            flags = int.from_bytes(frame[place + 4 : place + 8], "big")
            at = place + 8 + (4 if flags & 1 else 0)
            return int.from_bytes(frame[at : at + 4], "big") or None if flags & 2 else None
    if frame[36:40] == b"VBRI":
        return int.from_bytes(frame[46:50], "big") or None
    return None


def _is_mp3_frame(head: bytes) -> bool:
    """Tell whether these are the first bytes of a frame: layer III, and no reserved values."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    return head[1] & 0x18 != 0x08 and head[2] >> 4 not in {0, 15} and head[2] & 0x0C != 0x0C
