"""Checks of what a provider's hooks hand out, chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np

from realtts.contract.types import Chunk, Mark, VoiceInfo
from realtts.errors import InvalidChunk, InvalidPlugin

__all__ = ["check_chunk", "check_row", "check_voices"]


def check_chunk(chunk: Any, rates: tuple[int, ...], rate: int | None, who: str, text_length: int) -> Chunk:
    """Return the chunk itself if it keeps the contract.

    Args:
        chunk: What the provider yielded.
        rates: The spec's sample rates.
        rate: Rate of the request's earlier chunks, None for the first.
        who: Provider and variant, for the message.
        text_length: Length of the request's text, which marks must lie in.

    Raises:
        InvalidChunk: A field of a wrong type, dtype, shape or value, or samples that are not finite.
    """
    if not isinstance(chunk, Chunk):
        raise _fault(f"generate yielded {type(chunk).__name__}", who, "yield realtts.Chunk(samples, sample_rate)")
    samples: Any = chunk.samples  # types say nothing of what a plugin really yields
    chunk_rate: Any = chunk.sample_rate
    if not isinstance(samples, np.ndarray):
        raise _fault(f"samples is {type(samples).__name__}", who, "convert it to a numpy array of float32")
    if samples.dtype != np.float32:
        raise _fault(f"samples has dtype {samples.dtype}", who, "convert it with .astype(numpy.float32)")
    if samples.ndim != 1:
        raise _fault(f"samples has shape {samples.shape}", who, "yield mono audio of shape (n,)")
    if not isinstance(chunk_rate, int) or chunk_rate not in rates:
        raise _fault(f"the sample rate {chunk_rate!r} is not in the spec", who, f"yield one of {rates}")
    if rate is not None and chunk.sample_rate != rate:
        raise _fault(f"the sample rate changed from {rate} to {chunk.sample_rate}", who, "keep one rate per request")
    if not np.isfinite(samples).all():
        raise _fault("the samples hold NaN or infinity (not finite)", who, "run the unstable part in float32")
    _check_rest(chunk, who, text_length)
    return chunk


def _check_rest(chunk: Any, who: str, text_length: int) -> None:
    """Check the fields beside the audio."""
    if not (isinstance(chunk.marks, tuple) and all(_is_mark(mark, text_length) for mark in chunk.marks)):
        raise _fault(f"marks is {chunk.marks!r:.80}", who, "yield a tuple of realtts.Mark inside the request's text")
    if not _is_index(chunk.tokens):
        raise _fault(f"tokens is {chunk.tokens!r}", who, "yield the number of tokens since the last chunk")
    if not _is_index(chunk.retries):
        raise _fault(f"retries is {chunk.retries!r}", who, "yield how many parts were spoken again")
    if chunk.finish_reason not in {None, "stop", "length", "cancelled"}:
        raise _fault(f"finish_reason is {chunk.finish_reason!r}", who, "yield None, 'stop' or 'length'")
    if not (isinstance(chunk.warnings, tuple) and all(isinstance(warning, str) for warning in chunk.warnings)):
        raise _fault(f"warnings is {chunk.warnings!r:.80}", who, "yield a tuple of sentences")


def _is_index(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and bool(value >= 0)


def _is_mark(mark: Any, text_length: int) -> bool:
    return (
        isinstance(mark, Mark)
        and 0 <= mark.start <= mark.end < float("inf")
        and 0 <= mark.span[0] <= mark.span[1] <= text_length
    )


def check_voices(voices: Any, who: str) -> tuple[VoiceInfo, ...]:
    """Check what the hook `voices` returned, and return it as a tuple.

    Raises:
        InvalidPlugin: It is not a sequence of `VoiceInfo`.
    """
    checked = tuple(voices or ())
    for voice in checked:
        if not isinstance(voice, VoiceInfo):
            raise InvalidPlugin(
                f"voices returned {type(voice).__name__}", who=who, fix="return realtts.VoiceInfo objects"
            )
    return checked


def check_row(item: Any, rows: int, who: str) -> tuple[int, Any]:
    """Check one item of `generate_batch`, and return its index and chunk.

    Raises:
        InvalidChunk: Not a pair, or an index outside the batch.
    """
    if isinstance(item, tuple) and len(item) == 2 and _is_index(item[0]) and item[0] < rows:
        return int(item[0]), item[1]
    raise _fault(f"generate_batch yielded {item!r:.60}", who, f"yield (index from 0 to {rows - 1}, Chunk)")


def _fault(what: str, who: str, fix: str) -> InvalidChunk:
    return InvalidChunk(what, who=who, fix=fix)
