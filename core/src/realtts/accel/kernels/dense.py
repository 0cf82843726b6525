"""A projection in floating point, its weights laid out once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

from realtts.accel.kernels import onednn

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Dense"]


class Dense:
    """``x @ weight.T + bias`` for x (..., in); on the CPU by `realtts.accel.kernels.onednn`, where that is usable.

    Args:
        weight: (out, in), on the device that will run it.
        bias: (out,), or None.
        dtype: To compute in, and of the result.
        gelu: Whether GELU (by tanh) follows.
        plain: Keep the weights as they are, and to operators that torch.compile knows.

    Attributes:
        weight: In `dtype`, as the library wants it.
        bias: In `dtype`, or None.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, gelu: bool = False, plain: bool = False
    ) -> None:
        self._packed = not plain and onednn.usable(dtype, weight.device)
        weight = weight.detach().to(dtype)
        self.weight = onednn.packed(weight) if self._packed else weight.contiguous()
        self.bias = None if bias is None else bias.to(dtype)
        self._dtype, self._gelu = dtype, gelu

    @property
    def pair(self) -> tuple[Tensor, Tensor | None]:
        """The weight and the bias."""
        return self.weight, self.bias

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply: (..., in) to (..., out)."""
        x = x.to(self._dtype)
        if self._packed:
            return onednn.product(x, self.weight, self.bias, gelu=self._gelu)
        y = functional.linear(x, self.weight, self.bias)
        return functional.gelu(y, approximate="tanh") if self._gelu else y
