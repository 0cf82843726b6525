"""Checks of what a provider's `generate` and `generate_batch` yield, chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np

from realtts.errors import InvalidChunk
from realtts.speech import Chunk

__all__ = ["check_chunk", "check_row"]


def check_chunk(chunk: Any, rates: tuple[int, ...], rate: int | None, who: str) -> Chunk:
    """The chunk itself, if it keeps the contract.

    Args:
        chunk: What the provider yielded.
        rates: The spec's sample rates.
        rate: Rate of the request's earlier chunks, None for the first.
        who: Provider and variant, for the message.

    Raises:
        InvalidChunk: Wrong type, dtype, shape or rate, or samples that are not finite.
    """
    if not isinstance(chunk, Chunk):
        raise _fault(f"generate yielded {type(chunk).__name__}", who, "yield realtts.Chunk(samples, sample_rate)")
    samples = chunk.samples
    if not isinstance(samples, np.ndarray):
        raise _fault(f"samples is {type(samples).__name__}", who, "convert it to a numpy array of float32")
    if samples.dtype != np.float32:
        raise _fault(f"samples has dtype {samples.dtype}", who, "convert it with .astype(numpy.float32)")
    if samples.ndim != 1:
        raise _fault(f"samples has shape {samples.shape}", who, "yield mono audio of shape (n,)")
    if chunk.sample_rate not in rates:
        raise _fault(f"the sample rate {chunk.sample_rate} is not in the spec", who, f"yield one of {rates}")
    if rate is not None and chunk.sample_rate != rate:
        raise _fault(f"the sample rate changed from {rate} to {chunk.sample_rate}", who, "keep one rate per request")
    if not np.isfinite(samples).all():
        raise _fault("the samples hold NaN or infinity (not finite)", who, "run the unstable part in float32")
    return chunk


def check_row(item: Any, rows: int, who: str) -> tuple[int, Any]:
    """The index and chunk of one item of `generate_batch`.

    Raises:
        InvalidChunk: Not a pair, or an index outside the batch.
    """
    if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], int) and 0 <= item[0] < rows):
        raise _fault(f"generate_batch yielded {type(item).__name__}", who, f"yield (index from 0 to {rows - 1}, Chunk)")
    return item


def _fault(what: str, who: str, fix: str) -> InvalidChunk:
    return InvalidChunk(what, who=who, fix=fix)
