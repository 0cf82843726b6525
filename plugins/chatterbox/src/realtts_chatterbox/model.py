"""What the optimized variant holds, and whose voice a request is spoken in."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from realtts.accel.turns import Turns
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.loading import read_encoders
from realtts_chatterbox.voices import resolve_voice

if TYPE_CHECKING:
    from realtts.accel.voice_cache import DiskVoiceCache
    from realtts.checkpoints import Files
    from realtts.context import Context
    from realtts.speech import Request
    from realtts_chatterbox.codec import Codec
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.engine import Engine
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.loading import Encoders
    from realtts_chatterbox.text import TextReader
    from realtts_chatterbox.watermark import Watermarker

__all__ = ["OptimizedModel", "asked"]


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        kind: ``"english"``, ``"multilingual"`` or ``"turbo"``.
        files: Of the checkpoint.
        weights: `realtts_chatterbox.loading.encoders_identity`.
        reader: Text to ids.
        builtin: The built-in voice, if the checkpoint has one.
        watermarker: Of upstream.
        voices: Conditionals, in memory and on disk.
        encoders: What makes conditionals; read when a voice is first unknown.
        engine: Draws tokens; None before `convert_precision` and after `unload`.
        codec: Makes samples of them; None as `engine`.
        turns: Who of ``t3``, ``codec`` and ``encoders`` has the device.
    """

    kind: str
    files: Files
    weights: str
    reader: TextReader
    builtin: Conditionals | None
    watermarker: Watermarker | None
    voices: DiskVoiceCache
    encoders: Encoders | None = None
    engine: Engine | None = None
    codec: Codec | None = None
    turns: Turns = field(default_factory=Turns)


def asked(context: Context, model: OptimizedModel, request: Request) -> tuple[Ask, Conditionals]:
    """A request in the model's terms, and its voice."""
    return prepare(context, model.reader, request), _voice_of(context, model, request)


def _voice_of(context: Context, model: OptimizedModel, request: Request) -> Conditionals:
    """The conditionals of the request's voice; the networks that make them are read when one is first unknown."""
    with contextlib.ExitStack() as while_needed:

        def encoders() -> Encoders:
            if model.encoders is None:
                model.turns.clear()
                model.encoders = read_encoders(model.files, model.kind, context.device)
                model.turns.add("encoders", model.encoders)
            while_needed.enter_context(model.turns.use("encoders"))
            return model.encoders

        found = resolve_voice(
            context, request, model.kind, encoders, model.builtin, weights=model.weights, cache=model.voices
        )
    if context.settings.cpu_offload and not model.turns.offloaded:
        model.encoders = None
    return found
