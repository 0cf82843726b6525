"""The optimized variant: T3 on the toolkit's decoder, S3Gen as networks of our own, voices cached on disk.

Not run on a GPU yet: the rungs with CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.attention import choose
from realtts.accel.finite import check_finite
from realtts.accel.rungs import attention_of, decoder_rungs, graphs_of, precision_of, why_no_graphs
from realtts.accel.turns import Turns, offload_rungs, turns_of, why_no_graphs_offloaded
from realtts.accel.voice_cache import DiskVoiceCache
from realtts.events import Event
from realtts.hookspecs import hookimpl
from realtts_chatterbox.codec import Codec
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.engine import Engine, utterance_of
from realtts_chatterbox.files import T3_FILES
from realtts_chatterbox.frontend import DEFAULTS, Ask
from realtts_chatterbox.loading import (
    codec_states,
    encoders_identity,
    fetch,
    read_builtin,
    read_t3_state,
    read_tokenizer,
)
from realtts_chatterbox.model import OptimizedModel
from realtts_chatterbox.sizes import HEAD_SIZE
from realtts_chatterbox.speaking import live, whole
from realtts_chatterbox.voices import listed
from realtts_chatterbox.watermark import Watermarker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.context import Context, Rung
    from realtts.speech import Chunk, Request, VoiceInfo

__all__ = ["Optimized", "OptimizedModel"]

_WARM_TEXT = "Warm up."


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """The usual ones; beside quantized weights of T3 the flow computes in the context's type."""
        return offload_rungs(context, decoder_rungs(context, beside=context.dtype))

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Graphs need CUDA, and weights that do not move."""
        return why_no_graphs(context) or why_no_graphs_offloaded(context)

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Read what is small; the weights are read when they are packed, so that they never lie in memory twice."""
        watermarker = Watermarker()
        kind, files = fetch(context.checkpoint, context.report)
        return OptimizedModel(
            kind,
            files,
            encoders_identity(files),
            read_tokenizer(files, kind),
            read_builtin(files),
            watermarker,
            DiskVoiceCache.of(context.settings, context.voice_cache),
            turns=turns_of(context),
        )

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read and pack the weights: T3 quantized or in half precision, S3Gen's estimator in half, the rest float32."""
        turbo = model.kind == "turbo"
        dtype: torch.dtype = getattr(torch, context.dtype)
        model.engine = Engine(
            read_t3_state(model.files[T3_FILES[model.kind]]),
            kind=model.kind,
            device=context.device,
            precision=precision_of(context),
            backend=graphs_of(context),
        )
        model.turns.add("t3", model.engine)
        flow, vocoder = codec_states(model.files, model.kind)
        model.codec = Codec(
            flow,
            vocoder,
            device=context.device,
            dtype=dtype,
            turbo=turbo,
            backend=graphs_of(context),
            fused=context.settings.attention != "auto",
        )
        model.turns.add("codec", model.codec)
        details = {
            **model.engine.details,
            "flow_dtype": context.dtype,
            **_attention(context, model.engine, model.codec),
            "compile": False,  # nothing is: what is fused is fused by hand
            "offload": model.turns.offloaded,
            **model.turns.details,
        }
        context.report(Event("optimization.details", data=details))

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Speak two tokens, capture graphs, and check that nothing is NaN."""
        assert model.watermarker is not None
        model.watermarker.warm_up()
        assert model.codec is not None
        assert model.engine is not None
        voice = model.builtin or _nobody()
        ask = _warm_ask(model)
        with model.turns.use("t3"):
            model.engine.t3.warm_up(utterance_of(ask, voice))
        with model.turns.use("codec"):
            for samples in model.codec.warm_up(context, ask, voice):
                check_finite(samples, "chatterbox")

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
        """The one that comes with the checkpoint, if it does."""
        return listed(model.builtin)

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.engine = model.codec = model.encoders = model.watermarker = None
        model.turns = Turns()


def _attention(context: Context, engine: Engine, codec: Codec) -> dict[str, object]:
    """Which kernels run, for the status: the flow's, and T3's, which attends over a mask.

    Raises:
        AttentionUnavailable: With ``strict``, where the one that was asked for cannot be had.
    """
    settings = context.settings
    t3 = attention_of(context, engine.t3.decoder)
    flow = choose(
        settings.attention, context.device, codec.dtype, HEAD_SIZE,
        masked=codec.graphed, fallback=not settings.strict, own=(),
    )  # fmt: skip
    found: dict[str, object] = {**flow.details(), "t3_attention": t3.chosen}
    return {**found, "attention": "own"} if codec.has_own_attention else found


def _warm_ask(model: OptimizedModel) -> Ask:
    return Ask(
        kind=model.kind,
        ids=model.reader.ids(_WARM_TEXT, "en"),
        language="en",
        exaggeration=0.5,
        cfg_weight=0.5,
        temperature=0.8,
        repetition_penalty=1.2,
        min_p=0.05,
        top_p=1.0,
        top_k=int(DEFAULTS[model.kind].top_k or 0),
        least=2,
        most=2,
        forced=True,
        steps=1,
        seed=0,
        watermark=False,
        chunk_tokens=25,
        lookahead_tokens=3,
    )


def _nobody() -> Conditionals:
    """A voice of the right shapes, for a checkpoint that brings none."""
    tokens = torch.zeros(1, 25, dtype=torch.int64)
    return Conditionals(
        speaker=torch.zeros(1, 256),
        t3_tokens=tokens,
        tokens=tokens,
        mel=torch.zeros(1, 50, 80),
        embedding=torch.zeros(1, 192),
    )
