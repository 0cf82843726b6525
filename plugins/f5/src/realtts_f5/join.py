"""Chunks into one speech: each fades into the next, as upstream's ``infer_batch_process`` joins them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.audio import Joiner
from realtts.contract.stages import Cancelled
from realtts.contract.types import Chunk
from realtts_f5.constants import RATE
from realtts_f5.upstream import module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from realtts.contract.types import FinishReason
    from realtts_f5.frontend import Ask, ChunkPlan

__all__ = ["CrossFade", "EndToEnd", "Speech", "spoken", "without_silence"]


class CrossFade:
    """Joins chunks that come one after the other; the last stretch is withheld until its successor is there.

    What `push` and `finish` return, put together, is upstream's result of all chunks, in float32.

    Args:
        seconds: How long two chunks overlap; 0 puts them end to end.
        rate: Sample rate in Hz.
    """

    def __init__(self, seconds: float, rate: int) -> None:
        self._most = int(seconds * rate)
        # Upstream's fades are float64, and what has faded may fade again: rounded once, at the end.
        self._withheld: NDArray[np.floating[Any]] = np.zeros(0, np.float32)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add a chunk, and return the samples that no later chunk changes, float32 of shape (n,)."""
        overlap = min(self._most, len(self._withheld), len(samples))
        if overlap:
            fade_in, fade_out = np.linspace(0, 1, overlap), np.linspace(1, 0, overlap)
            faded = self._withheld[-overlap:] * fade_out + samples[:overlap] * fade_in
            joined = np.concatenate([self._withheld[:-overlap], faded, samples[overlap:]])
        else:
            joined = np.concatenate([self._withheld, samples])
        settled = len(joined) - min(self._most, len(joined))
        self._withheld = joined[settled:]
        return np.asarray(joined[:settled], np.float32)

    def finish(self) -> NDArray[np.float32]:
        """Return the samples that were withheld."""
        withheld, self._withheld = self._withheld, np.zeros(0, np.float32)
        return np.asarray(withheld, np.float32)


class EndToEnd:
    """Joins chunks that do not overlap: each ends and begins with a fade too short to be heard, so that none clicks.

    Args:
        rate: Sample rate in Hz.
        chunks: How many there are; one alone is left as it is.
    """

    def __init__(self, rate: int, chunks: int) -> None:
        self._joiner = Joiner(rate, alone=chunks == 1)
        self._begun = False

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add a chunk, and return the samples that no later chunk changes, float32 of shape (n,)."""
        before = [self._joiner.end_piece()] if self._begun else []
        self._begun = True
        return np.concatenate([*before, self._joiner.push(samples)])

    def finish(self) -> NDArray[np.float32]:
        """Return the samples that were withheld."""
        return self._joiner.finish()


class Speech:
    """The chunks of a request, joined as they come in order.

    Args:
        ask: Of the request.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        overlaps = int(ask.cross_fade * RATE) > 0
        self._joined = CrossFade(ask.cross_fade, RATE) if overlaps else EndToEnd(RATE, len(ask.chunks))
        self._whole: list[NDArray[np.float32]] = []
        self._tokens, self._warnings, self._unread = 0, ask.warnings, ask.unread

    def push(self, chunk: ChunkPlan, samples: NDArray[np.float32]) -> Chunk | None:
        """Add a chunk's samples, float32 of shape (n,), and return what can be heard now, if anything."""
        last = chunk is self._ask.chunks[-1]
        samples = self._joined.push(samples)
        self._tokens += chunk.frames - self._ask.reference.hops
        if last:
            samples = np.concatenate([samples, self._joined.finish()])
        if self._ask.remove_silence:  # silences are only known in the whole
            self._whole.append(samples)
            return self._heard(without_silence(np.concatenate(self._whole), RATE), last=True) if last else None
        return self._heard(samples, last=last) if len(samples) else None

    def _heard(self, samples: NDArray[np.float32], *, last: bool) -> Chunk:
        reason: FinishReason | None = "stop" if last else None
        tokens, warnings, unread = self._tokens, self._warnings, self._unread
        self._tokens, self._warnings, self._unread = 0, (), ()
        return Chunk(samples, RATE, tokens=tokens, finish_reason=reason, warnings=warnings, unread=unread)


def spoken(ask: Ask, sound: Callable[[ChunkPlan], NDArray[np.float32]]) -> Iterator[Chunk]:
    """Join the chunks of a request, one after the other.

    Args:
        ask: Of the request.
        sound: Makes float32 samples of a chunk; may raise `Cancelled`, which ends the speech.
    """
    speech = Speech(ask)
    for chunk in ask.chunks:
        try:
            made = speech.push(chunk, sound(chunk))
        except Cancelled:
            return
        if made is not None:
            yield made


def without_silence(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Cut silences of more than a second down to one, as upstream's ``remove_silence_for_generated_wav``.

    As there, the samples go through 16 bits, in which pydub finds what is silent.

    Args:
        samples: float32 of shape (n,).
        rate: Sample rate in Hz.

    Returns:
        float32 of shape (m,); the samples as they were if all of them are silent.
    """
    import soundfile

    pydub = module("pydub")
    memory = io.BytesIO()
    soundfile.write(memory, samples, rate, format="WAV", subtype="PCM_16")
    memory.seek(0)
    narrow, _ = soundfile.read(memory, dtype="int16")
    whole = pydub.AudioSegment(narrow.tobytes(), sample_width=2, frame_rate=rate, channels=1)
    stretches = pydub.silence.split_on_silence(
        whole, min_silence_len=1000, silence_thresh=-50, keep_silence=500, seek_step=10
    )
    if not stretches:
        return samples
    content = b"".join(piece.raw_data for piece in stretches)
    values: NDArray[np.float32] = np.frombuffer(content, np.int16).astype(np.float32) / np.float32(32768)
    return values
