"""What `realtts bench` and `realtts verify` ask of a plugin: random weights, and a look at its insides."""

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
"""What is promised of our networks against transformers'. Of streams it is said of windows that see the whole."""

STREAM_OPTIONS = {"chunk_frames": 500, "lookback": 1000, "look_ahead": 500}
"""Windows that see the whole of a sentence, as those of a stream's other sizes do not."""


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
    """What `generate` would draw at first, sentence after sentence, each with the end if it was drawn; shape (n,)."""
    found: list[int] = []
    end = _weights(model).reader.speech.end
    for utterance in _utterances(context, model, request):
        drawn, ended = _drawn(model, utterance, request)
        found += [*drawn, end] if ended else drawn
    return np.asarray(found, np.int64)


def teacher_forced(context: Context, model: Any, request: Request, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits of each token, with the given ones as the past, shape (n, 65537): of the codes and the end.

    The others are left out, for a head of speech alone does not have them.
    """
    utterances = _utterances(context, model, request)
    found = [_logits(model, utterance, part) for utterance, part in _parts(utterances, tokens, _weights(model))]
    values: NDArray[np.float32] = torch.cat(found).float().cpu().numpy()
    return values


def scores(context: Context, model: Any, request: Request, tokens: NDArray[np.int64], step: int) -> NDArray[np.float32]:
    """Probability over noise of every token of one decision, shape (vocabulary,).

    Args:
        context: Of the stage.
        model: Of either variant.
        request: What is spoken.
        tokens: int64 (n,): what was drawn.
        step: Which decision, counted over all sentences.
    """
    weights = _weights(model)
    for utterance, part in _parts(_utterances(context, model, request), tokens, weights):
        if step < len(part):
            with _network(context, model) as network:
                found = scores_at(network, utterance, part, step)
            values: NDArray[np.float32] = found.float().cpu().numpy()
            return values
        step -= len(part)
    raise IndexError(f"there are only {len(tokens)} decisions")


@contextlib.contextmanager
def _network(context: Context, model: Any) -> Iterator[SpeechLM]:
    """The model's own; of transformers' network, ours with the same weights in float32."""
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
    """Tokens, and whether the model ended them."""
    if isinstance(model, PlainModel):
        assert isinstance(model.networks, Upstream)
        return model.networks.draw(utterance, request.cancelled)
    drawn: list[int] = []
    stopped = False
    for found in model.engine.turns.each("lm", model.engine.lm.decode([utterance])):
        drawn += found.tokens[0]
        stopped = found.stopped[0]
    return drawn, stopped


def _logits(model: Any, utterance: Utterance, part: list[int]) -> Tensor:
    """Of codes and end."""
    if isinstance(model, PlainModel):
        assert isinstance(model.networks, Upstream)
        found, kind = model.networks.logits(utterance, part), "full"
    else:
        with model.engine.turns.use("lm"):
            found, kind = model.engine.lm.logits(utterance, part), model.engine.lm.outputs.kind
    speech = _weights(model).reader.speech
    return found if kind == "speech" else found[:, torch.tensor([*speech.codes, speech.end], device=found.device)]


def _weights(model: Any) -> Weights:
    weights: Weights | None = model.weights
    assert weights is not None, "v3 Turbo has no tokens of this kind"
    return weights


def _parts(
    utterances: Sequence[Utterance], tokens: NDArray[np.int64], weights: Weights
) -> list[tuple[Utterance, list[int]]]:
    """Each sentence with its own of the tokens: up to the end, or as many as it may have."""
    left, found = [int(token) for token in tokens], []
    for utterance in utterances:
        own = left[: utterance.most]
        if not utterance.forced and weights.reader.speech.end in own:
            own = own[: own.index(weights.reader.speech.end) + 1]
        left = left[len(own) :]
        found.append((utterance, own))
    return found
