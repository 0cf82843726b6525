"""The optimized variant: the language model on the toolkit's decoder, all sentences of a text together, our own codec.

Nothing of transformers is imported but for cloning, where its encoder is used. Not run on a GPU yet: the rungs with
CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import check_finite
from realtts.accel.rungs import attention_of, decoder_rungs, graphs_of, precision_of, why_no_graphs
from realtts.accel.turns import offload_rungs, turns_of, why_no_graphs_offloaded
from realtts.accel.voice_cache import DiskVoiceCache
from realtts.events import Event
from realtts.hookspecs import hookimpl
from realtts_vieneu.encoder import Encoder
from realtts_vieneu.engine import Engine
from realtts_vieneu.frontend import prepare, utterances_of
from realtts_vieneu.loading import fetch, open_checkpoint, why_turbo
from realtts_vieneu.speaking import live, whole
from realtts_vieneu.utterance import Utterance
from realtts_vieneu.voices import codes_of, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from realtts.context import Context, Rung
    from realtts.speech import Chunk, Request, VoiceInfo
    from realtts_vieneu.frontend import Ask
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.loading import Weights

__all__ = ["Optimized", "OptimizedModel", "asked", "head_of"]

_WARM_TOKENS = 4


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


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """The usual ones; beside a quantized language model the codec computes in the context's type."""
        return offload_rungs(context, decoder_rungs(context, beside=context.dtype))

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Not v3 Turbo; graphs need CUDA, and weights that do not move."""
        return why_turbo(context.checkpoint) or why_no_graphs(context) or why_no_graphs_offloaded(context)

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Read what is small; the weights are read when they are packed, so that they never lie in memory twice."""
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        return OptimizedModel(weights, DiskVoiceCache.of(context.settings, context.voice_cache))

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read and pack the weights: the language model quantized or in half precision, the codec in half."""
        model.engine = Engine(
            model.weights,
            device=context.device,
            precision=precision_of(context),
            dtype=getattr(torch, context.dtype),
            backend=graphs_of(context),
            turns=turns_of(context),
            head=head_of(context, None),
        )
        _tell(context, model.engine)

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Speak four tokens, capture graphs, and check that nothing is NaN."""
        assert model.engine is not None
        ids = model.weights.reader.speech
        warm = Utterance(ids=(ids.codes[0],) * 2, most=_WARM_TOKENS, forced=True)
        check_finite(model.engine.warm_up(warm), "vieneu")

    @hookimpl
    def generate(self, context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
        """The whole in one chunk where nobody listens yet, else windows of its sentences, one after the other."""
        if request.streaming:
            return _live(context, model, request)
        return (chunk for _, chunk in _whole(context, model, [request]))

    @hookimpl
    def generate_batch(
        self, context: Context, model: OptimizedModel, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """The sentences of all requests together."""
        return _whole(context, model, requests)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """Those that the checkpoint brings."""
        return listed(model.weights.presets)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.engine = None


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


def _whole(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Requests as wholes; together go those that want the same of the engine, which are all of them as a rule."""
    pairs = [asked(context, model, request) for request in requests]
    groups: dict[tuple[HeadKind, str | None], list[int]] = {}
    for row, (ask, _) in enumerate(pairs):
        groups.setdefault((head_of(context, ask.speech_only), ask.codec_device), []).append(row)
    for rows in groups.values():
        asks, utterances = zip(*(pairs[row] for row in rows), strict=True)
        engine = _engine(context, model, asks[0])
        for place, chunk in whole(context, engine, [requests[row].cancelled for row in rows], asks, utterances):
            yield rows[place], chunk


def _live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    ask, utterances = asked(context, model, request)
    yield from live(context, _engine(context, model, ask), request.cancelled, ask, utterances)


def _engine(context: Context, model: OptimizedModel, ask: Ask) -> Engine:
    """The engine as a request wants it."""
    assert model.engine is not None, "used after unload"
    if model.engine.choose(head_of(context, ask.speech_only), ask.codec_device):
        _tell(context, model.engine)
    return model.engine


def _tell(context: Context, engine: Engine) -> None:
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
