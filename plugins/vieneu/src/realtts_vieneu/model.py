"""The optimized variant's model, and a request in its terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.accel.decoder.rungs import attention_of, graphs_of, precision_of
from realtts.contract.events import Event
from realtts.contract.types import Request
from realtts.errors import InputError
from realtts_vieneu.encoder import Encoder
from realtts_vieneu.frontend import making_utterances, preparing
from realtts_vieneu.network import WARM_TOKENS
from realtts_vieneu.text import finished
from realtts_vieneu.utterance import Utterance
from realtts_vieneu.voices import codes_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from torch import Tensor

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts_vieneu.engine import Engine
    from realtts_vieneu.frontend import Ask
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.loading import Weights

__all__ = ["OptimizedModel", "asked", "asking", "engine_for", "head_of", "most_of", "report", "usual"]

_LONGEST = " và ".join(["tôi thích nghe những câu chuyện cổ tích trước khi đi ngủ"] * 4)
"""One sentence of nearly 256 characters, upstream's ``max_chars``."""


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        voices: Codes of recordings, in memory and on disk.
        engine: Speaks, once it has passed all stages; None after `unload`.
    """

    weights: Weights
    voices: DiskVoiceCache
    engine: Engine | None


def head_of(context: Context, speech_only: bool | None) -> HeadKind:
    """Return which tokens can be drawn: speech alone, unless the rung is there for equality with plain."""
    if speech_only is None:
        speech_only = precision_of(context).weights != "fp32"
    return "speech" if speech_only else "full"


def most_of(context: Context) -> int:
    """Return the most requests that are spoken at once."""
    limit = context.settings.max_batch
    return context.spec.batch_size if limit is None else min(limit, context.spec.batch_size)


def asked(context: Context, model: OptimizedModel, request: Request) -> tuple[Ask, list[Utterance]]:
    """Return a request in the model's terms, its voice encoded."""
    return finished(asking(context, model, request))


def asking(
    context: Context, model: OptimizedModel, request: Request
) -> Generator[None, None, tuple[Ask, list[Utterance]]]:
    """Return what `asked` does; yields after each sentence."""
    ask = yield from preparing(context, model.weights, request)
    codes: Sequence[int] = ask.codes
    if ask.voice is not None:
        weights = model.weights.identity
        codes = codes_of(context, ask.voice, _Encoder(context, model), weights=weights, cache=model.voices).tolist()
    utterances = yield from making_utterances(model.weights, ask, codes)
    return ask, utterances


def usual(context: Context, model: OptimizedModel) -> Utterance:
    """Return what to warm up with: two tokens, or with graphs the longest sentence of a request with default options.

    Graphs of the longest sentence serve all shorter ones.
    """
    if graphs_of(context) is not None:
        try:
            return asked(context, model, Request(_LONGEST))[1][0]
        except InputError:  # there is no voice beside the weights, or nothing says which prompt they were trained with
            pass
    return Utterance(ids=(model.weights.reader.speech.codes[0],) * 2, most=WARM_TOKENS, forced=True)


def engine_for(context: Context, model: OptimizedModel, ask: Ask) -> Engine:
    """Return the engine, with the head and the codec's device that a request asks for."""
    assert model.engine is not None, "used after unload"
    if model.engine.choose(head_of(context, ask.speech_only), ask.codec_device):
        report(context, model.engine)
    return model.engine


def report(context: Context, engine: Engine) -> None:
    """Report what runs, for the status."""
    details = {**engine.details, **attention_of(context, engine.lm.decoder).details(), **engine.turns.details}
    context.report(Event("optimization.details", data=details))


class _Encoder:
    """The codec's encoder, in memory only while a new recording is encoded."""

    def __init__(self, context: Context, model: OptimizedModel) -> None:
        self._context, self._model = context, model

    def codes(self, samples: Tensor) -> Tensor:
        """Encode a recording, as `realtts_vieneu.encoder.Encoder.codes`."""
        weights, engine = self._model.weights, self._model.engine
        assert engine is not None
        engine.turns.clear()
        encoder = Encoder(
            weights.codec.config, weights.codec_state, device=self._context.device, semantic=weights.semantic()
        )
        return encoder.codes(samples)
