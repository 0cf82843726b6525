"""Products by weights of four bits, in the layouts of torch's own kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.kernels.rounding import Int4Weight, quantize_int4
from realtts.accel.kernels.storage import StoredAs, biased

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["INT4", "INT4_CUDA", "run_int4_cpu", "run_int4_cuda"]


@dataclass
class _Int4:
    weight: Tensor
    scales_and_zeros: Tensor
    group: int
    bias: Tensor | None
    outputs: int


def _dump_int4_cpu(weight: Tensor) -> dict[str, Tensor]:
    # The kernel wants outputs in multiples of sixteen; a vocabulary seldom is one.
    quantized = quantize_int4(functional.pad(weight, (0, 0, 0, -len(weight) % 16)))
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(quantized.values.int(), 1)
    return _int4_tensors(packed, quantized, len(weight))


def _int4_tensors(packed: Tensor, quantized: Int4Weight, outputs: int) -> dict[str, Tensor]:
    sizes = torch.tensor([quantized.group, outputs])
    return {"packed": packed, "scales_and_zeros": _interleaved(quantized), "sizes": sizes}


def _load_int4(tensors: Mapping[str, Tensor], bias: Tensor | None) -> _Int4:
    group, outputs = map(int, tensors["sizes"])
    return _Int4(tensors["packed"], tensors["scales_and_zeros"], group, bias, outputs)


def run_int4_cpu(packed: _Int4, x: Tensor) -> Tensor:
    """Multiply on the CPU: (rows, in) to (rows, out)."""
    y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
        x.bfloat16().contiguous(), packed.weight, packed.group, packed.scales_and_zeros
    )
    return biased(y[:, : packed.outputs].to(x.dtype), packed.bias)


def _dump_int4_cuda(weight: Tensor) -> dict[str, Tensor]:
    quantized = quantize_int4(functional.pad(weight, (0, 0, 0, -len(weight) % 8)))
    # Two values to a byte, the even column in the upper half: the layout of torch's tinygemm kernel.
    pairs = (quantized.values[:, ::2] << 4 | quantized.values[:, 1::2]).to(torch.uint8)
    packed = torch.ops.aten._convert_weight_to_int4pack(pairs, 8)
    return _int4_tensors(packed, quantized, len(weight))


def run_int4_cuda(packed: _Int4, x: Tensor) -> Tensor:
    """Multiply on CUDA: (rows, in) to (rows, out)."""
    if not len(x):  # a launch of no blocks, after which errors may show up elsewhere
        return x.new_empty(0, packed.outputs)
    y: Tensor = torch.ops.aten._weight_int4pack_mm(
        x.bfloat16().contiguous(), packed.weight, packed.group, packed.scales_and_zeros
    )
    return biased(y[:, : packed.outputs].to(x.dtype), packed.bias)


def _interleaved(quantized: Int4Weight) -> Tensor:
    """Interleave scale and zero of each group as the kernels read them: (in // group, out, 2) in bf16."""
    pairs = torch.stack([quantized.scale, quantized.zero], -1)  # twice (out, in // group) -> (out, in // group, 2)
    return pairs.transpose(0, 1).contiguous().bfloat16()


# The layout is torch's own: another version, or another instruction set, may have another one.
INT4 = StoredAs(_dump_int4_cpu, _load_int4, f"1 {torch.__version__} {torch.backends.cpu.get_cpu_capability()}")
INT4_CUDA = StoredAs(_dump_int4_cuda, _load_int4, f"1 {torch.__version__}")
