"""What stands between a layer's matrix products: pure functions, run as they are or compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.decoder.rope import rotated

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["Glue", "gated", "heads", "normed"]


def normed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMS norm (Zhang and Sennrich, 2019, arXiv:1910.07467) over the last dimension."""
    return functional.rms_norm(x, weight.shape, weight, eps)


def heads(  # noqa: PLR0917 - called once per layer and step, where keywords cost time
    qkv: Tensor, q_norm: Tensor | None, k_norm: Tensor | None, eps: float, cos: Tensor, sin: Tensor, kv_heads: int
) -> tuple[Tensor, Tensor]:
    """Split, norm and rotate.

    Args:
        qkv: (tokens, heads + 2 kv_heads, head_dim).
        q_norm: (head_dim,) or None.
        k_norm: (head_dim,) or None.
        eps: Epsilon of the norms.
        cos: (tokens, 1, head_dim).
        sin: (tokens, 1, head_dim), as `rotated` wants it.
        kv_heads: Key and value heads.

    Returns:
        Queries (tokens, heads, head_dim) and keys with values (tokens, 2, kv_heads, head_dim).
    """
    q, k, v = qkv.split_with_sizes([qkv.shape[1] - 2 * kv_heads, kv_heads, kv_heads], 1)
    if q_norm is not None:
        q = normed(q, q_norm, eps)
    if k_norm is not None:
        k = normed(k, k_norm, eps)
    return rotated(q, cos, sin), torch.stack([rotated(k, cos, sin), v], 1)


def gated(gate_up: Tensor) -> Tensor:
    """SiLU of the first half times the second half (Shazeer, 2020, arXiv:2002.05202)."""
    gate, up = gate_up.chunk(2, -1)
    return functional.silu(gate) * up


@dataclass(frozen=True)
class Glue:
    """The functions in the form in which a decoder calls them.

    Attributes:
        normed: As `normed`.
        heads: As `heads`.
        gated: As `gated`.
    """

    normed: Callable[..., Tensor] = normed
    heads: Callable[..., tuple[Tensor, Tensor]] = heads
    gated: Callable[..., Tensor] = gated
