"""Weights in int8 and int4, and linear layers of any module replaced by quantized ones.

Kill switch: ``Settings(quantization="none")``.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["Int4Weight", "Int8Weight", "QuantizedLinear", "quantize_int4", "quantize_int8", "quantize_linears"]

SWITCH = 'set quantization="none" (REALTTS_QUANTIZATION=none)'
_GROUPS = (128, 64, 32)
_BLOCK = 4096


@dataclass(frozen=True)
class Int8Weight:
    """Symmetric int8 with one scale per output channel: ``weight ~ values * scale[:, None]``.

    Attributes:
        values: int8 of shape (out, in), within [-127, 127].
        scale: float32 of shape (out,).
    """

    values: Tensor
    scale: Tensor

    def dequantized(self) -> Tensor:
        """float32 of shape (out, in)."""
        return self.values.float() * self.scale[:, None]


@dataclass(frozen=True)
class Int4Weight:
    """Asymmetric int4 in groups along the input: ``weight ~ (values - 8) * scale + zero`` within each group.

    Attributes:
        values: uint8 of shape (out, in), within [0, 15].
        scale: float32 of shape (out, in // group).
        zero: float32 of shape (out, in // group): the weight that the value 8 stands for.
        group: Inputs that share scale and zero: 128, 64 or 32.
    """

    values: Tensor
    scale: Tensor
    zero: Tensor
    group: int

    def dequantized(self) -> Tensor:
        """float32 of shape (out, in)."""
        rows, columns = self.values.shape
        grouped = self.values.view(rows, columns // self.group, self.group).float()
        return ((grouped - 8) * self.scale[..., None] + self.zero[..., None]).view(rows, columns)


def quantize_int8(weight: Tensor) -> Int8Weight:
    """Round a float weight of shape (out, in) to int8.

    Raises:
        QuantizationUnavailable: The weight is not finite.
    """
    # Some rows at a time: a head of 65,537 outputs would else need three times its float32 size for a moment.
    values, scale = torch.empty_like(weight, dtype=torch.int8).contiguous(), weight.new_empty(len(weight)).float()
    for begin in range(0, len(weight), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        block = _checked(weight[rows])
        scale[rows] = block.abs().amax(1).clamp_(min=1e-12) / 127
        values[rows] = (block / scale[rows, None]).round_()
    return Int8Weight(values, scale)


def quantize_int4(weight: Tensor) -> Int4Weight:
    """Round a float weight of shape (out, in) to int4, in the largest groups that divide its inputs.

    Raises:
        QuantizationUnavailable: The weight is not finite, or its inputs are not a multiple of 32.
    """
    weight = _checked(weight)
    rows, columns = weight.shape
    group = next((size for size in _GROUPS if columns % size == 0), None)
    if group is None:
        raise QuantizationUnavailable(
            f"int4 needs inputs in multiples of 32, this layer has {columns}", who="quantization", fix=SWITCH
        )
    grouped = weight.view(rows, columns // group, group)
    low, high = grouped.amin(-1), grouped.amax(-1)
    scale = ((high - low) / 15).clamp_(min=1e-9)
    values = ((grouped - low[..., None]) / scale[..., None]).round_().clamp_(0, 15)
    return Int4Weight(values.to(torch.uint8).view(rows, columns), scale, low + 8 * scale, group)


def _checked(weight: Tensor) -> Tensor:
    weight = weight.detach().float()
    if not bool(torch.isfinite(weight).all()):
        raise QuantizationUnavailable("a weight is not finite and cannot be quantized", who="quantization", fix=SWITCH)
    return weight


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
        from realtts.accel.linear import PackedLinear, choose_kernel

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
        y: Tensor = self._packed(x.reshape(-1, self.in_features))
        return y.to(x.dtype).view(*x.shape[:-1], self.out_features)

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
        """What ``print(module)`` shows."""
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
