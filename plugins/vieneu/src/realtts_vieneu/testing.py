"""Functions for `realtts bench` and `realtts verify`: random weights, and a request's tokens, logits and scores."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from realtts.testing.weights import new_checkpoint
from realtts_vieneu.checkpoint import write_checkpoint
from realtts_vieneu.configurations import CONFIGURATIONS, TURBO
from realtts_vieneu.model import asked as asked_optimized
from realtts_vieneu.network import SpeechLM
from realtts_vieneu.plain import PlainModel, asked
from realtts_vieneu.reference import Upstream
from realtts_vieneu.replay import scores_at
from realtts_vieneu.turbo_checkpoint import write_turbo_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_vieneu.loading import Weights
    from realtts_vieneu.utterance import Utterance

__all__ = [
    "STREAM_OPTIONS",
    "TOKENS_PER_CHAR",
    "TOLERANCES",
    "scores",
    "teacher_forced",
    "tokens",
    "write_random_checkpoint",
]

TOKENS_PER_CHAR = 3.4
"""50 tokens a second, at about 15 characters a second."""

TOLERANCES = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.1, "streaming": 1e-5, "audio": 1e-4}
"""Largest differences between our networks and transformers'; of streams, with windows that see the whole sentence."""

STREAM_OPTIONS = {"chunk_frames": 500, "lookback": 1000, "look_ahead": 500}
"""Windows that see the whole sentence; smaller ones sound a little different."""


def write_random_checkpoint(
    path: Path | str,
    size: str = "tiny",
    seed: int = 0,
    *,
    model: str = "v2",
    eos_bias: float = 0.0,
    cloning: bool | None = None,
) -> None:
    """Write random weights in upstream's own files: language model, small vocabulary, two voices, and the codec.

    Args:
        path: Folder, made if it is not there.
        size: ``"tiny"``, or ``"full"`` as upstream's.
        seed: Of the weights.
        model: ``"v1"``, ``"0.3b"`` or ``"v2"``; or ``"v3-turbo"``, tiny alone: random graphs for upstream's engine,
            which are not its architecture, and need the package ``onnx``.
        eos_bias: Raises the logit of the end of speech by about so much, at every step. Of 65,537 tokens random weights
            hardly ever draw that one.
        cloning: With the codec's encoder, 580 M weights at full size; default: in the tiny one.

    Raises:
        InvalidOption: An unknown size or model.
        MissingExtra: onnx is not installed, which v3 Turbo's graphs are written with.
    """
    sizes = ("tiny",) if model == TURBO else ("tiny", "full")
    folder = new_checkpoint(path, model=(model, CONFIGURATIONS), size=(size, sizes))
    if model == TURBO:
        write_turbo_checkpoint(folder, seed, eos_bias=eos_bias)
        return
    write_checkpoint(
        folder, size, seed, model=model, eos_bias=eos_bias, cloning=size == "tiny" if cloning is None else cloning
    )


def tokens(context: Context, model: Any, request: Request) -> NDArray[np.int64]:
    """Return the tokens that `generate` draws at first, sentence after sentence, each with its end; int64 (n,)."""
    every: list[int] = []
    end = _weights(model).reader.speech.end
    for utterance in _utterances(context, model, request):
        drawn, ended = _drawn(model, utterance, request)
        every += [*drawn, end] if ended else drawn
    return np.asarray(every, np.int64)


def teacher_forced(context: Context, model: Any, request: Request, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the logits of each token, with the given tokens as the past, (n, 65537): of the codes and the end.

    Other tokens are left out, because a head of speech alone does not have them.
    """
    utterances = _utterances(context, model, request)
    logits = [_logits(model, utterance, part) for utterance, part in _parts(utterances, tokens, _weights(model))]
    values: NDArray[np.float32] = torch.cat(logits).float().cpu().numpy()
    return values


def scores(context: Context, model: Any, request: Request, tokens: NDArray[np.int64], step: int) -> NDArray[np.float32]:
    """Return probability over noise of every token of one decision, (vocabulary,).

    Args:
        context: Of the stage.
        model: Of either variant.
        request: What is spoken.
        tokens: int64 (n,): the tokens that were drawn.
        step: Which decision, counted over all sentences.
    """
    weights = _weights(model)
    for utterance, part in _parts(_utterances(context, model, request), tokens, weights):
        if step < len(part):
            with _network(context, model) as network:
                scores = scores_at(network, utterance, part, step)
            values: NDArray[np.float32] = scores.float().cpu().numpy()
            return values
        step -= len(part)
    raise IndexError(f"there are only {len(tokens)} decisions")


@contextlib.contextmanager
def _network(context: Context, model: Any) -> Iterator[SpeechLM]:
    """Yield the model's network; for transformers' network ours with the same weights in float32."""
    if isinstance(model, PlainModel):
        weights = _weights(model)
        yield SpeechLM.from_state_dict(
            weights.sizes, weights.reader.speech, weights.model_state, device=context.device, head="full"
        )
    else:
        with model.engine.turns.use("lm"):
            yield model.engine.lm


def _utterances(context: Context, model: Any, request: Request) -> list[Utterance]:
    return (asked if isinstance(model, PlainModel) else asked_optimized)(context, model, request)[1]


def _drawn(model: Any, utterance: Utterance, request: Request) -> tuple[list[int], bool]:
    """Return the tokens of an utterance, and whether the model ended it."""
    if isinstance(model, PlainModel):
        assert isinstance(model.networks, Upstream)
        return model.networks.draw(utterance, request.cancelled)
    drawn: list[int] = []
    stopped = False
    for new in model.engine.turns.each("lm", model.engine.lm.decode([utterance])):
        drawn += new.tokens
        stopped = new.stopped
    return drawn, stopped


def _logits(model: Any, utterance: Utterance, part: list[int]) -> Tensor:
    """Return the logits of codes and end."""
    if isinstance(model, PlainModel):
        assert isinstance(model.networks, Upstream)
        logits, kind = model.networks.logits(utterance, part), "full"
    else:
        with model.engine.turns.use("lm"):
            logits, kind = model.engine.lm.logits(utterance, part), model.engine.lm.outputs.kind
    speech = _weights(model).reader.speech
    return logits if kind == "speech" else logits[:, torch.tensor([*speech.codes, speech.end], device=logits.device)]


def _weights(model: Any) -> Weights:
    weights: Weights | None = model.weights
    assert weights is not None, "v3 Turbo has no tokens of this kind"
    return weights


def _parts(
    utterances: Sequence[Utterance], tokens: NDArray[np.int64], weights: Weights
) -> list[tuple[Utterance, list[int]]]:
    """Divide tokens among sentences: each has those up to its end, or up to its limit."""
    left, parts = [int(token) for token in tokens], []
    for utterance in utterances:
        part = left[: utterance.most]
        if not utterance.forced and weights.reader.speech.end in part:
            part = part[: part.index(weights.reader.speech.end) + 1]
        left = left[len(part) :]
        parts.append((utterance, part))
    return parts
