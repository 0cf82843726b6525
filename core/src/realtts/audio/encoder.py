"""Samples to the bytes of a file, at a rate and a size that its format allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soundfile

from realtts.audio.aac import AacFile, open_aac
from realtts.audio.formats import file_rate
from realtts.audio.sink import PipeSink
from realtts.errors import OutputError
from realtts.resample import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtts.audio.formats import Format
    from realtts.audio.sink import Sink

__all__ = ["Encoder"]

# A WAV file holds its length in 32 bits; a little is left for the header.
_WAV_BYTES = 2**32 - 2**16
_SAMPLE_BYTES = {"PCM_U8": 1, "PCM_S8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
# libsndfile puts a whole Vorbis or Opus write on the stack; long ones crash.
_BLOCK = 1 << 15
# A pipe cannot be given the table of an MP3 of variable rate afterwards, without which players guess its length wrong.
# Half of the range is 80 kbit/s at 24 kHz.
_PIPED_MP3 = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}


class Encoder:
    """libsndfile, or what writes AAC, over a sink.

    Args:
        sink: Where the bytes go.
        file_format: What is written.
        subtype: Encoding, one that the format has.
        sample_rate: Hz, of the samples that come; where the format lacks it they are resampled.
        who: The target, for messages.

    Raises:
        OutputError: That cannot be written, here as in every method.
    """

    def __init__(self, sink: Sink, file_format: Format, subtype: str, sample_rate: int, *, who: str) -> None:
        self.who = who
        self._sink = sink
        rate = file_rate(sample_rate, subtype)
        self._resampler = Resampler(sample_rate, rate)
        self._clips = subtype not in {"FLOAT", "DOUBLE"}
        # The other formats begin with their first sample: without one the file would be no audio file.
        self._may_be_empty = file_format.name == "WAV"
        # Encodings without a fixed size are smaller than 16 bits.
        self._left = _WAV_BYTES // _SAMPLE_BYTES.get(subtype, 2) if file_format.name == "WAV" else None
        self._frames = 0
        self._file: AacFile | soundfile.SoundFile
        if file_format.is_aac:
            self._file = open_aac(sink, file_format.name, rate, who=who)
            return
        try:
            self._file = soundfile.SoundFile(
                sink, "w", samplerate=rate, channels=1, format=file_format.name, subtype=subtype,
                **(_PIPED_MP3 if subtype == "MPEG_LAYER_III" and isinstance(sink, PipeSink) else {}),
            )  # fmt: skip
        except (soundfile.SoundFileError, TypeError, ValueError) as error:
            self._check_sink()
            raise OutputError(
                f"{file_format.name} cannot be written at {sample_rate} Hz as {subtype}",
                who=who,
                fix="choose another sample rate, subtype or suffix",
            ) from error

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append finite samples of shape (n,)."""
        self._put(self._resampler.push(samples))

    def close(self) -> None:
        """Write what is left, and finish the file."""
        try:
            self._put(self._resampler.finish())
            if not self._frames and not self._may_be_empty:
                self._put(np.zeros(1, np.float32))
            self._file.close()
        finally:
            self.drop()
        self.flush()

    def flush(self) -> None:
        """Hand over all bytes that were encoded so far."""
        self._sink.flush()
        self._check_sink()

    def drop(self) -> None:
        """Close the file without finishing its contents."""
        if isinstance(self._file, AacFile):
            self._file.drop()
        else:
            self._file.close()

    def _put(self, samples: NDArray[np.float32]) -> None:
        self._check_length(len(samples))
        if self._clips:
            samples = np.clip(samples, -1.0, 1.0)
        self._frames += len(samples)
        for start in range(0, len(samples), _BLOCK):
            self._file.write(samples[start : start + _BLOCK])
            self._check_sink()

    def _check_length(self, count: int) -> None:
        if self._left is None:
            return
        if count > self._left:
            raise OutputError(
                "a WAV file ends at 4 GiB",
                who=self.who,
                fix="write to a file that ends in .flac, which has no such limit",
            )
        self._left -= count

    def _check_sink(self) -> None:
        if self._sink.error is not None:
            raise OutputError(
                f"writing failed ({self._sink.error.strerror or self._sink.error})",
                who=self.who,
                fix="free some disk space, or choose another folder",
            ) from self._sink.error
