"""Audio as the bytes of a format, chunk by chunk while it is spoken."""

from __future__ import annotations

import asyncio
import io
import threading
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Protocol, cast

import numpy as np

from realtts import Chunk
from realtts.audio import Resampler, open_writer
from realtts.serving.pcm import int16_bytes

if TYPE_CHECKING:
    from realtts.audio import Writer

__all__ = ["CONTENT_TYPES", "PCM_RATE", "StreamEncoder", "encode_chunk", "encode_end", "first_parts", "open_encoder"]

PCM_RATE = 24_000
"""Hz of ``pcm``, which carries no header: clients assume it."""

CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


_FIRST_S = 0.25
"""What is heard first is encoded by itself: resampling a sentence takes longer than all else behind the model."""


class StreamEncoder(Protocol):
    """Encodes a stream of chunks.

    Attributes:
        is_light: Whether its end takes less time than waking a thread.
        short_s: Seconds of audio that are encoded in less time than that.
    """

    is_light: bool
    short_s: float

    def encode(self, chunk: Chunk) -> bytes:
        """Return the bytes that are ready with this chunk; may be none."""

    def finish(self) -> bytes:
        """Return the last bytes."""

    def drop(self) -> None:
        """Let go of everything; may follow `finish`."""


def first_parts(encoder: StreamEncoder, chunk: Chunk) -> list[Chunk]:
    """Return the first chunk of a stream in the parts that are encoded and sent one by one; all else is the first's."""
    count = round(_FIRST_S * chunk.sample_rate)
    if not encoder.is_light or len(chunk.samples) < 2 * count:
        return [chunk]
    return [replace(chunk, samples=chunk.samples[:count]), Chunk(chunk.samples[count:], chunk.sample_rate)]


async def encode_chunk(encoder: StreamEncoder, chunk: Chunk) -> bytes:
    """Return the bytes of a chunk without blocking the event loop."""
    if chunk.duration < encoder.short_s:
        return encoder.encode(chunk)
    return await asyncio.to_thread(encoder.encode, chunk)


async def encode_end(encoder: StreamEncoder) -> bytes:
    """Return the last bytes without blocking the event loop."""
    return encoder.finish() if encoder.is_light else await asyncio.to_thread(encoder.finish)


def open_encoder(format: str) -> StreamEncoder:  # noqa: A002 - the word users know
    """Return an encoder.

    Args:
        format: A key of `CONTENT_TYPES`.

    Raises:
        OutputError: It cannot be written here: AAC without PyAV or ffmpeg.
    """
    return _Pcm() if format == "pcm" else _File(format)


class _Pcm:
    """Signed 16 bit little-endian samples at `PCM_RATE`."""

    is_light = True
    short_s = 2.0

    def __init__(self) -> None:
        self._resampler: Resampler | None = None

    def encode(self, chunk: Chunk) -> bytes:
        if self._resampler is None:
            self._resampler = Resampler(chunk.sample_rate, PCM_RATE)
        return int16_bytes(self._resampler.push(chunk.samples))

    def finish(self) -> bytes:
        return int16_bytes(self._resampler.finish()) if self._resampler is not None else b""

    def drop(self) -> None:
        pass


class _File:
    """A file of a format whose header says that its length is not known."""

    is_light = False
    short_s = 1.0

    def __init__(self, format: str) -> None:  # noqa: A002 - the word users know
        self._pipe = _Pipe()
        self._writer: Writer = open_writer(cast("IO[bytes]", self._pipe), format=format, live=True)
        self._rate: int | None = None
        # A client may go away while a thread encodes for it.
        self._one_at_a_time = threading.Lock()

    def encode(self, chunk: Chunk) -> bytes:
        with self._one_at_a_time:
            self._rate = chunk.sample_rate
            self._writer.write(chunk.samples, chunk.sample_rate)
            return self._pipe.drain()

    def finish(self) -> bytes:
        with self._one_at_a_time:
            if self._rate is None:
                self._writer.write(np.zeros(0, np.float32), PCM_RATE)
            self._writer.close()
            return self._pipe.drain()

    def drop(self) -> None:
        with self._one_at_a_time:
            self._writer.abort()


class _Pipe(io.RawIOBase):
    """A file that cannot be read again: what was written is handed on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:  # type: ignore[override]  # all that the writer gives are bytes
        self._parts.append(bytes(data))
        return len(data)

    def drain(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
