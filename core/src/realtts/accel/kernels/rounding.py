"""Rounding of weights to int8 and int4.

Kill switch: ``Settings(quantization="none")``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SWITCH", "Int4Weight", "Int8Weight", "quantize_fp8", "quantize_int4", "quantize_int8"]


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
        """Return the weight, float32 of shape (out, in)."""
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
        """Return the weight, float32 of shape (out, in)."""
        rows, columns = self.values.shape
        grouped = self.values.view(rows, columns // self.group, self.group).float()  # (out, in) -> (out, groups, group)
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


def quantize_fp8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a float weight of shape (out, in) to float8_e4m3fn: values, and scales of outputs, float32 (out,).

    Raises:
        QuantizationUnavailable: The weight is not finite.
    """
    kind = torch.float8_e4m3fn
    values, scale = torch.empty_like(weight, dtype=kind).contiguous(), weight.new_empty(len(weight)).float()
    for begin in range(0, len(weight), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        block = _checked(weight[rows])
        scale[rows] = block.abs().amax(1).clamp_(min=1e-12) / torch.finfo(kind).max
        values[rows] = (block / scale[rows, None]).to(kind)
    return values, scale


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
    grouped = weight.view(rows, columns // group, group)  # (out, in) -> (out, groups, group)
    low, high = grouped.amin(-1), grouped.amax(-1)
    scale = ((high - low) / 15).clamp_(min=1e-9)
    values = ((grouped - low[..., None]) / scale[..., None]).round_().clamp_(0, 15)
    return Int4Weight(values.to(torch.uint8).view(rows, columns), scale, low + 8 * scale, group)


def _checked(weight: Tensor) -> Tensor:
    weight = weight.detach().float()
    if not bool(torch.isfinite(weight).all()):
        raise QuantizationUnavailable("a weight is not finite and cannot be quantized", who="quantization", fix=SWITCH)
    return weight
