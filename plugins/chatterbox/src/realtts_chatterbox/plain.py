"""The plain variant: upstream's own classes and loop in float32, one request after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from realtts import stages
from realtts.hookspecs import hookimpl
from realtts.speech import Chunk
from realtts_chatterbox.flow import Cancelled
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.loading import Parts, fetch, read_parts
from realtts_chatterbox.noise import InjectedNoise, Noise
from realtts_chatterbox.reference import SILENCE, SOUNDS, STOP, draw, solver_watched
from realtts_chatterbox.upstream import quiet
from realtts_chatterbox.voices import RATE, listed, resolve_voice, to_upstream
from realtts_chatterbox.watermark import Watermarker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from realtts.context import Context
    from realtts.speech import FinishReason, Request, VoiceInfo
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask

__all__ = ["Plain", "PlainModel", "asked", "heard", "sound_of", "tokens_of"]


@dataclass
class PlainModel:
    """What `load` returns.

    Attributes:
        parts: Upstream's networks; None after `unload`.
        watermarker: Of upstream; None after `unload`.
    """

    parts: Parts | None
    watermarker: Watermarker | None


class Plain:
    """The hooks."""

    @hookimpl
    def load(self, context: Context) -> PlainModel:
        """Read the checkpoint, and the watermarker's own."""
        watermarker = Watermarker()
        kind, files = fetch(context.checkpoint, context.report)
        return PlainModel(read_parts(files, kind, context.device), watermarker)

    @hookimpl
    def warmup(self, context: Context, model: PlainModel) -> None:
        """Of the watermark alone, whose first call compiles code; upstream's networks need none."""
        assert model.watermarker is not None, "used after unload"
        model.watermarker.warm_up()

    @hookimpl
    def generate(self, context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
        """The whole request in one chunk: upstream hands nothing over before it has all."""
        assert model.parts is not None, "used after unload"
        ask, voice = asked(context, model.parts, request)
        try:
            with stages.timed(context, "t3", dtype="float32") as work:
                drawn = tokens_of(context, model.parts, ask, voice, request.cancelled)
                work.add(steps=len(drawn))
            tokens = heard(drawn)
            samples = sound_of(context, model.parts, ask, voice, tokens, cancelled=request.cancelled)
        except Cancelled:
            return
        if ask.watermark and len(samples):
            assert model.watermarker is not None, "used after unload"
            with stages.timed(context, "watermark", dtype="float32"):
                samples = model.watermarker(samples, RATE)
        reason: FinishReason = "stop" if not ask.forced and STOP in drawn else "length"
        yield Chunk(samples, RATE, tokens=len(tokens), finish_reason=reason, warnings=ask.warnings)

    @hookimpl
    def voices(self, context: Context, model: PlainModel) -> Sequence[VoiceInfo]:
        """The one that comes with the checkpoint, if it does."""
        assert model.parts is not None, "used after unload"
        return listed(model.parts.builtin)

    @hookimpl
    def unload(self, context: Context, model: PlainModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.parts = model.watermarker = None


def asked(context: Context, parts: Parts, request: Request) -> tuple[Ask, Conditionals]:
    """A request in the model's terms, and its voice."""
    voice = resolve_voice(context, request, parts.kind, lambda: parts.encoders, parts.builtin, weights=parts.weights)
    return prepare(context, parts.tokenizer, request), voice


def tokens_of(
    context: Context, parts: Parts, ask: Ask, voice: Conditionals, cancelled: Callable[[], bool]
) -> list[int]:
    """All that T3 draws, the end included.

    Raises:
        Cancelled: The request was cancelled.
    """
    condition, _ = to_upstream(voice, ask.exaggeration, context.device)
    return draw(parts.t3, condition, ask, cancelled)


def heard(drawn: Sequence[int]) -> list[int]:
    """What is spoken of the tokens that were drawn: up to the end, without what is no sound."""
    tokens = list(drawn[: drawn.index(STOP)] if STOP in drawn else drawn)
    return [token for token in tokens if token < SOUNDS]


@torch.inference_mode()
def sound_of(
    context: Context,
    parts: Parts,
    ask: Ask,
    voice: Conditionals,
    tokens: Sequence[int],
    *,
    cancelled: Callable[[], bool],
) -> NDArray[np.float32]:
    """Upstream's ``S3Gen.inference`` of speech tokens, its noise from the request's seed, before the watermark.

    Returns:
        float32 of shape (n,), 40 ms for each token.

    Raises:
        Cancelled: The request was cancelled.
    """
    if not tokens:
        return np.zeros(0, np.float32)
    s3gen = parts.s3gen
    _, gen = to_upstream(voice, ask.exaggeration, context.device)
    said = [*tokens, *SILENCE] if parts.kind == "turbo" else list(tokens)
    ids = torch.tensor([said], device=context.device)
    noise = InjectedNoise([Noise(ask.seed)], voice.mel.shape[1])
    with quiet(), noise, solver_watched(s3gen, cancelled):
        with stages.timed(context, "flow", steps=ask.steps, dtype="float32"):
            mel = s3gen.flow_inference(ids, ref_dict=gen, n_cfm_timesteps=ask.steps, finalize=True)
        if cancelled():
            raise Cancelled
        with stages.timed(context, "vocoder", steps=1, dtype="float32"):
            wave, _ = s3gen.hift_inference(mel)
            wave[:, : len(s3gen.trim_fade)] *= s3gen.trim_fade
            samples: NDArray[np.float32] = wave[0].float().cpu().numpy()
    return samples
