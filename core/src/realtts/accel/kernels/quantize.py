"""Replacing linear layers of any module by quantized ones.

Kill switch: ``Settings(quantization="none")``.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

import torch
from torch import nn

from realtts.accel.kernels.choice import choose_kernel
from realtts.accel.kernels.packed import PackedLinear
from realtts.accel.kernels.rounding import SWITCH
from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["QuantizedLinear", "quantize_linears"]


class QuantizedLinear(nn.Module):
    """A linear layer over packed weights, in the place of `torch.nn.Linear`.

    Args:
        linear: The layer whose weight and bias are packed.
        precision: ``"int8"`` or ``"int4"``.
        rows: Rows that it will usually see at once; the kernel is chosen for them.

    Raises:
        QuantizationUnavailable: No kernel of that precision works on the layer's device.
    """

    def __init__(self, linear: nn.Linear, precision: str, *, rows: int = 2) -> None:
        super().__init__()
        weight = linear.weight.detach()
        bias = dict(linear.named_parameters()).get("bias")
        kernel = choose_kernel([weight], precision, rows=(rows,))
        self._packed = PackedLinear(weight, None if bias is None else bias.detach(), kernel)
        self.in_features = linear.in_features
        self.out_features = linear.out_features
        self.precision = precision
        self.device = weight.device

    def forward(self, x: Tensor) -> Tensor:
        """Multiply: (..., in) to (..., out), in the type of the input."""
        y: Tensor = self._packed(x.reshape(-1, self.in_features))  # kernels take matrices: (..., in) -> (n, in)
        return y.to(x.dtype).view(*x.shape[:-1], self.out_features)  # (n, out) -> (..., out)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> QuantizedLinear:
        # What `Module.to` and its like call. Packed weights lie in the kernel's own form and cannot follow.
        if fn(torch.empty(0, device=self.device)).device != self.device:
            raise QuantizationUnavailable(
                f"packed {self.precision} weights cannot be moved from {self.device}",
                who="quantization",
                fix=f"quantize after the module lies where it runs, without cpu_offload, or {SWITCH}",
            )
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def extra_repr(self) -> str:
        """Return what ``print(module)`` shows."""
        return f"{self.in_features}, {self.out_features}, {self.precision}, {self._packed.kernel.name}"


def quantize_linears(
    module: nn.Module, precision: str, *, rows: int = 2, only: Sequence[str] = ("*",), keep: Sequence[str] = ()
) -> list[str]:
    """Replace the linear layers below a module by quantized ones.

    Children are replaced where they hang; no forward is touched. All layers are packed before the first one is
    replaced, so that a failure leaves the module as it was.

    Args:
        module: Changed in place.
        precision: ``"int8"`` or ``"int4"``; ``"none"`` changes nothing.
        rows: Rows that the layers will usually see at once.
        only: Patterns of `fnmatch` of the names to quantize, such as ``"blocks.*.mlp.*"``.
        keep: Patterns of the names to leave in floating point.

    Returns:
        Names of the layers that were replaced.

    Raises:
        QuantizationUnavailable: A layer cannot be quantized; nothing was replaced.
    """
    if precision == "none":
        return []
    chosen = {
        name: child
        for name, child in module.named_modules(remove_duplicate=False)
        if type(child) is nn.Linear
        and any(fnmatch.fnmatchcase(name, pattern) for pattern in only)
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in keep)
    }
    chosen.pop("", None)
    # A layer that hangs in two places stays one layer.
    packed = {child: QuantizedLinear(child, precision, rows=rows) for child in dict.fromkeys(chosen.values())}
    for name, child in chosen.items():
        parent, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(parent), attribute, packed[child])
    return list(chosen)
