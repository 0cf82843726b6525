"""The optimized variant: networks of our own, chunks of a text in shared forwards, prepared recordings kept on disk.

Nothing of f5-tts is imported. Not run on a GPU yet: CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.rungs import decoder_rungs, is_exact, why_no_graphs
from realtts.accel.finite import check_output
from realtts.accel.layers.flow_rungs import uses_w8a8, why_no_w8a8, with_w8a8
from realtts.accel.offload.sharing import DeviceSharing, device_sharing, offload_rungs, why_no_graphs_offloaded
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.contract.hooks import hookimpl
from realtts_f5.constants import HOP, MELS, RATE
from realtts_f5.loading import fetch, open_checkpoint
from realtts_f5.model import OptimizedModel, convert_network, open_network, pack_network, report_compiled
from realtts_f5.network import Item
from realtts_f5.schedule import times
from realtts_f5.solver import solve
from realtts_f5.solver_graphs import USUAL_FRAMES
from realtts_f5.speaking import speak
from realtts_f5.vocoder import Vocoder
from realtts_f5.voices import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context, Rung
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import VoiceInfo

__all__ = ["Optimized"]

_WARM_FRAMES = math.ceil(RATE / HOP)
"""A second, of recording and speech together: enough without graphs, on a CPU too."""


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """Propose the context's type, then float32, on CUDA with graphs first; before them W8A8 where it is wanted."""
        quantization = context.settings.quantization
        rungs = [
            rung for rung in decoder_rungs(context) if quantization != "auto" or rung.settings["quantization"] == "none"
        ]
        return offload_rungs(context, with_w8a8(context, rungs, alone=True))

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Refuse quantized weights alone, which gain nothing for long rows, and what kernels and graphs lack here."""
        if uses_w8a8(context):
            return why_no_w8a8(context)
        if context.settings.quantization != "none":
            return (
                "weights alone of F5-TTS are not quantized: leave quantization='auto' (REALTTS_QUANTIZATION=auto); "
                "precision_policy='fast' rounds weights and activations"
            )
        return why_no_graphs(context) or why_no_graphs_offloaded(context)

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Read the vocoder, and what of the network is float32 on every rung: time, text, input, modulation, ends."""
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        voices = DiskVoiceCache.of(context.settings, context.voice_cache)
        model = OptimizedModel(weights, voices, turns=device_sharing(context))
        model.vocoder = Vocoder(weights.vocoder_state, torch.device(context.device), f"file {weights.vocoder_file!r}")
        model.turns.add("vocoder", model.vocoder)
        model.network = open_network(context, model)
        return model

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read the network's blocks, each tensor cast as it is read, so that they never lie in memory twice."""
        assert model.network is not None
        convert_network(context, model, model.network)

    @hookimpl
    def compile(self, context: Context, model: OptimizedModel) -> None:
        """Pack the network's blocks, and capture the graph of a usual chunk where the rung has graphs."""
        assert model.network is not None
        pack_network(context, model, model.network)

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Take one step of a short utterance, make its sound, and check that nothing is NaN."""
        assert model.network is not None
        assert model.vocoder is not None
        frames = _WARM_FRAMES if model.graphs is None else USUAL_FRAMES  # whose graph is there already
        noise = torch.randn(frames, MELS, generator=torch.Generator().manual_seed(0))
        item = Item(mel=noise[:10], ids=torch.zeros(4, dtype=torch.int64), frames=frames, noise=noise)
        with model.turns.use("flow"):
            mel = solve(model.network, [item], times=times(1, None), guidance=2.0, graphs=model.graphs)[0]
        check_output(mel, "f5", file=model.weights.model_file, exact=is_exact(context))
        with model.turns.use("vocoder"):
            samples = model.vocoder.samples(mel)
        check_output(samples, "f5", file=model.weights.vocoder_file, exact=is_exact(context))
        report_compiled(context, model)

    @hookimpl
    def generate_continuous(
        self, context: Context, model: OptimizedModel, arrivals: Arrivals
    ) -> Iterator[RowItem | None]:
        """Speak requests that join and leave between two steps of the solver."""
        return speak(context, model, arrivals)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """List the recordings that f5-tts brings."""
        return listed()

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        if model.graphs is not None:
            model.graphs.clear()
        model.network = model.vocoder = model.graphs = None
        model.pieces = []
        model.turns = DeviceSharing()
