"""Weights of eight bits on CUDA: int8 and float8, read by a kernel of our own for few rows.

A step reads weights for few rows, and half the bytes are half the time: the kernel multiplies activations as they are
by weights that it widens on the way, so that only the weights are rounded. For many rows int8 is widened as a whole;
float8 is multiplied as it is (``torch._scaled_mm``, a scale for each row and each output). Not run on a GPU yet: tests
run the plain form of the kernel, and emulate torch's product.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.fused.products import MOST_ROWS, FewRows, linear
from realtts.accel.kernels.rounding import quantize_fp8, quantize_int8

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "EightBit", "has_both", "has_float8", "has_triton", "pack_float8", "pack_int8", "run_float8", "run_int8",
    "scaled_product",
]  # fmt: skip

_FLOAT8 = torch.float8_e4m3fn
_STEP = 16
"""Outputs and inputs of ``torch._scaled_mm`` come in multiples of this."""


@dataclass(frozen=True)
class EightBit:
    """A packed layer.

    Attributes:
        few_rows: Weights and scales, with as many outputs as the layer has.
        padded: The weights with outputs in multiples of 16; of int8 the same.
        scale: Of the padded outputs, float32 (1, outputs).
    """

    few_rows: FewRows
    padded: Tensor
    scale: Tensor


def pack_int8(weight: Tensor, bias: Tensor | None) -> EightBit:
    """Round a weight (out, in) to int8 with a scale for each output."""
    quantized = quantize_int8(weight)
    return EightBit(FewRows(quantized.values, quantized.scale, bias), quantized.values, quantized.scale[None])


def run_int8(packed: EightBit, x: Tensor) -> Tensor:
    """Multiply (rows, in) to (rows, out)."""
    few = packed.few_rows
    if len(x) <= MOST_ROWS:
        return linear(x, few)
    assert few.scale is not None
    half = x.dtype if x.dtype != torch.float32 else torch.bfloat16
    weight = (few.weight * few.scale[:, None]).to(half)
    return functional.linear(x.to(half), weight, None if few.bias is None else few.bias.to(half)).to(x.dtype)


def pack_float8(weight: Tensor, bias: Tensor | None) -> EightBit:
    """Round a weight (out, in) to float8_e4m3fn with a scale for each output."""
    values, scale = quantize_fp8(weight)
    more = -len(weight) % _STEP
    # Padded as bytes: float8 knows few operations, and a byte of zeros is a zero.
    padded = functional.pad(values.view(torch.uint8), (0, -weight.shape[1] % _STEP, 0, more)).view(_FLOAT8)
    wide = functional.pad(scale, (0, more), value=1.0)[None]
    return EightBit(FewRows(values, scale, bias), padded, wide.contiguous())


def run_float8(packed: EightBit, x: Tensor) -> Tensor:
    """Multiply (rows, in) to (rows, out): few rows by the kernel, many by torch's product."""
    return linear(x, packed.few_rows) if len(x) <= MOST_ROWS else scaled_product(packed, x)


def scaled_product(packed: EightBit, x: Tensor) -> Tensor:
    """Multiply by ``torch._scaled_mm``: activations are rounded to float8, with a scale for each row."""
    wide = functional.pad(x.float(), (0, packed.padded.shape[1] - x.shape[1]))
    scale = wide.abs().amax(1, keepdim=True).clamp_(min=1e-12) / torch.finfo(_FLOAT8).max
    y: Tensor = torch._scaled_mm(
        (wide / scale).to(_FLOAT8), packed.padded.T, scale_a=scale, scale_b=packed.scale, out_dtype=torch.bfloat16
    )
    y = y[:, : len(packed.few_rows.weight)]
    bias = packed.few_rows.bias
    return (y if bias is None else y + bias).to(x.dtype)


def has_triton() -> bool:
    """Whether the kernel can be compiled."""
    return importlib.util.find_spec("triton") is not None


def has_float8() -> bool:
    """Whether the device multiplies float8: from compute capability 8.9 on."""
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 9)


def has_both() -> bool:
    """Whether few rows have the kernel and many torch's product."""
    return has_triton() and has_float8()
