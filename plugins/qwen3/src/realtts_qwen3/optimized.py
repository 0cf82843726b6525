"""The optimized variant: talker and code predictor on the toolkit's decoder, the codec with exact state, kept voices.

Nothing of qwen-tts is imported. Not run on a GPU yet: the rungs with CUDA graphs are tested with
`realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from realtts.accel.finite import check_finite
from realtts.accel.rungs import attention_of, decoder_rungs, graphs_of, precision_of, why_no_graphs
from realtts.accel.turns import offload_rungs, turns_of, why_no_graphs_offloaded
from realtts.accel.voice_cache import DiskVoiceCache
from realtts.events import Event
from realtts.hookspecs import hookimpl
from realtts.speech import Chunk
from realtts_qwen3.engine import Engine, Job, growing
from realtts_qwen3.frontend import prepare, utterance_of
from realtts_qwen3.loading import fetch, open_checkpoint
from realtts_qwen3.own import OwnEncoders
from realtts_qwen3.plain import speakers_of
from realtts_qwen3.prompt import Utterance
from realtts_qwen3.voices import RATE, prompt_of, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.context import Context, Rung
    from realtts.speech import FinishReason, Request, VoiceInfo
    from realtts_qwen3.frontend import Ask
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.voices import VoicePrompt

__all__ = ["Optimized", "OptimizedModel", "prompts_of"]

_WARM_TEXT = "Warm up."

_GRAPHED_FRAMES = 125
"""Frames whose graphs are captured while loading, 10 s; those of longer speech are when they are first needed."""


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        voices: Prompts and decoder states of recordings, in memory and on disk.
        engine: Speaks; None before `convert_precision` and after `unload`.
    """

    weights: Weights
    voices: DiskVoiceCache
    engine: Engine | None = None


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """The usual ones; beside a quantized talker the codec computes in the context's type."""
        return offload_rungs(context, decoder_rungs(context, beside=context.dtype))

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Graphs need CUDA, and weights that do not move."""
        return why_no_graphs(context) or why_no_graphs_offloaded(context)

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Read what is small; the weights are read when they are packed, so that they never lie in memory twice."""
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        return OptimizedModel(weights, DiskVoiceCache.of(context.settings, context.voice_cache))

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read and pack the weights: talker and predictor quantized or in half precision, the codec in half."""
        model.engine = Engine(
            model.weights,
            device=context.device,
            precision=precision_of(context),
            dtype=getattr(torch, context.dtype),
            backend=graphs_of(context),
            turns=turns_of(context),
        )
        attention = attention_of(context, model.engine.talker.decoder).details()
        details = {**model.engine.details, **attention, **model.engine.turns.details}
        context.report(Event("optimization.details", data=details))

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Speak two frames, or as many as there are graphs to capture, and check that nothing is NaN."""
        assert model.engine is not None
        frames = _GRAPHED_FRAMES if context.settings.cuda_graphs is True else 2
        reader = model.weights.reader
        warm = Utterance(role=reader.role, text=reader.ids(_WARM_TEXT), most=frames, forced=True)
        check_finite(model.engine.warm_up(warm), "qwen3")

    @hookimpl
    def generate(self, context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
        """The whole in one chunk where nobody listens yet, else pieces that grow."""
        if request.streaming:
            return _live(context, model, request)
        return (chunk for _, chunk in _whole(context, model, [request]))

    @hookimpl
    def generate_batch(
        self, context: Context, model: OptimizedModel, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """Requests decoded together."""
        return _whole(context, model, requests)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """The speakers of the checkpoint, if it has some."""
        return speakers_of(model.weights.sizes)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.engine = None


def _whole(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Requests spoken as wholes, each handed out when it has ended."""
    assert model.engine is not None, "used after unload"
    asks = [prepare(context, model.weights, request) for request in requests]
    prompts = prompts_of(context, model, asks)
    jobs = [_job(model, *given) for given in zip(requests, asks, prompts, strict=True)]
    sounds: list[list[NDArray[np.float32]]] = [[] for _ in requests]
    counts = [0] * len(requests)
    for row, samples, frames, reason in model.engine.speak(context, jobs):
        sounds[row].append(samples)
        counts[row] += frames
        if reason is not None:
            yield row, _chunk(asks[row], np.concatenate(sounds[row]), counts[row], reason)
            sounds[row] = []


def _live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    """One request as a stream, whose chunks grow."""
    assert model.engine is not None, "used after unload"
    ask = prepare(context, model.weights, request)
    (prompt,) = prompts_of(context, model, [ask])
    sizes = growing(ask.chunk_frames, ask.chunk_growth, ask.max_chunk_frames)
    job = _job(model, request, ask, prompt, sizes=sizes)
    for _, samples, frames, reason in model.engine.speak(context, [job]):
        yield _chunk(ask, samples, frames, reason)


def _job(
    model: OptimizedModel,
    request: Request,
    ask: Ask,
    prompt: VoicePrompt | None,
    *,
    sizes: Iterator[int] | None = None,
) -> Job:
    assert model.engine is not None
    decoder = model.engine.decoder
    if prompt is not None and ask.reference:
        assert ask.voice is not None
        with model.engine.turns.use("codec"):
            weights = model.weights.identity
            state = state_of(ask.voice, prompt.codes, decoder, weights=weights, cache=model.voices)
    else:
        state = decoder.start()
    return Job(utterance_of(ask, prompt), state, request.cancelled, sizes)


def _chunk(ask: Ask, samples: NDArray[np.float32], frames: int, reason: FinishReason | None) -> Chunk:
    return Chunk(samples, RATE, tokens=frames, finish_reason=reason, warnings=ask.warnings if reason else ())


def prompts_of(context: Context, model: OptimizedModel, asks: Sequence[Ask]) -> list[VoicePrompt | None]:
    """The prompts of the requests' voices; None of those without one.

    The networks that make them are read when a voice is unknown, and are let go of afterwards.
    """
    encoders, weights = _Encoders(context, model), model.weights.identity
    return [
        None if ask.voice is None else prompt_of(context, ask.voice, encoders, weights=weights, cache=model.voices)
        for ask in asks
    ]


class _Encoders:
    """Those of the checkpoint, read when they are first asked for."""

    def __init__(self, context: Context, model: OptimizedModel) -> None:
        self._context, self._model = context, model
        self._own: OwnEncoders | None = None

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """As `OwnEncoders.embedding`."""
        return self._read().embedding(wave)

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """As `OwnEncoders.codes`."""
        return self._read().codes(wave)

    def _read(self) -> OwnEncoders:
        if self._own is None:
            assert self._model.engine is not None
            self._model.engine.turns.clear()
            self._own = OwnEncoders(self._model.weights, self._context.device)
        return self._own
