"""Projections with their weights laid out once as the CPU's library wants them.

Measured on one core for 1,500 frames, 1,024 to 3,072 channels, bfloat16: torch's own product 23.3 ms, oneDNN's 21.1,
the same with its own layout of the weights 19.9; the activation costs nothing when it is part of the product (alone it
takes 4.0 ms for 2,048 channels). Switch: ``torch.backends.mkldnn.enabled``, torch's own.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Dense"]


class Dense:
    """``activation(x @ weight.T + bias)`` for x (frames, in).

    Args:
        weight: (out, in).
        bias: (out,), or None.
        dtype: Of both, and of what it is given.
        gelu: Whether GELU (by tanh) follows.
        plain: Keep the weights as they are, and to operators that torch.compile knows.

    Attributes:
        weight: As the library wants it.
        bias: As given, or None.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, gelu: bool = False, plain: bool = False
    ) -> None:
        self.weight: Any = weight.to(dtype)
        self.bias = None if bias is None else bias.to(dtype)
        self._gelu = gelu
        self._packed = not plain and weight.device.type == "cpu" and _onednn(dtype)
        if self._packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, None)

    @property
    def pair(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias."""
        return self.weight, self.bias

    def __call__(self, x: Tensor) -> Tensor:
        """(frames, out)."""
        if self._packed:
            activation, algorithm = ("gelu", "tanh") if self._gelu else ("none", "")
            found: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, activation, [], algorithm)
            return found
        y = functional.linear(x, self.weight, self.bias)
        return functional.gelu(y, approximate="tanh") if self._gelu else y


def _onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN is to be used for a type."""
    allowed: bool = torch.backends.mkldnn.enabled  # type: ignore[assignment] # a property, which torch's types hide
    return allowed and dtype in (torch.float32, torch.bfloat16) and _works(dtype)


@functools.cache
def _works(dtype: torch.dtype) -> bool:
    """Whether this torch has the operators and this processor the type; they are torch's own, not promised to users."""
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        x = torch.eye(32, dtype=dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(x, None)
        return bool(torch.equal(torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], ""), x))
    except (AttributeError, RuntimeError):
        return False
