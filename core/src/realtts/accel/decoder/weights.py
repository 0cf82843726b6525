"""A layer's weights as a decoder takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LayerWeights"]


@dataclass(kw_only=True)
class LayerWeights:
    """One layer, queries, keys and values fused, gate and up fused; None where the family has none.

    Attributes:
        input_norm: (hidden,).
        input_norm_bias: (hidden,) or None.
        qkv: ((heads + 2 kv_heads) head_dim, hidden).
        qkv_bias: ((heads + 2 kv_heads) head_dim,) or None.
        q_norm: (head_dim,) or None.
        k_norm: (head_dim,) or None.
        out: (hidden, heads head_dim).
        out_bias: (hidden,) or None.
        mlp_norm: (hidden,).
        mlp_norm_bias: (hidden,) or None.
        gate_up: (2 mlp, hidden), or (mlp, hidden) without a gate.
        gate_up_bias: As many as `gate_up` has outputs, or None.
        down: (hidden, mlp).
        down_bias: (hidden,) or None.
    """

    input_norm: Tensor
    input_norm_bias: Tensor | None = None
    qkv: Tensor
    qkv_bias: Tensor | None = None
    q_norm: Tensor | None = None
    k_norm: Tensor | None = None
    out: Tensor
    out_bias: Tensor | None = None
    mlp_norm: Tensor
    mlp_norm_bias: Tensor | None = None
    gate_up: Tensor
    gate_up_bias: Tensor | None = None
    down: Tensor
    down_bias: Tensor | None = None

    @property
    def gates(self) -> int:
        """Parts of `gate_up`: two, gate and up, where the MLP is gated."""
        return len(self.gate_up) // self.down.shape[1]

    @property
    def matrices(self) -> tuple[Tensor, ...]:
        """The matrices that a step multiplies by."""
        return self.qkv, self.out, self.gate_up, self.down
