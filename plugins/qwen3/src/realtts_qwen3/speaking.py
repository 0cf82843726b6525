"""Speaking by the optimized variant: whole requests together, or one as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.types import Chunk
from realtts_qwen3.constants import RATE
from realtts_qwen3.engine import Job, growing_sizes
from realtts_qwen3.model import asked
from realtts_qwen3.voices import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason, Request
    from realtts_qwen3.frontend import Ask
    from realtts_qwen3.model import OptimizedModel
    from realtts_qwen3.utterance import Utterance

__all__ = ["live", "whole"]


def whole(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Speak requests together, each yielded as one chunk when it has ended."""
    assert model.engine is not None, "used after unload"
    pairs = [asked(context, model, request) for request in requests]
    jobs = [_job(model, request, *pair) for request, pair in zip(requests, pairs, strict=True)]
    pieces: list[list[NDArray[np.float32]]] = [[] for _ in requests]
    counts = [0] * len(requests)
    for row, samples, frames, reason in model.engine.speak(context, jobs):
        pieces[row].append(samples)
        counts[row] += frames
        if reason is not None:
            yield row, _chunk(pairs[row][0], np.concatenate(pieces[row]), counts[row], reason)
            pieces[row] = []


def live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    """Speak one request as a stream, whose chunks grow."""
    assert model.engine is not None, "used after unload"
    ask, utterance = asked(context, model, request)
    sizes = growing_sizes(ask.chunk_frames, ask.chunk_growth, ask.max_chunk_frames)
    job = _job(model, request, ask, utterance, sizes=sizes)
    for _, samples, frames, reason in model.engine.speak(context, [job]):
        yield _chunk(ask, samples, frames, reason)


def _job(
    model: OptimizedModel,
    request: Request,
    ask: Ask,
    utterance: Utterance,
    *,
    sizes: Iterator[int] | None = None,
) -> Job:
    """Begin a request's decoding: behind its recording, where the talker has that in its past."""
    assert model.engine is not None
    codec = model.engine.codec
    if ask.voice is not None and utterance.codes is not None:
        with model.engine.turns.use("codec"):
            weights = model.weights.identity
            state = state_of(ask.voice, utterance.codes, codec, weights=weights, cache=model.voices)
    else:
        state = codec.start()
    return Job(utterance, state, request.cancelled, sizes)


def _chunk(ask: Ask, samples: NDArray[np.float32], frames: int, reason: FinishReason | None) -> Chunk:
    warnings, unread = (ask.warnings, ask.unread) if reason else ((), ())
    return Chunk(samples, RATE, tokens=frames, finish_reason=reason, warnings=warnings, unread=unread)
