"""The optimized variant: talker and code predictor on the toolkit's decoder, a stateful codec, cached voices.

Nothing of qwen-tts is imported. Not run on a GPU yet: the rungs with CUDA graphs are tested with
`realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.rungs import (
    attention_of,
    decoder_rungs,
    graphs_of,
    is_exact,
    precision_of,
    why_no_graphs,
    why_no_native,
)
from realtts.accel.finite import blaming, check_output
from realtts.accel.offload.sharing import device_sharing, offload_rungs, why_no_graphs_offloaded
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.accel.weights.packed_cache import PackedCache
from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts_qwen3.assembly import read_prompts
from realtts_qwen3.batch import serve
from realtts_qwen3.codec import CodecDecoder
from realtts_qwen3.engine import Engine
from realtts_qwen3.files import CODEC, WEIGHTS
from realtts_qwen3.loading import fetch, open_checkpoint
from realtts_qwen3.model import OptimizedModel
from realtts_qwen3.utterance import Utterance
from realtts_qwen3.voices import listed

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from realtts.contract.context import Context, Rung
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import VoiceInfo
    from realtts_qwen3.text import TextReader

__all__ = ["Optimized"]

_WARM_TEXT = "Warm up."

_WARM_FRAMES = 2

_GRAPHED_SLOTS = 1536
"""Slots of the longest row whose graphs are captured while loading: all that rows have until a longer one comes."""


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """Propose the usual rungs; beside a quantized talker the codec computes in the context's dtype."""
        return offload_rungs(context, decoder_rungs(context, beside=context.dtype))

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Refuse graphs without CUDA, or with weights that move, and kernels that are not here."""
        return why_no_graphs(context) or why_no_native(context) or why_no_graphs_offloaded(context)

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Open and check the checkpoint, and read the embeddings, whose precision no rung changes."""
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        prompts = read_prompts(weights.sizes, weights.states.talker, torch.device(context.device))
        return OptimizedModel(weights, DiskVoiceCache.of(context.settings, context.voice_cache), prompts)

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read the codec's decoder and cast it."""
        config, state = model.weights.codec.decoder, model.weights.states.decoder
        model.codec = CodecDecoder.read(config, state, device=context.device, dtype=getattr(torch, context.dtype))

    @hookimpl
    def compile(self, context: Context, model: OptimizedModel) -> None:
        """Pack all networks and capture the graphs.

        Talker and code predictor are read here: their weights are cast, fused and quantized layer by layer in one
        pass, and a stage before it could only hold a second copy of them.
        """
        assert model.prompts is not None
        assert model.codec is not None
        model.engine = Engine(
            model.weights,
            model.prompts,
            model.codec,
            precision=precision_of(context),
            backend=graphs_of(context),
            turns=device_sharing(context),
            cache=PackedCache.of(context.settings, context.report),
            places=min(context.spec.batch_size, context.settings.max_batch or context.spec.batch_size),
        )
        attention = attention_of(context, model.engine.talker.decoder).details()
        model.engine.prepare(_warm_utterance(model.weights.reader), slots=_GRAPHED_SLOTS)
        context.report(Event("optimization.details", data={**model.engine.details, **attention}))

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Speak two frames, and check that nothing is NaN."""
        assert model.engine is not None
        exact = is_exact(context)
        with blaming(WEIGHTS, exact=exact):
            samples = model.engine.warm_up(_warm_utterance(model.weights.reader))
        check_output(samples, "qwen3", file=CODEC, exact=exact)

    @hookimpl
    def generate_continuous(
        self, context: Context, model: OptimizedModel, arrivals: Arrivals
    ) -> Generator[RowItem | None, None, None]:
        """Speak requests that join and leave while others are spoken: streams in chunks that grow, others in one."""
        return serve(context, model, arrivals)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """List the checkpoint's speakers."""
        return listed(model.weights.sizes)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Drop the weights, whoever still holds the model."""
        model.prompts = model.codec = model.engine = None


def _warm_utterance(reader: TextReader) -> Utterance:
    """Return the utterance that is spoken while loading."""
    return Utterance(role=reader.role, text=reader.ids(_WARM_TEXT), max_frames=_WARM_FRAMES, forced=True)
