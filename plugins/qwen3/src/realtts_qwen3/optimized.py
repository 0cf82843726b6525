"""The optimized variant: talker and code predictor on the toolkit's decoder, the codec with exact state, kept voices.

Nothing of qwen-tts is imported. Not run on a GPU yet: the rungs with CUDA graphs are tested with
`realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import blaming, check_output
from realtts.accel.offload.sharing import offload_rungs, turns_of, why_no_graphs_offloaded
from realtts.accel.rungs import attention_of, decoder_rungs, graphs_of, is_exact, precision_of, why_no_graphs
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts_qwen3.engine import Engine
from realtts_qwen3.files import CODEC, WEIGHTS
from realtts_qwen3.loading import fetch, open_checkpoint
from realtts_qwen3.model import OptimizedModel
from realtts_qwen3.speaking import live, whole
from realtts_qwen3.utterance import Utterance
from realtts_qwen3.voices import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context, Rung
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["Optimized"]

_WARM_TEXT = "Warm up."

_GRAPHED_FRAMES = 125
"""Frames whose graphs are captured while loading, 10 s; those of longer speech are when they are first needed."""


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
        exact = is_exact(context)
        with blaming(WEIGHTS, exact=exact):
            samples = model.engine.warm_up(warm)
        check_output(samples, "qwen3", file=CODEC, exact=exact)

    @hookimpl
    def generate(self, context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
        """The whole in one chunk where nobody listens yet, else pieces that grow."""
        if request.streaming:
            return live(context, model, request)
        return (chunk for _, chunk in whole(context, model, [request]))

    @hookimpl
    def generate_batch(
        self, context: Context, model: OptimizedModel, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """Requests decoded together."""
        return whole(context, model, requests)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """Those that the checkpoint brings."""
        return listed(model.weights.sizes)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.engine = None
