"""The optimized variant: the language model on the toolkit's decoder, all sentences of a text together, our own codec.

Nothing of transformers is imported but for cloning, where its encoder is used. Not run on a GPU yet: the rungs with
CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import blaming, check_output
from realtts.accel.offload.sharing import offload_rungs, turns_of, why_no_graphs_offloaded
from realtts.accel.rungs import decoder_rungs, graphs_of, is_exact, precision_of, why_no_graphs
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.contract.hooks import hookimpl
from realtts.errors import AccelError
from realtts_vieneu.engine import Engine
from realtts_vieneu.files import WEIGHTS
from realtts_vieneu.loading import NO_TURBO, fetch, open_checkpoint, why_turbo
from realtts_vieneu.model import OptimizedModel, head_of, longest, tell
from realtts_vieneu.network import WARM_TOKENS
from realtts_vieneu.speaking import live, whole
from realtts_vieneu.utterance import Utterance
from realtts_vieneu.voices import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context, Rung
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["Optimized"]


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
        weights = open_checkpoint(fetch(context.checkpoint, context.report, check=_refuse_turbo))
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
        tell(context, model.engine)

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Speak four tokens, capture what a request usually needs, and check that nothing is NaN."""
        assert model.engine is not None
        ids = model.weights.reader.speech
        usual = longest(context, model) if graphs_of(context) is not None else None
        warm = usual or Utterance(ids=(ids.codes[0],) * 2, most=WARM_TOKENS, forced=True)
        exact = is_exact(context)
        with blaming(WEIGHTS, exact=exact):
            samples = model.engine.warm_up(warm)
        check_output(samples, "vieneu", file=model.weights.codec_file, exact=exact)

    @hookimpl
    def generate(self, context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
        """The whole in one chunk where nobody listens yet, else windows of its sentences, one after the other."""
        if request.streaming:
            return live(context, model, request)
        return (chunk for _, chunk in whole(context, model, [request]))

    @hookimpl
    def generate_batch(
        self, context: Context, model: OptimizedModel, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """The sentences of all requests together."""
        return whole(context, model, requests)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """Those that the checkpoint brings."""
        return listed(model.weights.presets)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.engine = None


def _refuse_turbo(turbo: bool) -> None:
    """Of somebody else's repository, which `probe` did not look into."""
    if turbo:
        raise AccelError(NO_TURBO, who="vieneu", fix="nothing: the plain variant speaks")
