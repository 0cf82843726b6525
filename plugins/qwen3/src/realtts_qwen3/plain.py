"""The plain variant: qwen-tts itself in float32 where it is installed, else our networks in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract import timing
from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts.contract.stages import Cancelled
from realtts.contract.types import Chunk
from realtts_qwen3.constants import RATE
from realtts_qwen3.frontend import prepare, utterance_of
from realtts_qwen3.loading import fetch, open_checkpoint
from realtts_qwen3.ported import PortedNetworks
from realtts_qwen3.reference import Upstream
from realtts_qwen3.upstream import load_upstream, why_not
from realtts_qwen3.voices import listed, prompt_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason, Request, VoiceInfo
    from realtts_qwen3.frontend import Ask
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.utterance import Utterance

__all__ = ["Plain", "PlainModel", "asked"]


@dataclass
class PlainModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        networks: Upstream's or ours; None after `unload`.
    """

    weights: Weights
    networks: Upstream | PortedNetworks | None


class Plain:
    """The hooks."""

    @hookimpl
    def load(self, context: Context) -> PlainModel:
        """Read the checkpoint; the status tells into whose networks, and why."""
        if (reason := why_not()) is None:
            load_upstream()  # before a download: what cannot be imported is an error at once
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        networks = (Upstream if reason is None else PortedNetworks)(weights, context.device)
        details = {"networks": "qwen-tts"} if reason is None else {"networks": "realtts-qwen3", "why": reason}
        context.report(Event("optimization.details", data={**details, "attention": networks.attention}))
        return PlainModel(weights, networks)

    @hookimpl
    def generate(self, context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
        """Speak the request in one chunk."""
        assert model.networks is not None, "used after unload"
        ask, utterance = asked(context, model, request)
        try:
            with timing.timed(context, "talker", dtype="float32") as work:
                codes, ended = model.networks.draw(utterance, request.cancelled)
                work.add(steps=len(codes))
        except Cancelled:
            return
        if request.cancelled():
            return
        with timing.timed(context, "codec", steps=len(codes), dtype="float32"):
            samples = model.networks.samples(codes, utterance.codes)
        reason: FinishReason = "stop" if ended else "length"
        yield Chunk(samples, RATE, tokens=len(codes), finish_reason=reason, warnings=ask.warnings, unread=ask.unread)

    @hookimpl
    def voices(self, context: Context, model: PlainModel) -> Sequence[VoiceInfo]:
        """List the checkpoint's speakers."""
        return listed(model.weights.sizes)

    @hookimpl
    def unload(self, context: Context, model: PlainModel) -> None:
        """Drop the weights, whoever still holds the model."""
        model.networks = None


def asked(context: Context, model: PlainModel, request: Request) -> tuple[Ask, Utterance]:
    """Return a request in the model's terms, and as the talker takes it, with its voice encoded."""
    assert model.networks is not None, "used after unload"
    ask, prompt = prepare(context, model.weights, request), None
    if ask.voice is not None:
        prompt = prompt_of(context, ask.voice, model.networks, weights=model.weights.identity)
    return ask, utterance_of(ask, prompt)
