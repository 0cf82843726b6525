"""What the optimized variant holds, and what a request wants of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.accel.rungs import attention_of, precision_of
from realtts.contract.events import Event
from realtts.contract.types import Request
from realtts.errors import InputError
from realtts_vieneu.encoder import Encoder
from realtts_vieneu.frontend import prepare, utterances_of
from realtts_vieneu.voices import codes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts_vieneu.engine import Engine
    from realtts_vieneu.frontend import Ask
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.loading import Weights
    from realtts_vieneu.utterance import Utterance

__all__ = ["OptimizedModel", "asked", "engine_for", "head_of", "longest", "tell"]

_LONGEST = " và ".join(["tôi thích nghe những câu chuyện cổ tích trước khi đi ngủ"] * 4)
"""Nearly 256 characters, upstream's ``max_chars``, and one sentence."""


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        voices: Codes of recordings, in memory and on disk.
        engine: Speaks; None before `convert_precision` and after `unload`.
    """

    weights: Weights
    voices: DiskVoiceCache
    engine: Engine | None = None


def head_of(context: Context, speech_only: bool | None) -> HeadKind:
    """What can be drawn: speech alone, unless the rung is there for equality with plain."""
    if speech_only is None:
        speech_only = precision_of(context).weights != "fp32"
    return "speech" if speech_only else "full"


def asked(context: Context, model: OptimizedModel, request: Request) -> tuple[Ask, list[Utterance]]:
    """A request in the model's terms, its voice encoded."""
    ask = prepare(context, model.weights, request)
    codes: Sequence[int] = ask.codes
    if ask.voice is not None:
        weights = model.weights.identity
        codes = codes_of(context, ask.voice, _Encoder(context, model), weights=weights, cache=model.voices).tolist()
    return ask, utterances_of(model.weights, ask, codes)


def longest(context: Context, model: OptimizedModel) -> Utterance | None:
    """As long a sentence as a request is cut into, all else left to its defaults; None: the model has none.

    For what is captured before the first request.
    """
    try:
        return asked(context, model, Request(_LONGEST))[1][0]
    except InputError:  # there is no voice beside the weights, or nothing says how they are asked
        return None


def engine_for(context: Context, model: OptimizedModel, ask: Ask) -> Engine:
    """The engine as a request wants it."""
    assert model.engine is not None, "used after unload"
    if model.engine.choose(head_of(context, ask.speech_only), ask.codec_device):
        tell(context, model.engine)
    return model.engine


def tell(context: Context, engine: Engine) -> None:
    """What runs, for the status."""
    details = {**engine.details, **attention_of(context, engine.lm.decoder).details(), **engine.turns.details}
    context.report(Event("optimization.details", data=details))


class _Encoder:
    """The codec's, read when a recording is new and let go of behind it."""

    def __init__(self, context: Context, model: OptimizedModel) -> None:
        self._context, self._model = context, model

    def codes(self, samples: Tensor) -> Tensor:
        """As `realtts_vieneu.encoder.Encoder.codes`."""
        weights, engine = self._model.weights, self._model.engine
        assert engine is not None
        engine.turns.clear()
        encoder = Encoder(
            weights.codec.config, weights.codec_state, device=self._context.device, semantic=weights.semantic()
        )
        return encoder.codes(samples)
