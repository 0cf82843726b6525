"""A weight matrix, packed for its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.fused.products import FewRows
    from realtts.accel.kernels.matmul import Kernel

__all__ = ["PackedLinear"]

_BITS = {"fp32": 32, "bf16": 16, "fp16": 16, "int8": 8, "fp8": 8, "int4": 4}


class PackedLinear:
    """``y = x @ weight.T + bias`` over a packed weight.

    Args:
        weight: Float tensor of shape (out, in) on the device that will run it; not kept.
        bias: Shape (out,), or None.
        kernel: From `choose_kernel`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, kernel: Kernel) -> None:
        self.kernel = kernel
        self.out_features, self.in_features = weight.shape
        self._packed: Any = kernel.pack(weight.detach(), bias)

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply: (rows, in) to (rows, out); the output's type is the kernel's choice."""
        return self.kernel.run(self._packed, x)

    @property
    def few_rows(self) -> FewRows | None:
        """The weights for the fused product of few rows; None where the kernel's own form is another."""
        few: FewRows | None = getattr(self._packed, "few_rows", None)
        return few

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that one multiplication reads."""
        return self.out_features * self.in_features * _BITS[self.kernel.precision] // 8
