"""The plain variant: upstream's own classes and loop in float32, one request after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract import timing
from realtts.contract.hooks import hookimpl
from realtts.contract.stages import Cancelled
from realtts.contract.types import Chunk
from realtts_chatterbox.constants import RATE
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.loading import Weights, fetch, open_checkpoint
from realtts_chatterbox.reference import Upstream
from realtts_chatterbox.upstream import load_upstream
from realtts_chatterbox.utterance import STOP, heard
from realtts_chatterbox.voices import listed, voice_of
from realtts_chatterbox.watermark import Watermarker, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason, Request, VoiceInfo
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask

__all__ = ["Plain", "PlainModel", "asked"]


@dataclass
class PlainModel:
    """The model that `load` returns.

    Attributes:
        weights: The checkpoint.
        networks: Upstream's; None after `unload`.
        watermarker: Upstream's; None after `unload`.
    """

    weights: Weights
    networks: Upstream | None
    watermarker: Watermarker | None


class Plain:
    """The hooks of the plain variant."""

    @hookimpl
    def load(self, context: Context) -> PlainModel:
        """Read the checkpoint into upstream's networks, and the watermarker."""
        load_upstream()  # what is missing is told before anything is downloaded
        watermarker = Watermarker()
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        return PlainModel(weights, Upstream(weights, context.device), watermarker)

    @hookimpl
    def warmup(self, context: Context, model: PlainModel) -> None:
        """Warm up the watermarker, whose first call compiles code; upstream's networks need no warm-up."""
        assert model.watermarker is not None, "used after unload"
        model.watermarker.warm_up()

    @hookimpl
    def generate(self, context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
        """Speak a request in one chunk: upstream has no streaming."""
        assert model.networks is not None, "used after unload"
        return _spoken(context, model, request)

    @hookimpl
    def voices(self, context: Context, model: PlainModel) -> Sequence[VoiceInfo]:
        """List the voice that the checkpoint brings."""
        return listed(model.weights.builtin)

    @hookimpl
    def unload(self, context: Context, model: PlainModel) -> None:
        """Free the weights, whoever still holds the model."""
        model.networks = model.watermarker = None


def asked(context: Context, model: PlainModel, request: Request) -> tuple[Ask, Conditionals]:
    """Return a request in the model's terms, and its voice."""
    networks = model.networks
    assert networks is not None, "used after unload"
    ask = prepare(context, model.weights, request)
    return ask, voice_of(context, request, model.weights, lambda: networks.encoders)


def _spoken(context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
    networks = model.networks
    assert networks is not None
    ask, voice = asked(context, model, request)
    try:
        with timing.timed(context, "t3", dtype="float32") as work:
            drawn = networks.draw(ask, voice, request.cancelled)
            work.add(steps=len(drawn))
        tokens = heard(drawn)
        samples = _sound(context, networks, ask, voice, tokens, request.cancelled)
    except Cancelled:
        return
    samples = marked(context, model.watermarker, ask, samples)
    reason: FinishReason = "stop" if not ask.forced and STOP in drawn else "length"
    yield Chunk(samples, RATE, tokens=len(tokens), finish_reason=reason, warnings=ask.warnings, unread=ask.unread)


def _sound(  # noqa: PLR0917 - private, called in this file
    context: Context,
    networks: Upstream,
    ask: Ask,
    voice: Conditionals,
    tokens: Sequence[int],
    cancelled: Callable[[], bool],
) -> NDArray[np.float32]:
    """Compute the samples of speech tokens, before the watermark: float32 (n,)."""
    if not tokens:
        return np.zeros(0, np.float32)
    with timing.timed(context, "flow", steps=ask.steps, dtype="float32"):
        mel = networks.mel(ask, voice, tokens, cancelled)
    if cancelled():
        raise Cancelled
    with timing.timed(context, "vocoder", steps=1, dtype="float32"):
        return networks.samples(ask, voice, mel)
