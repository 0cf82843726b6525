"""The optimized variant: T3 on the toolkit's decoder, S3Gen as networks of our own, voices cached on disk.

Not run on a GPU yet: the rungs with CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.rungs import (
    decoder_rungs,
    fuses,
    graphs_of,
    is_exact,
    precision_of,
    why_no_graphs,
    why_no_native,
)
from realtts.accel.finite import blaming, check_output
from realtts.accel.layers.flow_rungs import attention_kernel, uses_w8a8, why_no_w8a8, with_w8a8
from realtts.accel.offload.sharing import DeviceSharing, device_sharing, offload_rungs, why_no_graphs_offloaded
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.accel.weights.packed_cache import PackedCache
from realtts.contract.hooks import hookimpl
from realtts_chatterbox.codec import Codec
from realtts_chatterbox.engine import Engine, utterance_of
from realtts_chatterbox.loading import fetch, open_checkpoint
from realtts_chatterbox.model import OptimizedModel, report_details, short
from realtts_chatterbox.sizes import HEAD_SIZE
from realtts_chatterbox.speaking import speak
from realtts_chatterbox.upstream import check_installed
from realtts_chatterbox.voices import listed
from realtts_chatterbox.watermark import Watermarker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from realtts.contract.context import Context, Rung
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import VoiceInfo

__all__ = ["Optimized"]


class Optimized:
    """The hooks of the optimized variant."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """Propose the usual rungs; beside a quantized T3 the flow computes in the context's type."""
        rungs = with_w8a8(context, decoder_rungs(context, beside=context.dtype))
        return offload_rungs(context, rungs)

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Say why kernels cannot be had, or graphs: they need CUDA, and weights that do not move."""
        return (
            why_no_w8a8(context) or why_no_graphs(context) or why_no_native(context) or why_no_graphs_offloaded(context)
        )

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Open and check the checkpoint, and read what is float32 on every rung: embeddings, encoder, vocoder."""
        check_installed()  # what is missing is told before anything is downloaded
        watermarker = Watermarker()
        voices = DiskVoiceCache.of(context.settings, context.voice_cache)
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        size, limit = context.spec.batch_size, context.settings.max_batch
        places = size if limit is None else min(size, limit)
        engine = Engine(weights, device=context.device, places=places)
        codec = Codec(
            weights.s3gen_state,
            device=context.device,
            turbo=weights.configuration.turbo,
            fused=context.settings.attention != "auto",
        )
        return OptimizedModel(weights, voices, watermarker, engine, codec, turns=device_sharing(context))

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read the flow's estimator and cast it to the context's type, or round it."""
        assert model.codec is not None
        rounded = uses_w8a8(context)
        dtype = torch.float32 if rounded else getattr(torch, context.dtype)
        heads, graphs = model.weights.s3gen_sizes.estimator_heads, graphs_of(context) is not None
        kernel = attention_kernel(context, dtype, heads, HEAD_SIZE, w8a8=rounded, graphs=graphs)
        model.codec.convert(model.weights.s3gen_state, dtype, attention=kernel, rounded=rounded)
        if fuses(context):
            model.codec.join()
        model.turns.add("codec", model.codec)  # with offloading it leaves the device to T3 now

    @hookimpl
    def compile(self, context: Context, model: OptimizedModel) -> None:
        """Read and pack T3's layers and, on a rung with graphs, capture those that a usual request replays.

        T3's layers are packed as they are read: cast in a stage before this one they would lie in memory twice.
        """
        assert model.engine is not None
        assert model.codec is not None
        backend = graphs_of(context)
        cache = PackedCache.of(context.settings, context.report)
        model.engine.pack(model.weights, precision_of(context), backend, cache)
        if backend is not None:
            ask, voice = short(context, model.weights)
            model.engine.capture(ask, voice)
            for samples in model.codec.capture(context, backend, ask, voice):
                self._check(context, model, samples)
        model.turns.add("t3", model.engine)
        report_details(context, model)

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Speak two tokens from text to watermark, and check that nothing is NaN."""
        assert model.watermarker is not None
        assert model.codec is not None
        assert model.engine is not None
        ask, voice = short(context, model.weights)
        t3_file, exact = model.weights.t3_file.name, is_exact(context)
        with model.turns.use("t3"), blaming(t3_file, exact=exact):
            blocks = model.engine.t3.decode([utterance_of(ask, voice)])
            tokens = [token for block in blocks for token in block.tokens]
        with model.turns.use("codec"):
            for samples in model.codec.spoken(context, tokens, ask, voice):
                self._check(context, model, samples)
        model.watermarker.warm_up()

    @hookimpl
    def generate_continuous(
        self, context: Context, model: OptimizedModel, arrivals: Arrivals
    ) -> Iterator[RowItem | None]:
        """Speak requests that come and go: in one chunk where nobody listens yet, else in pieces as they are made."""
        return speak(context, model, arrivals)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """List the voice that the checkpoint brings."""
        return listed(model.weights.builtin)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Free the weights, whoever still holds the model."""
        model.engine = model.codec = model.encoders = model.watermarker = None
        model.turns = DeviceSharing()

    @staticmethod
    def _check(context: Context, model: OptimizedModel, samples: Tensor) -> None:
        """Raise if samples of flow and vocoder are not finite; in float32 their file is to blame."""
        check_output(samples, "chatterbox", file=model.weights.s3gen_file.name, exact=is_exact(context))
