"""The optimized variant's model, and a request prepared for it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.rungs import attention_beside, attention_of
from realtts.accel.offload.sharing import DeviceSharing
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
    from realtts_chatterbox.watermark import Watermarker
    from realtts_chatterbox.weights import Weights

__all__ = ["OptimizedModel", "asked", "report_details", "short"]

_WARM_TEXT = "Warm up."
_WARM_TOKENS = 2


@dataclass
class OptimizedModel:
    """The model that `load` returns, and that the later stages complete.

    Attributes:
        weights: The checkpoint.
        voices: Cache of conditionals, in memory and on disk.
        watermarker: Upstream's; None after `unload`.
        engine: Draws speech tokens, once `compile` has packed it; None after `unload`.
        codec: Tokens to samples, once `convert_precision` has completed it; None after `unload`.
        encoders: The networks that make conditionals; read when a voice is first unknown.
        turns: Which of ``t3``, ``codec`` and ``encoders`` has the device, with offloading.
    """

    weights: Weights
    voices: DiskVoiceCache
    watermarker: Watermarker | None
    engine: Engine | None
    codec: Codec | None
    encoders: Encoders | None = None
    turns: DeviceSharing = field(default_factory=DeviceSharing)


def asked(context: Context, model: OptimizedModel, request: Request) -> tuple[Ask, Conditionals]:
    """Return a request in the model's terms, and its voice."""
    return prepare(context, model.weights, request), _voice_of(context, model, request)


def short(context: Context, weights: Weights) -> tuple[Ask, Conditionals]:
    """Return the shortest request there is, and a voice for it: for graphs and the warm-up."""
    ask = prepare(context, weights, Request(_WARM_TEXT))
    few = replace(ask, least=_WARM_TOKENS, most=_WARM_TOKENS, forced=True, steps=1)
    return few, weights.builtin or _placeholder_voice()


def report_details(context: Context, model: OptimizedModel) -> None:
    """Report what was done, read off the finished parts, for the status."""
    assert model.engine is not None
    assert model.codec is not None
    decoder = model.engine.t3.decoder
    details = {
        **model.engine.details,
        "flow_dtype": model.codec.precision,
        **attention_beside(context, model.codec.dtype, HEAD_SIZE, graphs=model.codec.graphed),
        **({"attention": kernel} if (kernel := model.codec.attention or "").startswith("native") else {}),
        "t3_attention": attention_of(context, decoder).chosen,
        **model.turns.details,
    }
    context.report(Event("optimization.details", data=details))


def _voice_of(context: Context, model: OptimizedModel, request: Request) -> Conditionals:
    """Return the conditionals of the request's voice; their networks are read when a voice is first unknown."""
    with contextlib.ExitStack() as while_needed:

        def encoders() -> Encoders:
            if model.encoders is None:
                model.turns.clear()
                model.encoders = encoders_of(model.weights, context.device)
                model.turns.add("encoders", model.encoders)
            while_needed.enter_context(model.turns.use("encoders"))
            return model.encoders

        voice = voice_of(context, request, model.weights, encoders, cache=model.voices)
    if context.settings.cpu_offload and not model.turns.offloaded:
        model.encoders = None  # where the device is the host, saving memory means reading them again
    return voice


def _placeholder_voice() -> Conditionals:
    """Return a voice of the right shapes, for a checkpoint that brings none."""
    tokens = torch.zeros(1, 25, dtype=torch.int64)
    return Conditionals(
        speaker=torch.zeros(1, 256),
        t3_tokens=tokens,
        tokens=tokens,
        mel=torch.zeros(1, 50, MELS),
        embedding=torch.zeros(1, 192),
    )
