"""A weight matrix, packed for its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.linear.kernels import kernels_for

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.linear.kernels import Kernel

__all__ = ["Dense", "PackedLinear"]

_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
_BITS = {"fp32": 32, "bf16": 16, "fp16": 16, "int8": 8, "int4": 4}


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
    def bytes_read(self) -> int:
        """Bytes of weights that one multiplication reads."""
        return self.out_features * self.in_features * _BITS[self.kernel.precision] // 8


class Dense:
    """``x @ weight.T + bias`` over (rows, frames, in); on the CPU by oneDNN's packed kernel, where it works.

    Args:
        weight: (out, in), on the device that will run it; not kept.
        bias: (out,), or None.
        dtype: To compute in, and of the result.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self._packed = PackedLinear(weight, bias, kernels_for(_PRECISIONS[dtype], weight.device)[-1])

    def __call__(self, x: Tensor) -> Tensor:
        """(rows, frames, in) to (rows, frames, out)."""
        done: Tensor = self._packed(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return done
