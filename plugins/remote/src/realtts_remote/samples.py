"""Bytes of an answer as samples: raw ones, or a WAV file that comes piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from realtts_remote.errors import BrokenSpeech

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["SampleReader"]

_BEGINNING = 12
"""Bytes that tell what a format is."""

_ENDLESS = 0x7FFF_0000
"""Lengths from here on stand in the header of a WAV file whose length nobody knew: of a stream."""

_LONGEST_HEADER = 1 << 20
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_MOST_CHANNELS = 8

_OTHERS = (
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"ID3", "MP3"),
    (b"\x1aE\xdf\xa3", "WebM"),
    (b"FORM", "AIFF"),
    (b"caff", "CAF"),
)


class _Layout(NamedTuple):
    """How samples are written.

    Attributes:
        rate: Hz.
        channels: That are mixed into one.
        width: Bytes of a sample of one channel.
        decode: Turns bytes of whole samples into float32 of shape (n,).
    """

    rate: int
    channels: int
    width: int
    decode: Callable[[bytes], NDArray[np.float32]]


class SampleReader:
    """The bytes of one answer, as they come, to mono samples.

    Args:
        rate: Hz of raw samples, which have no header.
        channels: Of raw samples.
        rates: Those that are taken.
        who: The server, for messages.

    Attributes:
        rate: Hz of what was read; of a WAV file as its header says.
    """

    def __init__(self, rate: int, channels: int, rates: Sequence[int], who: str) -> None:
        self.rate = rate
        self._rates, self._who = rates, who
        self._layout: _Layout | None = None
        self._raw = _Layout(rate, channels, 2, _of_int16)
        self._pending = b""
        self._left: int | None = None  # bytes of a WAV file's samples that are still to come; None: nobody knows
        self._is_wav = False

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Return the samples that are complete with these bytes, float32 of shape (n,).

        Raises:
            BrokenSpeech: It is another format, or a header that cannot be read.
        """
        self._pending += data
        if self._layout is None and not self._begin():
            return np.zeros(0, np.float32)
        return self._decoded()

    def finish(self) -> NDArray[np.float32]:
        """Return what is left when all has come.

        Raises:
            BrokenSpeech: It ends in the middle of a sample, before its end, or before its beginning.
        """
        if self._layout is None:
            if len(self._pending) >= _BEGINNING or self._pending.startswith(b"RIFF"):
                raise self._broken("the header of its WAV file has no end")
            self._layout = self._raw
        rest = self._decoded()
        if self._left is not None and self._left > 0:
            raise self._broken(f"its WAV file ends {self._left} bytes early")
        if self._pending and self._left is None:
            raise self._broken("it ends in the middle of a sample")
        return rest

    def _begin(self) -> bool:
        """Find out how samples are written; False while too little has come."""
        if len(self._pending) < _BEGINNING:
            return False
        start = self._pending[:_BEGINNING]
        if start[:4] in {b"RIFF", b"RF64"} and start[8:12] == b"WAVE":
            self._is_wav = True
            return self._read_header()
        name = next((name for mark, name in _OTHERS if start.startswith(mark)), None)
        if start[4:8] == b"ftyp":
            name = "MP4"
        if name is not None:
            raise self._broken(f"it sent {name}, which was not asked for")
        if start[:1] in {b"{", b"<"} and start.isascii() and start.decode().isprintable():
            raise self._broken(f"it sent text in place of sound: {self._pending[:100].decode('utf-8', 'replace')!r}")
        self._layout = self._raw
        self._check_rate(self._raw.rate)
        return True

    def _read_header(self) -> bool:
        """Read the chunks of a WAV file up to its samples; False while they have not all come."""
        place, layout = _BEGINNING, None
        while len(self._pending) >= place + 8:
            name = self._pending[place : place + 4]
            size = int.from_bytes(self._pending[place + 4 : place + 8], "little")
            place += 8
            if name == b"data":
                if layout is None:
                    raise self._broken("its WAV file has samples before their format")
                self._left = None if size == 0 or size >= _ENDLESS else size
                self._layout, self._pending = layout, self._pending[place:]
                self.rate = layout.rate
                return True
            if size > _LONGEST_HEADER:
                break
            if len(self._pending) < place + size + size % 2:
                return False
            if name == b"fmt ":
                layout = self._layout_of(self._pending[place : place + size])
            place += size + size % 2
        if len(self._pending) > _LONGEST_HEADER or len(self._pending) >= place + 8:
            raise self._broken("the header of its WAV file cannot be read")
        return False

    def _layout_of(self, chunk: bytes) -> _Layout:
        if len(chunk) < 16:
            raise self._broken("the header of its WAV file cannot be read")
        number = [int.from_bytes(chunk[start:end], "little") for start, end in ((0, 2), (2, 4), (4, 8), (14, 16))]
        kind, channels, rate, bits = number
        if kind == _EXTENSIBLE and len(chunk) >= 26:
            kind = int.from_bytes(chunk[24:26], "little")
        decode = _DECODERS.get((kind, bits))
        if decode is None or not 1 <= channels <= _MOST_CHANNELS:
            raise self._broken(f"its WAV file has format {kind} of {bits} bits and {channels} channels")
        self._check_rate(rate)
        return _Layout(rate, channels, bits // 8, decode)

    def _check_rate(self, rate: int) -> None:
        if rate not in self._rates:
            raise self._broken(f"its sample rate is {rate} Hz, and {sorted(self._rates)} are taken")

    def _decoded(self) -> NDArray[np.float32]:
        """Return the whole samples of what has come."""
        assert self._layout is not None
        layout = self._layout
        there = len(self._pending) if self._left is None else min(len(self._pending), self._left)
        whole = there - there % (layout.width * layout.channels)
        data, self._pending = self._pending[:whole], self._pending[whole:]
        if self._left is not None:
            self._left -= whole
            if 0 <= self._left < layout.width * layout.channels:  # what follows is no sound
                self._left, self._pending = 0, b""
        samples = layout.decode(data)
        if not np.isfinite(samples).all():
            raise self._broken("its samples hold NaN or infinity")
        if layout.channels > 1:
            samples = samples.reshape(-1, layout.channels).mean(axis=1, dtype=np.float32)
        return samples

    def _broken(self, what: str) -> BrokenSpeech:
        fix = "let the server send raw samples (pcm) or a WAV file, and see its log"
        return BrokenSpeech(what, who=self._who, fix=fix, again=True)


def _of_int16(data: bytes) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    return samples


def _of_int24(data: bytes) -> NDArray[np.float32]:
    parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
    padded = np.zeros((len(parts), 4), np.uint8)
    padded[:, 1:] = parts  # the sign is in the highest byte
    return (padded.view("<i4").ravel() / 2.0**31).astype(np.float32)


_DECODERS: dict[tuple[int, int], Callable[[bytes], NDArray[np.float32]]] = {
    (_PCM, 8): lambda data: (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128),
    (_PCM, 16): _of_int16,
    (_PCM, 24): _of_int24,
    (_PCM, 32): lambda data: (np.frombuffer(data, "<i4") / 2.0**31).astype(np.float32),
    (_FLOAT, 32): lambda data: np.frombuffer(data, "<f4").astype(np.float32),
    (_FLOAT, 64): lambda data: np.frombuffer(data, "<f8").astype(np.float32),
}
