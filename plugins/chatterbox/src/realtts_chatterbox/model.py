"""What the optimized variant holds, and what a request wants of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.offload.sharing import Turns
from realtts.accel.rungs import attention_beside, attention_of
from realtts.contract.events import Event
from realtts.contract.types import Request
from realtts_chatterbox.building import encoders_of
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.constants import MELS
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.sizes import HEAD_SIZE
from realtts_chatterbox.voices import voice_of

if TYPE_CHECKING:
    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts_chatterbox.building import Encoders
    from realtts_chatterbox.codec import Codec
    from realtts_chatterbox.engine import Engine
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.loading import Weights
    from realtts_chatterbox.watermark import Watermarker

__all__ = ["OptimizedModel", "asked", "short", "tell"]

_WARM_TEXT = "Warm up."
_WARM_TOKENS = 2


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        voices: Conditionals, in memory and on disk.
        watermarker: Of upstream; None after `unload`.
        encoders: What makes conditionals; read when a voice is first unknown.
        engine: Draws tokens; None before `convert_precision` and after `unload`.
        codec: Makes samples of them; None as `engine`.
        turns: Who of ``t3``, ``codec`` and ``encoders`` has the device.
    """

    weights: Weights
    voices: DiskVoiceCache
    watermarker: Watermarker | None
    encoders: Encoders | None = None
    engine: Engine | None = None
    codec: Codec | None = None
    turns: Turns = field(default_factory=Turns)


def asked(context: Context, model: OptimizedModel, request: Request) -> tuple[Ask, Conditionals]:
    """A request in the model's terms, and its voice."""
    return prepare(context, model.weights, request), _voice_of(context, model, request)


def short(context: Context, weights: Weights) -> tuple[Ask, Conditionals]:
    """As little as can be spoken, and in whose voice: for the warm-up."""
    ask = prepare(context, weights, Request(_WARM_TEXT))
    few = replace(ask, least=_WARM_TOKENS, most=_WARM_TOKENS, forced=True, steps=1)
    return few, weights.builtin or _nobody()


def tell(context: Context, model: OptimizedModel) -> None:
    """What runs, for the status."""
    assert model.engine is not None
    assert model.codec is not None
    details = {
        **model.engine.details,
        "flow_dtype": context.dtype,
        **attention_beside(context, model.codec.dtype, HEAD_SIZE, graphs=model.codec.graphed),
        "t3_attention": attention_of(context, model.engine.t3.decoder).chosen,
        "compile": False,  # nothing is: what is fused is fused by hand
        **model.turns.details,
    }
    context.report(Event("optimization.details", data=details))


def _voice_of(context: Context, model: OptimizedModel, request: Request) -> Conditionals:
    """The conditionals of the request's voice; the networks that make them are read when one is first unknown."""
    with contextlib.ExitStack() as while_needed:

        def encoders() -> Encoders:
            if model.encoders is None:
                model.turns.clear()
                model.encoders = encoders_of(model.weights, context.device)
                model.turns.add("encoders", model.encoders)
            while_needed.enter_context(model.turns.use("encoders"))
            return model.encoders

        found = voice_of(context, request, model.weights, encoders, cache=model.voices)
    if context.settings.cpu_offload and not model.turns.offloaded:
        model.encoders = None
    return found


def _nobody() -> Conditionals:
    """A voice of the right shapes, for a checkpoint that brings none."""
    tokens = torch.zeros(1, 25, dtype=torch.int64)
    return Conditionals(
        speaker=torch.zeros(1, 256),
        t3_tokens=tokens,
        tokens=tokens,
        mel=torch.zeros(1, 50, MELS),
        embedding=torch.zeros(1, 192),
    )
