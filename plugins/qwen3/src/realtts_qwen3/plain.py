"""The plain variant: qwen-tts itself in float32 where it is installed, else networks of our own, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from realtts import stages
from realtts.events import Event
from realtts.hookspecs import hookimpl
from realtts.speech import Chunk
from realtts_qwen3.frontend import prepare
from realtts_qwen3.loading import fetch, open_checkpoint
from realtts_qwen3.reference import Cancelled, Upstream
from realtts_qwen3.upstream import why_not
from realtts_qwen3.voices import RATE, Encoders, listed, prompt_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.context import Context
    from realtts.speech import FinishReason, Request, VoiceInfo
    from realtts_qwen3.frontend import Ask
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.voices import VoicePrompt

__all__ = ["Networks", "Plain", "PlainModel"]


class Networks(Encoders, Protocol):
    """A checkpoint that speaks, one request at a time."""

    def draw(self, ask: Ask, prompt: VoicePrompt | None, cancelled: Callable[[], bool]) -> tuple[Tensor, bool]:
        """Frames int64 (n, 16), and whether the end was drawn."""

    def samples(self, codes: Tensor, before: Tensor | None) -> NDArray[np.float32]:
        """The sound of frames, float32 (1920 n,), behind those of a recording."""


@dataclass
class PlainModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        networks: None after `unload`.
    """

    weights: Weights
    networks: Networks | None


class Plain:
    """The hooks."""

    @hookimpl
    def load(self, context: Context) -> PlainModel:
        """Read the checkpoint; the status says whose networks it is read into, and why."""
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        reason = why_not()
        details = {"networks": "qwen-tts"} if reason is None else {"networks": "realtts-qwen3", "why": reason}
        context.report(Event("optimization.details", data=details))
        return PlainModel(weights, _networks(weights, context.device, reason))

    @hookimpl
    def generate(self, context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
        """The whole request in one chunk."""
        assert model.networks is not None, "used after unload"
        ask = prepare(context, model.weights, request)
        prompt = (
            None if ask.voice is None else prompt_of(context, ask.voice, model.networks, weights=model.weights.identity)
        )
        try:
            with stages.timed(context, "talker", dtype="float32") as work:
                codes, ended = model.networks.draw(ask, prompt, request.cancelled)
                work.add(steps=len(codes))
        except Cancelled:
            return
        if request.cancelled():
            return
        before = prompt.codes if prompt is not None and ask.reference else None
        with stages.timed(context, "codec", steps=len(codes), dtype="float32"):
            samples = model.networks.samples(codes, before)
        reason: FinishReason = "stop" if ended else "length"
        yield Chunk(samples, RATE, tokens=len(codes), finish_reason=reason, warnings=ask.warnings)

    @hookimpl
    def voices(self, context: Context, model: PlainModel) -> Sequence[VoiceInfo]:
        """The speakers of the checkpoint, if it has some."""
        return listed(model.weights.sizes)

    @hookimpl
    def unload(self, context: Context, model: PlainModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.networks = None


def _networks(weights: Weights, device: str, reason: str | None) -> Networks:
    if reason is None:
        return Upstream(weights, device)
    from realtts_qwen3.own import Own

    return Own(weights, device)
