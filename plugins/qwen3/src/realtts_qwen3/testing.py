"""The tools of `realtts bench` and `realtts verify`: random weights, frames, logits and scores."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from realtts.testing.weights import new_checkpoint
from realtts_qwen3.checkpoint import write_checkpoint
from realtts_qwen3.configurations import CONFIGURATIONS
from realtts_qwen3.frames import frames_of
from realtts_qwen3.model import asked as asked_optimized
from realtts_qwen3.network import Talker
from realtts_qwen3.plain import PlainModel, asked
from realtts_qwen3.ported import PortedNetworks
from realtts_qwen3.reference import Upstream
from realtts_qwen3.replay import logits_along, scores_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_qwen3.utterance import Utterance

__all__ = ["TOKENS_PER_CHAR", "TOLERANCES", "scores", "teacher_forced", "tokens", "write_random_checkpoint"]

TOKENS_PER_CHAR = 0.85
"""12.5 frames a second, at about 15 characters a second."""

TOLERANCES = {"float32": 1e-4, "bfloat16": 0.03, "int8": 0.1, "audio": 1e-4, "streaming": 1e-5}
"""The largest differences that are promised between our networks and upstream's. Measured with random weights, tiny and
at full size: 0.006 and 0.007 in bfloat16, 0.025 and 0.040 in int8."""


def write_random_checkpoint(
    path: Path | str, size: str = "tiny", seed: int = 0, *, model: str = "0.6b-custom-voice", eos_bias: float = 0.0
) -> None:
    """Write random weights in upstream's own files, a small vocabulary among them.

    Args:
        path: Folder, made if it is not there.
        size: ``"tiny"``, or ``"full"`` as upstream's.
        seed: Seed of the weights.
        model: Name of one of the spec's checkpoints, such as ``"0.6b-base"`` or ``"1.7b-voice-design"``.
        eos_bias: Raises the logit of the end of speech by about so much, at every frame. Of 2049 tokens random weights
            hardly ever draw that one.

    Raises:
        InvalidOption: An unknown size or model.
    """
    folder = new_checkpoint(path, model=(model, CONFIGURATIONS), size=(size, ("tiny", "full")))
    write_checkpoint(folder, size, seed, model=model, eos_bias=eos_bias)


def tokens(context: Context, model: Any, request: Request) -> NDArray[np.int64]:
    """Draw the frames that `generate` would draw, int64 (n, 16)."""
    utterance = _utterance(context, model, request)
    if isinstance(model, PlainModel):
        assert model.networks is not None
        drawn = model.networks.draw(utterance, request.cancelled)[0]
    else:
        blocks = model.engine.talker.decode([utterance])
        drawn = torch.cat([frames_of(block) for block in model.engine.turns.each("talker", blocks)])
    codes: NDArray[np.int64] = drawn.cpu().numpy()
    return codes


def teacher_forced(context: Context, model: Any, request: Request, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute the logits of all sixteen codes of each frame, given the frames, float32 (n, 3072 + 15 * 2048)."""
    utterance = _utterance(context, model, request)
    codes = torch.from_numpy(np.asarray(tokens, np.int64))
    if isinstance(model, PlainModel) and isinstance(model.networks, Upstream):
        logits = logits_along(model.networks, utterance, codes)
    else:
        with _network(context, model) as network:
            first, others = network.logits(utterance, codes)
        logits = torch.cat([first, others.flatten(1)], 1)  # (n, 3072) and (n, 15, 2048)
    values: NDArray[np.float32] = logits.float().cpu().numpy()
    return values


def scores(context: Context, model: Any, request: Request, tokens: NDArray[np.int64], step: int) -> NDArray[np.float32]:
    """Compute probability over noise of every candidate of one decision, float32 (candidates,).

    Args:
        context: Context of the stage.
        model: Model of either variant.
        request: What is spoken.
        tokens: int64 (n, 16): the frames that were drawn.
        step: Index of the decision, counted over frames and their codes.
    """
    utterance = _utterance(context, model, request)
    codes = torch.from_numpy(np.asarray(tokens, np.int64))
    with _network(context, model) as network:
        candidates = scores_at(network, utterance, codes, *divmod(step, codes.shape[1]))
    values: NDArray[np.float32] = candidates.float().cpu().numpy()
    return values


@contextlib.contextmanager
def _network(context: Context, model: Any) -> Iterator[Talker]:
    """Yield the model's talker; for upstream's networks, ours with the same weights in float32."""
    if not isinstance(model, PlainModel):
        with model.engine.turns.use("talker"):
            yield model.engine.talker
    elif isinstance(model.networks, PortedNetworks):
        yield model.networks.talker
    else:
        yield Talker.from_state_dict(model.weights.sizes, model.weights.states.talker, device=context.device)


def _utterance(context: Context, model: Any, request: Request) -> Utterance:
    return (asked if isinstance(model, PlainModel) else asked_optimized)(context, model, request)[1]
