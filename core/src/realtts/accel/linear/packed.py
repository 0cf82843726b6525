"""A weight matrix, packed for the kernels of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.linear.plan import KernelPlan

__all__ = ["PackedLinear"]


class PackedLinear:
    """``y = x @ weight.T + bias`` over packed weights.

    Args:
        weight: Float tensor of shape (out, in) on the device that will run it; not kept.
        bias: Shape (out,), or None.
        plan: Kernels, from `choose_plan`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, plan: KernelPlan) -> None:
        self.plan = plan
        self.out_features, self.in_features = weight.shape
        self._packed: list[Any] = [kernel.pack(weight.detach(), bias) for kernel in plan.kernels]
        self._runs = [kernel.run for kernel in plan.kernels]

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply: (rows, in) to (rows, out); the output's type is the kernel's choice."""
        index = 0 if len(self._runs) == 1 else self.plan.index_for(x.shape[0])
        return self._runs[index](self._packed[index], x)

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that one multiplication reads."""
        bits = {"fp32": 32, "bf16": 16, "fp16": 16, "int8": 8, "int4": 4}[self.plan.precision]
        return self.out_features * self.in_features * bits // 8
