"""What `realtts bench` and `realtts verify` ask of a plugin: random weights, and a look at its insides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file

from realtts_toylm.frontend import POSITIONS, STOP, VOCABULARY, prepare
from realtts_toylm.loading import CONFIG, WEIGHTS, empty_network
from realtts_toylm.plain import probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_toylm.model import Model

__all__ = ["TOKENS_PER_CHAR", "TOLERANCES", "scores", "teacher_forced", "tokens", "write_random_checkpoint"]

TOKENS_PER_CHAR = 1.5
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.03, "int8": 0.1, "int4": 0.5, "streaming": 1e-5, "audio": 1e-5}
"""About twice what random weights of both sizes were measured to give; a trained model's may be tighter."""

_SIZES: dict[str, dict[str, int]] = {
    "tiny": {"num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 192, "num_attention_heads": 4},
    "full": {"num_hidden_layers": 12, "hidden_size": 512, "intermediate_size": 1536, "num_attention_heads": 8},
}


def write_random_checkpoint(path: Path, size: str = "tiny", seed: int = 0, *, stop_bias: float = 3.0) -> None:
    """Write random weights.

    Args:
        path: Existing folder.
        size: ``"tiny"`` (3 layers of 64) or ``"full"`` (12 layers of 512).
        seed: Of the weights.
        stop_bias: Bias of the end of speech. Random weights hardly ever end by themselves: with the default, texts end
            in an ordinary way; -100 never ends, 100 ends as soon as it may.
    """
    shape = _SIZES[size]
    config: dict[str, Any] = {
        "model_type": "qwen3",
        **shape,
        "num_key_value_heads": shape["num_attention_heads"] // 2,
        "head_dim": shape["hidden_size"] // shape["num_attention_heads"],
        "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    draw = torch.Generator().manual_seed(seed)
    state = {name: _random(name, like, draw) for name, like in empty_network(config).state_dict().items()}
    state["lm_head.bias"][STOP] = stop_bias
    (path / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    save_file(state, path / WEIGHTS)


def tokens(context: Context, model: Model, request: Request) -> NDArray[np.int64]:
    """Return the tokens that `generate` would decode, shape (n,)."""
    assert model.engine is not None
    return np.array([token for block in model.engine.decode(context, request) for token in block.tokens], np.int64)


def teacher_forced(
    context: Context, model: Model, request: Request, tokens: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return logits with the given tokens as the past, shape (n, vocabulary)."""
    assert model.engine is not None
    logits: NDArray[np.float32] = model.engine.logits(request.text, [int(token) for token in tokens]).cpu().numpy()
    return logits


def scores(
    context: Context, model: Model, request: Request, tokens: NDArray[np.int64], step: int
) -> NDArray[np.float32]:
    """Return probability over noise of every candidate of one decision, shape (vocabulary,)."""
    ask = prepare(context, request)
    logits = torch.from_numpy(teacher_forced(context, model, request, tokens[: step + 1])[-1])
    noise = torch.Generator(context.device).manual_seed(ask.seed)
    e = torch.empty(VOCABULARY, device=context.device)
    for _ in range(step + 1):
        e.exponential_(generator=noise)
    ratios: NDArray[np.float32] = (probabilities(logits, step, ask) / e.cpu()).numpy()
    return ratios


def _random(name: str, like: Tensor, draw: torch.Generator) -> Tensor:
    """Return a tensor scaled so that activations and logits stay in the range of a trained model's."""
    values: Tensor = torch.randn(like.shape, generator=draw)
    if name.endswith("norm.weight"):
        return 1 + 0.1 * values
    if name == "lm_head.bias":
        return 0.1 * values
    if "embed" in name:
        return values
    spread = 1.5 if name == "lm_head.weight" else 1.0
    scaled: Tensor = values * (spread / like.shape[1] ** 0.5)
    return scaled
