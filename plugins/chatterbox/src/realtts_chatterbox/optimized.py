"""The optimized variant: T3 on the toolkit's decoder, S3Gen as networks of our own, voices cached on disk.

Not run on a GPU yet: the rungs with CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import blaming, check_output
from realtts.accel.offload.sharing import Turns, offload_rungs, turns_of, why_no_graphs_offloaded
from realtts.accel.rungs import decoder_rungs, graphs_of, is_exact, precision_of, why_no_graphs
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.accel.weights.state_reader import below
from realtts.contract.hooks import hookimpl
from realtts_chatterbox.codec import Codec
from realtts_chatterbox.engine import Engine, utterance_of
from realtts_chatterbox.loading import fetch, open_checkpoint
from realtts_chatterbox.model import OptimizedModel, short, tell
from realtts_chatterbox.speaking import live, whole
from realtts_chatterbox.upstream import load_upstream
from realtts_chatterbox.voices import listed
from realtts_chatterbox.watermark import Watermarker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context, Rung
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["Optimized"]


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """The usual ones; beside a quantized T3 the flow computes in the context's type."""
        return offload_rungs(context, decoder_rungs(context, beside=context.dtype))

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Graphs need CUDA, and weights that do not move."""
        return why_no_graphs(context) or why_no_graphs_offloaded(context)

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Read what is small; the weights are read when they are packed, so that they never lie in memory twice."""
        load_upstream()  # what is missing is told before anything is downloaded
        watermarker = Watermarker()
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        voices = DiskVoiceCache.of(context.settings, context.voice_cache)
        return OptimizedModel(weights, voices, watermarker, turns=turns_of(context))

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read and pack the weights: T3 quantized or in half precision, S3Gen's estimator in half, the rest float32."""
        weights, backend = model.weights, graphs_of(context)
        model.engine = Engine(weights, device=context.device, precision=precision_of(context), backend=backend)
        model.turns.add("t3", model.engine)
        model.codec = Codec(
            below(weights.s3gen_state, "flow."),
            below(weights.s3gen_state, "mel2wav."),
            device=context.device,
            dtype=getattr(torch, context.dtype),
            turbo=weights.configuration.turbo,
            backend=backend,
            fused=context.settings.attention != "auto",
        )
        model.turns.add("codec", model.codec)
        tell(context, model)

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Speak two tokens, capture what a request usually needs, and check that nothing is NaN."""
        assert model.watermarker is not None
        assert model.codec is not None
        assert model.engine is not None
        model.watermarker.warm_up()
        ask, voice = short(context, model.weights)
        exact = is_exact(context)
        with model.turns.use("t3"), blaming(model.weights.t3_file.name, exact=exact):
            model.engine.t3.warm_up(utterance_of(ask, voice))
        with model.turns.use("codec"):
            for samples in model.codec.warm_up(context, ask, voice):
                check_output(samples, "chatterbox", file=model.weights.s3gen_file.name, exact=exact)

    @hookimpl
    def generate(self, context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
        """The whole in one chunk where nobody listens yet, else pieces as they can be computed."""
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
        return listed(model.weights.builtin)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.engine = model.codec = model.encoders = model.watermarker = None
        model.turns = Turns()
