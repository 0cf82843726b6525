"""The plain variant: transformers' own language model and NeuCodec in float32, one sentence after the other.

v3 Turbo, another architecture, is spoken by upstream's package: `realtts_vieneu.turbo`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from realtts.audio import Joiner
from realtts.contract import timing
from realtts.contract.hooks import hookimpl
from realtts.contract.stages import Cancelled
from realtts.contract.types import Chunk
from realtts.kit.retries import retry_warning
from realtts_vieneu.constants import RATE, TOKENS_PER_SECOND
from realtts_vieneu.frontend import prepare, utterances_of
from realtts_vieneu.loading import Weights, fetch, open_checkpoint
from realtts_vieneu.reference import Upstream
from realtts_vieneu.turbo import Turbo
from realtts_vieneu.upstream import load_upstream
from realtts_vieneu.utterance import again, fault_of
from realtts_vieneu.voices import codes_of, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason, Request, VoiceInfo
    from realtts_vieneu.frontend import Ask
    from realtts_vieneu.utterance import Utterance

__all__ = ["Plain", "PlainModel", "asked"]


@dataclass
class PlainModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint; None of v3 Turbo.
        networks: transformers' or upstream's; None after `unload`.
    """

    weights: Weights | None
    networks: Upstream | Turbo | None


class Plain:
    """The hooks."""

    @hookimpl
    def load(self, context: Context) -> PlainModel:
        """Read the language model and the codec's decoder."""
        # A package that is missing is named before any weights are downloaded.
        files = fetch(context.checkpoint, context.report, check=lambda turbo: load_upstream(turbo=turbo))
        if files.turbo:
            return PlainModel(None, Turbo(files, context.settings.threads))
        weights = open_checkpoint(files)
        return PlainModel(weights, Upstream(weights, context.device))

    @hookimpl
    def generate(self, context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
        """Speak sentence by sentence, each in one chunk, with a pause behind all but the last."""
        assert model.networks is not None, "used after unload"
        if isinstance(model.networks, Turbo):
            return model.networks.speak(context, request)
        return _spoken(context, model, request)

    @hookimpl
    def voices(self, context: Context, model: PlainModel) -> Sequence[VoiceInfo]:
        """List the voices of the checkpoint."""
        if isinstance(model.networks, Turbo):
            return model.networks.voices()
        assert model.weights is not None
        return listed(model.weights.presets)

    @hookimpl
    def unload(self, context: Context, model: PlainModel) -> None:
        """Let go of the weights, even where something still refers to the model."""
        model.networks = None


def asked(context: Context, model: PlainModel, request: Request) -> tuple[Ask, list[Utterance]]:
    """Return a request in the model's terms, its voice encoded."""
    weights, networks = model.weights, model.networks
    assert weights is not None
    assert isinstance(networks, Upstream), "used after unload"
    ask = prepare(context, weights, request)
    codes: Sequence[int] = ask.codes
    if ask.voice is not None:
        codes = codes_of(context, ask.voice, networks, weights=weights.identity).tolist()
    return ask, utterances_of(weights, ask, codes)


def _spoken(context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
    networks = model.networks
    assert isinstance(networks, Upstream)
    ask, utterances = asked(context, model, request)
    joiner = Joiner(RATE, alone=len(utterances) == 1)
    reason: FinishReason = "stop"
    for number, utterance in enumerate(utterances, 1):
        try:
            drawn = _drawn(context, networks, utterance, request.cancelled)
        except Cancelled:
            return
        with timing.timed(context, "codec", steps=drawn.tokens, dtype="float32"):
            samples = networks.samples(drawn.codes, ask.codec_device)
        reason = reason if drawn.ended else "length"
        last = number == len(utterances)
        joined = [joiner.push(samples), joiner.finish() if last else joiner.end_piece(ask.silence)]
        yield Chunk(
            np.concatenate(joined), RATE, tokens=drawn.tokens, finish_reason=reason if last else None,
            warnings=(*drawn.warnings, *(ask.warnings if last else ())), retries=len(drawn.warnings),
            unread=ask.unread if last else (),
        )  # fmt: skip


@dataclass
class _Drawn:
    """A sentence that was drawn.

    Attributes:
        codes: Of the codec.
        tokens: Number of tokens that were drawn.
        ended: Whether the model ended it.
        warnings: Say that it was drawn again, and why.
    """

    codes: Tensor
    tokens: int
    ended: bool
    warnings: list[str] = field(default_factory=list)


def _drawn(context: Context, networks: Upstream, utterance: Utterance, cancelled: Callable[[], bool]) -> _Drawn:
    """Draw a sentence, and once more if it ran away or ended too early."""
    with timing.timed(context, "lm", dtype="float32") as work:
        tokens, ended = networks.draw(utterance, cancelled)
        work.add(steps=len(tokens))
    drawn = _Drawn(networks.heard(tokens), len(tokens), ended)
    if fault := fault_of(utterance, len(drawn.codes) / TOKENS_PER_SECOND, stopped=ended):
        drawn = _drawn(context, networks, again(utterance), cancelled)
        drawn.warnings.append(retry_warning(utterance.text, fault))
    return drawn
