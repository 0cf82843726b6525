"""The optimized variant: the language model on the toolkit's decoder, all sentences of a text together, our own codec.

transformers is imported only for cloning, where its encoder is used. Not run on a GPU yet: the rungs with CUDA graphs
are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.rungs import decoder_rungs, graphs_of, is_exact, precision_of, why_no_graphs, why_no_native
from realtts.accel.finite import blaming, check_output
from realtts.accel.offload.sharing import device_sharing, offload_rungs, why_no_graphs_offloaded
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.accel.weights.packed_cache import PackedCache
from realtts.contract.hooks import hookimpl
from realtts.errors import AccelError
from realtts_vieneu.engine import Engine
from realtts_vieneu.files import WEIGHTS
from realtts_vieneu.loading import NO_TURBO, fetch, open_checkpoint, why_turbo
from realtts_vieneu.model import OptimizedModel, head_of, most_of, report, usual
from realtts_vieneu.speaking import speak, speak_given
from realtts_vieneu.voices import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context, Rung
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["Optimized"]

PLACES_EACH = 2
"""Sentences that are drawn at once for each request that may be spoken at once: a text has several."""


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """Propose the usual rungs; beside a quantized language model the codec computes in the context's type."""
        return offload_rungs(context, decoder_rungs(context, beside=context.dtype))

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Refuse v3 Turbo, graphs without CUDA or over weights that are offloaded, and kernels that are not here."""
        lacking = why_no_graphs(context) or why_no_native(context) or why_no_graphs_offloaded(context)
        return why_turbo(context.checkpoint) or lacking

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Check the checkpoint, and read tokenizer, voices and the embedding, which stays in the file's type."""
        weights = open_checkpoint(fetch(context.checkpoint, context.report, check=_refuse_turbo))
        engine = Engine(
            weights,
            device=context.device,
            precision=precision_of(context),
            dtype=getattr(torch, context.dtype),
            backend=graphs_of(context),
            turns=device_sharing(context),
            head=head_of(context, None),
            places=PLACES_EACH * most_of(context),
            cache=PackedCache.of(context.settings, context.report),
        )
        return OptimizedModel(weights, DiskVoiceCache.of(context.settings, context.voice_cache), engine)

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read the codec's decoder and cast it to the context's type; norms and its last layer stay float32."""
        assert model.engine is not None
        model.engine.convert()

    @hookimpl
    def compile(self, context: Context, model: OptimizedModel) -> None:
        """Pack the codec, read and pack the language model, and capture the graphs that a usual request needs.

        The language model is not read before, because it is packed as it is read: a copy in the context's type, of
        which nothing stays, would raise the peak of memory.
        """
        assert model.engine is not None
        model.engine.pack()
        if graphs_of(context) is not None:
            model.engine.capture(usual(context, model))
        report(context, model.engine)

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Speak four tokens, and check that nothing is NaN."""
        assert model.engine is not None
        exact = is_exact(context)
        with blaming(WEIGHTS, exact=exact):
            samples = model.engine.warm_up(usual(context, model))
        check_output(samples, "vieneu", file=model.weights.codec_file, exact=exact)

    @hookimpl
    def generate(self, context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
        """Speak a request in one chunk, or in windows of its sentences, one after the other, where it is streamed."""
        return (chunk for _, chunk in speak_given(context, model, [request]))

    @hookimpl
    def generate_batch(
        self, context: Context, model: OptimizedModel, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """Speak the sentences of all requests together."""
        return speak_given(context, model, requests)

    @hookimpl
    def generate_continuous(
        self, context: Context, model: OptimizedModel, arrivals: Arrivals
    ) -> Iterator[RowItem | None]:
        """Speak requests that join and leave: their sentences are rows of one loop."""
        return speak(context, model, arrivals)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """List the voices of the checkpoint."""
        return listed(model.weights.presets)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, even where something still refers to the model."""
        model.engine = None


def _refuse_turbo(turbo: bool) -> None:
    """Refuse v3 Turbo in somebody else's repository, into which `probe` did not look."""
    if turbo:
        raise AccelError(NO_TURBO, who="vieneu", fix="nothing: the plain variant speaks")
