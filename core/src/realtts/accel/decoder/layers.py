"""A layer's weights, packed for the kernel that multiplies by them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.accel.kernels import SAMPLE_BYTES, PackedLinear

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor

    from realtts.accel.decoder.weights import LayerWeights
    from realtts.accel.kernels import Kernel

__all__ = ["Layer", "packed", "sample"]


@dataclass
class Layer:
    """A layer's norms, and its matrices with their biases packed for a kernel; fields as of `LayerWeights`."""

    input_norm: Tensor
    input_norm_bias: Tensor | None
    qkv: PackedLinear
    q_norm: Tensor | None
    k_norm: Tensor | None
    out: PackedLinear
    mlp_norm: Tensor
    mlp_norm_bias: Tensor | None
    gate_up: PackedLinear
    down: PackedLinear

    @property
    def linears(self) -> tuple[PackedLinear, ...]:
        """The matrices that a step multiplies by."""
        return self.qkv, self.out, self.gate_up, self.down


def packed(layer: LayerWeights, kernel: Kernel, dtype: torch.dtype) -> Layer:
    """Pack a layer; norms and biases take the type of the activations."""

    def small(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach().to(dtype)

    return Layer(
        input_norm=layer.input_norm.detach().to(dtype),
        input_norm_bias=small(layer.input_norm_bias),
        qkv=PackedLinear(layer.qkv, small(layer.qkv_bias), kernel),
        q_norm=small(layer.q_norm),
        k_norm=small(layer.k_norm),
        out=PackedLinear(layer.out, small(layer.out_bias), kernel),
        mlp_norm=layer.mlp_norm.detach().to(dtype),
        mlp_norm_bias=small(layer.mlp_norm_bias),
        gate_up=PackedLinear(layer.gate_up, small(layer.gate_up_bias), kernel),
        down=PackedLinear(layer.down, small(layer.down_bias), kernel),
    )


def sample(layers: Iterator[LayerWeights]) -> deque[LayerWeights]:
    """Take the first layers, as many as are measured for the choice of a kernel."""
    first: deque[LayerWeights] = deque()
    size = 0
    while size < SAMPLE_BYTES and (layer := next(layers, None)) is not None:
        first.append(layer)
        size += sum(4 * weight.numel() for weight in layer.matrices)
    return first
