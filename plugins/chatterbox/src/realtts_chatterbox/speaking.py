"""Requests spoken by the optimized variant: as wholes, or while somebody listens."""

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
    """Requests spoken as wholes: all tokens of all first, then the sound of each."""
    assert model.engine is not None, "used after unload"
    assert model.codec is not None, "used after unload"
    asks, voices = zip(*(asked(context, model, request) for request in requests), strict=True)
    cancelled = [request.cancelled for request in requests]
    tokens: list[list[int]] = [[] for _ in requests]
    reasons: list[FinishReason | None] = [None] * len(requests)
    for row, new, reason in model.turns.each("t3", model.engine.decode(context, asks, voices, cancelled)):
        tokens[row] += heard(new)
        reasons[row] = reason
    counts = [len(found) for found in tokens]
    for row, reason in enumerate(reasons):
        if reason is None or cancelled[row]():  # cancelled: nothing more of it is computed
            tokens[row] = []
        elif not tokens[row]:
            yield row, _chunk(context, model, asks[row], np.zeros(0, np.float32), reason, 0)

    def nobody_waits() -> bool:
        return all(stopped() for stopped in cancelled)

    with contextlib.suppress(Cancelled):
        spoken = model.codec.whole(context, tokens, asks, voices, nobody_waits)
        for row, samples in model.turns.each("codec", spoken):
            yield row, _chunk(context, model, asks[row], _host(samples), reasons[row], counts[row])


def live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    """One request as a stream: each chunk as soon as the flow has seen a little beyond it."""
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
            said = [*tokens, *(model.codec.ending() if final else ())]
            samples = stream.push(said, final=final)
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
    return Chunk(samples, RATE, tokens=tokens, finish_reason=reason, warnings=ask.warnings if reason else ())


def _host(samples: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = samples.float().cpu().numpy()
    return found
