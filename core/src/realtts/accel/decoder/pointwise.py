"""The pointwise work between a layer's matrix products: pure functions, run as they are or compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from realtts.accel.layers.positions import rotated

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig

__all__ = ["Pointwise", "gated", "gelu", "heads", "normed"]


def normed(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """Apply RMS norm (Zhang and Sennrich, 2019, arXiv:1910.07467) over the last dimension; with a bias LayerNorm."""
    if bias is None:
        return functional.rms_norm(x, weight.shape, weight, eps)
    return functional.layer_norm(x, weight.shape, weight, bias, eps)


def heads(  # noqa: PLR0917 - called once per layer and step, where keywords cost time
    qkv: Tensor,
    q_norm: Tensor | None,
    k_norm: Tensor | None,
    eps: float,
    cos: Tensor | None,
    sin: Tensor | None,
    kv_heads: int,
) -> tuple[Tensor, Tensor]:
    """Split queries, keys and values, and norm and rotate queries and keys.

    Args:
        qkv: (tokens, heads + 2 kv_heads, head_dim).
        q_norm: (head_dim,) or None.
        k_norm: (head_dim,) or None.
        eps: Epsilon of the norms.
        cos: (tokens, 1, head_dim), or None: nothing is rotated.
        sin: (tokens, 1, head_dim), as `rotated` wants it, or None.
        kv_heads: Key and value heads.

    Returns:
        Queries (tokens, heads, head_dim) and keys with values (tokens, 2, kv_heads, head_dim).
    """
    # (tokens, heads + 2 kv_heads, d) -> (tokens, heads, d), and twice (tokens, kv_heads, d): views, nothing is copied
    q, k, v = qkv.split_with_sizes([qkv.shape[1] - 2 * kv_heads, kv_heads, kv_heads], 1)
    if q_norm is not None:
        q = normed(q, q_norm, None, eps)
    if k_norm is not None:
        k = normed(k, k_norm, None, eps)
    if cos is None or sin is None:
        return q, torch.stack([k, v], 1)
    return rotated(q, cos, sin), torch.stack([rotated(k, cos, sin), v], 1)


def gated(gate_up: Tensor) -> Tensor:
    """Multiply the second half by the SiLU of the first (Shazeer, 2020, arXiv:2002.05202)."""
    gate, up = gate_up.chunk(2, -1)  # (tokens, 2 mlp) -> twice (tokens, mlp)
    return functional.silu(gate) * up


def gelu(up: Tensor) -> Tensor:
    """Apply GELU (Hendrycks and Gimpel, 2016, arXiv:1606.08415) in the tanh form, which GPT-2 was trained with."""
    return functional.gelu(up, approximate="tanh")


@dataclass(frozen=True)
class Pointwise:
    """The pointwise functions of a decoder, plain or compiled.

    Attributes:
        normed: As `normed`.
        heads: As `heads`.
        activated: The MLP's activation, as `gated` or `gelu`.
    """

    normed: Callable[..., Tensor] = normed
    heads: Callable[..., tuple[Tensor, Tensor]] = heads
    activated: Callable[..., Tensor] = gated

    @classmethod
    def of(cls, config: DecoderConfig) -> Pointwise:
        """Return the plain functions of a decoder."""
        return cls(activated=gelu if config.family == "gpt2" else gated)

    @property
    def all(self) -> tuple[Callable[..., Any], ...]:
        """All of them."""
        return self.normed, self.heads, self.activated

    def mapped(self, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Pointwise:
        """Return the functions after a change of each, such as compilation."""
        return Pointwise(change(self.normed), change(self.heads), change(self.activated))
