"""The functions that `realtts bench` and `realtts verify` call: random weights, tokens and logits of the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.errors import InvalidOption
from realtts.testing.weights import new_checkpoint
from realtts_chatterbox.checkpoint import write_checkpoint
from realtts_chatterbox.configurations import CONFIGURATIONS
from realtts_chatterbox.engine import utterance_of
from realtts_chatterbox.model import asked as asked_optimized
from realtts_chatterbox.plain import PlainModel, asked
from realtts_chatterbox.replay import logits_along, scores_at
from realtts_chatterbox.utterance import STOP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask

__all__ = ["TOKENS_PER_CHAR", "TOLERANCES", "scores", "teacher_forced", "tokens", "write_random_checkpoint"]

TOKENS_PER_CHAR = 1.7
"""25 tokens a second over about 15 characters a second."""

TOLERANCES = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.2, "audio": 1e-3, "streaming": 1.0}
"""Relative errors, about twice those measured with random weights of both sizes; trained weights may need less. A
stream is another rendering than the whole, because the flow looks both ways: its samples need not agree."""


def write_random_checkpoint(
    path: Path | str,
    size: str = "tiny",
    seed: int = 0,
    *,
    model: str = "english",
    eos_bias: float = 0.0,
    f0_bias: float = 0.0,
) -> None:
    """Write random weights in upstream's own files, the built-in voice and a small vocabulary among them.

    Args:
        path: Folder, made if it is not there.
        size: ``"tiny"``, or ``"full"`` as upstream's.
        seed: Of the weights.
        model: ``"english"``, ``"multilingual"`` or ``"turbo"``.
        eos_bias: About how much the logit of the end of speech is raised, at every step. Random weights hardly ever
            draw that one of 8194 tokens; with 9 the chance is about one in two.
        f0_bias: Average pitch in Hz that the vocoder predicts; with 0 everything is unvoiced, because random weights
            stay below its threshold of 10 Hz.

    Raises:
        InvalidOption: An unknown size or model.
    """
    folder = new_checkpoint(path, model=(model, CONFIGURATIONS), size=(size, ("tiny", "full")))
    write_checkpoint(folder, size, seed, model=model, eos_bias=eos_bias, f0_bias=f0_bias)


def tokens(context: Context, model: Any, request: Request) -> NDArray[np.int64]:
    """Draw tokens with T3: all but the end, shape (n,). Tokens that are no sound stay in: T3 reads them as its past."""
    ask, voice = _asked(context, model, request)
    if isinstance(model, PlainModel):
        assert model.networks is not None
        drawn = model.networks.draw(ask, voice, request.cancelled)
    else:
        with model.turns.use("t3"):
            blocks = model.engine.t3.decode([utterance_of(ask, voice)])
            drawn = [token for block in blocks for token in block.tokens]
    return np.array([token for token in drawn if token != STOP], np.int64)


def teacher_forced(
    context: Context, model: Any, request: Request, tokens: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the logits, guided and before any processor, with the given tokens as the past: (n, vocabulary)."""
    ask, voice = _asked(context, model, request)
    past = [int(token) for token in tokens]
    if isinstance(model, PlainModel):
        assert model.networks is not None
        logits = logits_along(model.networks, ask, voice, past)
    else:
        with model.turns.use("t3"):
            logits = model.engine.logits(ask, voice, past)
    on_host: NDArray[np.float32] = logits.float().cpu().numpy()
    return on_host


def scores(context: Context, model: Any, request: Request, tokens: NDArray[np.int64], step: int) -> NDArray[np.float32]:
    """Return the probability over noise of every candidate of one decision, shape (vocabulary,).

    Only the plain variant's model can tell.

    Raises:
        InvalidOption: Another model was given.
    """
    if not isinstance(model, PlainModel) or model.networks is None:
        raise InvalidOption(
            "only upstream's loop tells its decisions", who="scores", fix="give the plain variant's model"
        )
    ask, voice = _asked(context, model, request)
    past = [int(token) for token in tokens]
    on_host: NDArray[np.float32] = scores_at(model.networks, ask, voice, past, step).cpu().numpy()
    return on_host


def _asked(context: Context, model: Any, request: Request) -> tuple[Ask, Conditionals]:
    return (asked if isinstance(model, PlainModel) else asked_optimized)(context, model, request)
