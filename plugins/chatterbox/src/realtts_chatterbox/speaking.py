"""Speak requests with the optimized variant: whole, or as a stream."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.stages import Cancelled
from realtts.contract.types import Chunk
from realtts_chatterbox.constants import RATE
from realtts_chatterbox.model import asked
from realtts_chatterbox.utterance import heard
from realtts_chatterbox.watermark import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason, Request
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.model import OptimizedModel

__all__ = ["live", "whole"]


def whole(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Speak whole requests: first the tokens of all of them, then the sound of each."""
    assert model.engine is not None, "used after unload"
    assert model.codec is not None, "used after unload"
    asks, voices = zip(*(asked(context, model, request) for request in requests), strict=True)
    cancelled = [request.cancelled for request in requests]
    tokens: list[list[int]] = [[] for _ in requests]
    reasons: list[FinishReason | None] = [None] * len(requests)
    for row, new, reason in model.turns.each("t3", model.engine.decode(context, asks, voices, cancelled)):
        tokens[row] += heard(new)
        reasons[row] = reason
    counts = [len(drawn) for drawn in tokens]
    for row, reason in enumerate(reasons):
        if reason is None or cancelled[row]():  # a cancelled request gets no sound
            tokens[row] = []
        elif not tokens[row]:
            yield row, _chunk(context, model, asks[row], np.zeros(0, np.float32), reason, 0)

    def all_cancelled() -> bool:
        return all(is_cancelled() for is_cancelled in cancelled)

    with contextlib.suppress(Cancelled):
        spoken = model.codec.whole(context, tokens, asks, voices, all_cancelled)
        for row, samples in model.turns.each("codec", spoken):
            yield row, _chunk(context, model, asks[row], _host(samples), reasons[row], counts[row])


def live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    """Speak one request as a stream: each chunk as soon as the flow has its look-ahead."""
    assert model.engine is not None, "used after unload"
    assert model.codec is not None, "used after unload"
    ask, voice = asked(context, model, request)
    # Tokens come a few at a time, and most of them only wait: the codec takes its turn when it has enough.
    stream = model.codec.stream(context, ask, voice, request.cancelled, lambda: model.turns.use("codec"))
    counted = 0
    with contextlib.suppress(Cancelled):
        drawn = model.engine.decode(context, [ask], [voice], [request.cancelled])
        for _, new, reason in model.turns.each("t3", drawn):
            tokens = heard(new)
            counted += len(tokens)
            final = reason is not None
            samples = stream.push([*tokens, *(model.codec.ending() if final else ())], final=final)
            if len(samples) or final:
                yield _chunk(context, model, ask, _host(samples), reason, counted)
                counted = 0


def _chunk(  # noqa: PLR0917 - private, called in this file
    context: Context,
    model: OptimizedModel,
    ask: Ask,
    samples: NDArray[np.float32],
    reason: FinishReason | None,
    tokens: int,
) -> Chunk:
    samples = marked(context, model.watermarker, ask, samples)
    warnings, unread = (ask.warnings, ask.unread) if reason else ((), ())
    return Chunk(samples, RATE, tokens=tokens, finish_reason=reason, warnings=warnings, unread=unread)


def _host(samples: Tensor) -> NDArray[np.float32]:
    on_host: NDArray[np.float32] = samples.float().cpu().numpy()
    return on_host
