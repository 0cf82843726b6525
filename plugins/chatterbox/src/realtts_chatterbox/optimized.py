"""The optimized variant: T3 on the toolkit's decoder, S3Gen as networks of our own, voices cached on disk.

Not run on a GPU yet: the rungs with CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from realtts import stages
from realtts.accel.attention import choose
from realtts.accel.finite import check_finite
from realtts.accel.rungs import attention_of, decoder_rungs, graphs_of, precision_of, why_no_graphs
from realtts.accel.turns import Turns, offload_rungs, turns_of, why_no_graphs_offloaded
from realtts.accel.voice_cache import DiskVoiceCache
from realtts.events import Event
from realtts.hookspecs import hookimpl
from realtts.speech import Chunk, VoiceInfo
from realtts_chatterbox.codec import Codec
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.conditioning import BUILTIN, RATE, resolve_voice
from realtts_chatterbox.engine import Engine, utterance_of
from realtts_chatterbox.files import T3_FILES
from realtts_chatterbox.flow import Cancelled
from realtts_chatterbox.frontend import DEFAULTS, Ask, prepare
from realtts_chatterbox.loading import (
    codec_states,
    encoders_identity,
    fetch,
    read_builtin,
    read_encoders,
    read_t3_state,
    read_tokenizer,
)
from realtts_chatterbox.reference import SOUNDS
from realtts_chatterbox.sizes import HEAD_SIZE
from realtts_chatterbox.watermark import Watermarker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from realtts.checkpoints import Files
    from realtts.context import Context, Rung
    from realtts.speech import FinishReason, Request
    from realtts_chatterbox.loading import Encoders
    from realtts_chatterbox.text import TextReader

__all__ = ["Optimized", "OptimizedModel"]

_WARM_TEXT = "Warm up."


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        kind: ``"english"``, ``"multilingual"`` or ``"turbo"``.
        files: Of the checkpoint.
        weights: `realtts_chatterbox.loading.encoders_identity`.
        reader: Text to ids.
        builtin: The built-in voice, if the checkpoint has one.
        watermarker: Of upstream.
        voices: Conditionals, in memory and on disk.
        encoders: What makes conditionals; read when a voice is first unknown.
        engine: Draws tokens; None before `convert_precision` and after `unload`.
        codec: Makes samples of them; None as `engine`.
        turns: Who of ``t3``, ``codec`` and ``encoders`` has the device.
    """

    kind: str
    files: Files
    weights: str
    reader: TextReader
    builtin: Conditionals | None
    watermarker: Watermarker | None
    voices: DiskVoiceCache
    encoders: Encoders | None = None
    engine: Engine | None = None
    codec: Codec | None = None
    turns: Turns = field(default_factory=Turns)


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
        """The one that comes with the checkpoint, if it does."""
        if model.builtin is None:
            return []
        return [VoiceInfo(BUILTIN, name="Default", description="The voice that comes with the checkpoint")]

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.engine = model.codec = model.encoders = model.watermarker = None
        model.turns = Turns()


def _whole(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Requests spoken as wholes: all tokens of all first, then the sound of each."""
    assert model.engine is not None, "used after unload"
    assert model.codec is not None, "used after unload"
    asks = [prepare(context, model.reader, request) for request in requests]
    voices = [_voice_of(context, model, request) for request in requests]
    cancelled = [request.cancelled for request in requests]
    tokens: list[list[int]] = [[] for _ in requests]
    reasons: list[FinishReason | None] = [None] * len(requests)
    for row, new, reason in model.turns.each("t3", model.engine.decode(context, asks, voices, cancelled)):
        tokens[row] += heard(new)
        reasons[row] = reason
    counts = [len(found) for found in tokens]
    for row, reason in enumerate(reasons):
        if reason is None or cancelled[row]():  # cancelled: nothing more of it is computed
            tokens[row] = []
        elif not tokens[row]:
            yield row, _chunk(context, model, asks[row], np.zeros(0, np.float32), reason, 0)

    def nobody_waits() -> bool:
        return all(stopped() for stopped in cancelled)

    with contextlib.suppress(Cancelled):
        spoken = model.codec.whole(context, tokens, asks, voices, nobody_waits)
        for row, samples in model.turns.each("codec", spoken):
            yield row, _chunk(context, model, asks[row], _host(samples), reasons[row], counts[row])


def _live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    """One request as a stream: each chunk as soon as the flow has seen a little beyond it."""
    assert model.engine is not None, "used after unload"
    assert model.codec is not None, "used after unload"
    ask = prepare(context, model.reader, request)
    voice = _voice_of(context, model, request)
    # Tokens come a few at a time, and most of them only wait: the codec takes its turn when it has enough.
    stream = model.codec.stream(context, ask, voice, request.cancelled, lambda: model.turns.use("codec"))
    counted = 0
    with contextlib.suppress(Cancelled):
        drawn = model.engine.decode(context, [ask], [voice], [request.cancelled])
        for _, new, reason in model.turns.each("t3", drawn):
            tokens = heard(new)
            counted += len(tokens)
            final = reason is not None
            said = [*tokens, *(model.codec.ending() if final else ())]
            samples = stream.push(said, final=final)
            if len(samples) or final:
                yield _chunk(context, model, ask, _host(samples), reason, counted)
                counted = 0


def heard(tokens: Sequence[int]) -> list[int]:
    """Those that are sound; T3 may draw others, which upstream drops too."""
    return [token for token in tokens if token < SOUNDS]


def _chunk(  # noqa: PLR0917 - private, called in this file
    context: Context,
    model: OptimizedModel,
    ask: Ask,
    samples: np.ndarray[tuple[int], np.dtype[np.float32]],
    reason: FinishReason | None,
    tokens: int,
) -> Chunk:
    if ask.watermark and len(samples):
        assert model.watermarker is not None, "used after unload"
        with stages.timed(context, "watermark", dtype="float32"):
            samples = model.watermarker(samples, RATE)
    return Chunk(samples, RATE, tokens=tokens, finish_reason=reason, warnings=ask.warnings if reason else ())


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


def _host(samples: Tensor) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    found: np.ndarray[tuple[int], np.dtype[np.float32]] = samples.float().cpu().numpy()
    return found


def _voice_of(context: Context, model: OptimizedModel, request: Request) -> Conditionals:
    """The conditionals of the request's voice; the networks that make them are read when one is first unknown."""
    with contextlib.ExitStack() as while_needed:

        def encoders() -> Encoders:
            if model.encoders is None:
                model.turns.clear()
                model.encoders = read_encoders(model.files, model.kind, context.device)
                model.turns.add("encoders", model.encoders)
            while_needed.enter_context(model.turns.use("encoders"))
            return model.encoders

        found = resolve_voice(
            context, request, model.kind, encoders, model.builtin, weights=model.weights, cache=model.voices
        )
    if context.settings.cpu_offload and not model.turns.offloaded:
        model.encoders = None
    return found


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
