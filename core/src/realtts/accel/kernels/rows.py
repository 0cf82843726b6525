"""Products of int8 weights with int8 activations, and attention, for networks that compute many rows at once.

They are compiled code of the package ``realtts-native``. Each row is rounded with a scale of its own, and sums are
integers: a row gives the same, bit for bit, beside any other rows and with any number of threads. Blocks of a row, and
the weights' columns with them, are multiplied by a Hadamard matrix with signs flipped at random before they are
rounded, which changes no product but spreads large channels over all of them (Ashkboos et al., 2024, arXiv:2404.00456).

Switch: the setting ``native`` (``REALTTS_NATIVE=off``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels import native
from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from torch import Tensor

    Activation = Literal["none", "gelu", "gelu_tanh", "silu", "mish"]

__all__ = ["RowLayer", "RowLayers", "attend_heads", "attend_packed", "why_no_rows"]

_FIX = "set precision_policy='balanced' (REALTTS_PRECISION_POLICY=balanced)"
_MOST_MIXED = 4096
"""Inputs in one block of the Hadamard matrix at most: beyond that a wider one spreads nothing further."""


def why_no_rows() -> str | None:
    """Say why these kernels cannot be used here, with the remedy; None: they can."""
    if (reason := native.why_unusable()) is not None:
        return reason
    if (available := native.instruction_set()) != "avx512vnni":
        return f"compiled products of int8 rows need AVX-512 VNNI, and realtts-native uses {available} here"
    return None


class RowLayer:
    """``activation(x @ weight.T + bias)`` with int8 weights and activations; results are float32.

    Args:
        weight: (out, in), on the CPU; not kept.
        bias: (out,), or None.
        activation: What follows the product.

    Raises:
        QuantizationUnavailable: The weight cannot be packed, such as one that is not finite.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, activation: Activation = "none") -> None:
        self.out_features, self.in_features = weight.shape
        self._activation = activation
        given = None if bias is None else bias.detach().float().contiguous()
        try:
            self.packed = native.library().RowWeight(
                weight.detach().float().contiguous(), given, block=_block(self.in_features)
            )
        except ValueError as error:
            raise QuantizationUnavailable(str(error), who="quantization", fix=_FIX) from error

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply: float32 or bfloat16 (rows, in) to float32 (rows, out)."""
        return self.run(x)

    def run(
        self,
        x: Tensor,
        out: Tensor | None = None,
        *,
        second: RowLayer | None = None,
        window: int = 1,
        norm: Tensor | None = None,
        last_norm: Tensor | None = None,
        eps: float = 1e-5,
        shift: Tensor | None = None,
        gate: Tensor | None = None,
        add: bool = False,
    ) -> Tensor:
        """Multiply, with what lies around the product: norm, product, activation; ``last_norm``, shift and gate.

        Args:
            x: float32 or bfloat16 (rows, channels).
            out: Where the result goes, float32 or bfloat16 (rows, out); may be ``x``. None: float32, new.
            second: Layer that follows this one's activation; what is between them is never written to memory.
            window: Rows that a row of inputs has, its own the last, with zeros before the first: a causal convolution.
            norm: Weight and bias of a norm over ``x``, float32 (2, channels).
            last_norm: The same over what the last product gives, before its activation, float32 (2, out).
            eps: Of both norms.
            shift: Added at the end, float32 (out,).
            gate: Multiplied by what was shifted, float32 (out,).
            add: Add the result to ``out``.

        Returns:
            ``out``.
        """
        last = second or self
        if out is None:
            out = torch.empty(len(x), last.out_features)
        native.library().row_product(
            x,
            self.packed,
            out,
            second=None if second is None else second.packed,
            window=window,
            norm=norm,
            last_norm=last_norm,
            eps=eps,
            activation=self._activation,
            shift=shift,
            gate=gate,
            add=add,
            pool=native.pool(),
        )
        return out


class RowLayers:
    """The row layers of a network, with the methods of `realtts.accel.kernels.DenseLayers`.

    Attributes:
        dtype: Of results.
    """

    dtype = torch.float32

    def add(self, weight: Tensor, bias: Tensor | None = None, *, gelu: bool = False) -> RowLayer:
        """Make a layer, packed now; GELU is that by tanh."""
        return RowLayer(weight, bias, activation="gelu_tanh" if gelu else "none")

    def pack(self) -> None:
        """Do nothing: layers are packed as they are made."""


def attend_packed(
    qkv: Tensor,
    out: Tensor,
    *,
    heads: int,
    spans: Sequence[tuple[int, int]],
    exact: bool,
    rotary: Tensor | None = None,
    rotated: int | None = None,
) -> None:
    """Attend within each sequence of a packed batch: means of values weighted by ``2 ** (q . k)``.

    Args:
        qkv: Queries, keys and values side by side, float32 or bfloat16 (rows, 3 * heads * width).
        out: (rows, heads * width); rows of no sequence are left as they are.
        heads: Number of heads.
        spans: Begin and length of each sequence.
        exact: Multiply in float32; else in integers of 12 bits, whose products take half the time.
        rotary: Cosines and sines of positions, float32 (2, positions, width / 2); None: no rotation.
        rotated: Heads that are rotated, from the first; None: all.
    """
    native.library().packed_attention(
        qkv, out, heads=heads, spans=spans, exact=exact, rotary=rotary, rotated=rotated, pool=native.pool()
    )


def attend_heads(q: Tensor, k: Tensor, v: Tensor, *, exact: bool, keys: Tensor | None = None) -> Tensor:
    """Attend with the same kernel where heads lie apart.

    Args:
        q: (sequences, heads, rows, width), dense in the last dimension alone.
        k: The same.
        v: The same.
        exact: As of `attend_packed`.
        keys: Which rows may be looked at, bool (sequences, rows); without any the mean is 0.

    Returns:
        Of the queries' type, (sequences, rows, heads * width).
    """
    count, heads, rows, width = q.shape
    out = q.new_empty(count, rows, heads * width)
    native.library().attention(q, k, v, out, exact=exact, keys=keys, pool=native.pool())
    return out


def _block(inputs: int) -> int:
    """Return how many inputs are mixed: the largest power of two that divides them, 1 below 16."""
    block = min(inputs & -inputs, _MOST_MIXED)
    return block if block >= 16 else 1
