"""Chunks into one speech: each fades into the next, as upstream's ``infer_batch_process`` joins them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.contract.stages import Cancelled
from realtts.contract.types import Chunk
from realtts_f5.constants import RATE
from realtts_f5.upstream import module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from realtts_f5.frontend import Ask, ChunkPlan

__all__ = ["CrossFade", "spoken", "without_silence"]


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
        self._held: NDArray[np.floating[Any]] = np.zeros(0, np.float32)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is settled once this chunk is known, float32 of shape (n,)."""
        overlap = min(self._most, len(self._held), len(samples))
        if overlap:
            faded = self._held[-overlap:] * np.linspace(1, 0, overlap) + samples[:overlap] * np.linspace(0, 1, overlap)
            joined = np.concatenate([self._held[:-overlap], faded, samples[overlap:]])
        else:
            joined = np.concatenate([self._held, samples])
        settled = len(joined) - min(self._most, len(joined))
        self._held = joined[settled:]
        return np.asarray(joined[:settled], np.float32)

    def finish(self) -> NDArray[np.float32]:
        """What was withheld."""
        held, self._held = self._held, np.zeros(0, np.float32)
        return np.asarray(held, np.float32)


def spoken(ask: Ask, sound: Callable[[ChunkPlan], NDArray[np.float32]]) -> Iterator[Chunk]:
    """The chunks of a request joined, whoever makes their sound.

    Args:
        ask: Of the request.
        sound: Makes float32 samples of a chunk; may raise `Cancelled`, which ends the speech.
    """
    joined = CrossFade(ask.cross_fade, RATE)
    whole: list[NDArray[np.float32]] = []
    tokens, warnings = 0, ask.warnings
    for chunk in ask.chunks:
        try:
            samples = joined.push(sound(chunk))
        except Cancelled:
            return
        tokens += chunk.frames - ask.reference.hops
        if chunk is ask.chunks[-1]:
            samples = np.concatenate([samples, joined.finish()])
        if ask.remove_silence:  # which is only known of the whole
            whole.append(samples)
        elif len(samples):
            last = chunk is ask.chunks[-1]
            yield Chunk(samples, RATE, tokens=tokens, finish_reason="stop" if last else None, warnings=warnings)
            tokens, warnings = 0, ()
    if whole:
        samples = without_silence(np.concatenate(whole), RATE)
        yield Chunk(samples, RATE, tokens=tokens, finish_reason="stop", warnings=warnings)


def without_silence(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Silences of more than a second cut down to one, as upstream's ``remove_silence_for_generated_wav``.

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
    kept = pydub.silence.split_on_silence(
        whole, min_silence_len=1000, silence_thresh=-50, keep_silence=500, seek_step=10
    )
    if not kept:
        return samples
    content = b"".join(piece.raw_data for piece in kept)
    values: NDArray[np.float32] = np.frombuffer(content, np.int16).astype(np.float32) / np.float32(32768)
    return values
