"""The optimized variant: networks of our own, chunks of a text in shared forwards, prepared recordings kept on disk.

Nothing of f5-tts is imported. Not run on a GPU yet: CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import check_output
from realtts.accel.offload.sharing import Turns, offload_rungs, turns_of, why_no_graphs_offloaded
from realtts.accel.rungs import decoder_rungs, is_exact, why_no_graphs
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.contract.hooks import hookimpl
from realtts_f5.constants import HOP, MELS, RATE
from realtts_f5.loading import fetch, open_checkpoint
from realtts_f5.model import OptimizedModel, read_network
from realtts_f5.schedule import times
from realtts_f5.solver import Item, solve
from realtts_f5.speaking import live, whole
from realtts_f5.vocoder import Vocoder
from realtts_f5.voices import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context, Rung
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["Optimized"]

_WARM_FRAMES = math.ceil(RATE / HOP)
"""A second, of recording and speech together."""


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """The context's type, then float32, on CUDA with graphs first; nothing is quantized by itself."""
        asked = context.settings.quantization
        rungs = [rung for rung in decoder_rungs(context) if asked != "auto" or rung.settings["quantization"] == "none"]
        return offload_rungs(context, rungs)

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Graphs need CUDA, and weights that do not move; long rows gain nothing by quantized weights."""
        if context.settings.quantization != "none":
            return "F5-TTS is not quantized: leave quantization='auto' (REALTTS_QUANTIZATION=auto)"
        return why_no_graphs(context) or why_no_graphs_offloaded(context)

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Read what is small; the weights are read when they are converted, so that they never lie in memory twice."""
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        voices = DiskVoiceCache.of(context.settings, context.voice_cache)
        return OptimizedModel(weights, voices, turns=turns_of(context))

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read the weights: blocks in the context's type; time, text, ends and vocoder in float32."""
        read_network(context, model, getattr(torch, context.dtype))
        model.turns.clear()
        model.vocoder = Vocoder.from_state_dict(model.weights.vocoder_state, torch.device(context.device), "vocoder")
        model.turns.add("vocoder", model.vocoder)

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Take one step of a second's length, and check that nothing is NaN."""
        assert model.network is not None
        assert model.vocoder is not None
        noise = torch.randn(_WARM_FRAMES, MELS, generator=torch.Generator().manual_seed(0))
        item = Item(mel=noise[:10], ids=torch.zeros(4, dtype=torch.int64), frames=_WARM_FRAMES, noise=noise)
        with model.turns.use("flow"):
            mel = solve(model.network, [item], times=times(1, None), guidance=2.0, graphs=model.graphs)[0]
        check_output(mel, "f5", file=model.weights.model_file, exact=is_exact(context))
        with model.turns.use("vocoder"):
            samples = model.vocoder.samples(mel)
        check_output(samples, "f5", file=model.weights.vocoder_file, exact=is_exact(context))

    @hookimpl
    def generate(self, context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
        """Chunks of the text together where nobody listens yet, else one after the other."""
        if request.streaming:
            return live(context, model, request)
        return (chunk for _, chunk in whole(context, model, [request]))

    @hookimpl
    def generate_batch(
        self, context: Context, model: OptimizedModel, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """Chunks of all texts together."""
        return whole(context, model, requests)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """The recordings that f5-tts brings."""
        return listed()

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        if model.graphs is not None:
            model.graphs.clear()
        model.network = model.vocoder = model.graphs = None
        model.turns = Turns()
