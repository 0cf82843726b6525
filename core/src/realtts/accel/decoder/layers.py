"""The layers of a decoder over tokens, their weights packed for the kernel that multiplies by them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.accel.compile import CompiledCallable, compiled
from realtts.accel.decoder.pointwise import Pointwise
from realtts.accel.kernels import SAMPLE_BYTES, PackedLinear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import torch
    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.weights import LayerWeights
    from realtts.accel.kernels import Kernel

    Rotation = tuple[Tensor | None, Tensor | None]

__all__ = ["Layer", "LayerStack", "Rotation", "packed", "sample"]


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


class LayerStack:
    """All layers and the last norm. They work on tokens: only attention, which the caller computes, knows of rows.

    Args:
        config: Shape of the decoder.
        layers: Packed, in order; taken one by one.
        norm: Weight of the last norm, shape (hidden,), in the type of the activations.
        norm_bias: Its bias, or None.
    """

    def __init__(self, config: DecoderConfig, layers: Iterable[Layer], norm: Tensor, norm_bias: Tensor | None) -> None:
        self._config, self._layers = config, list(layers)
        self._norm, self._norm_bias = norm, norm_bias
        self._eager = self._pointwise = Pointwise.of(config)

    @property
    def norm(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of the last norm."""
        return self._norm, self._norm_bias

    @property
    def compiled(self) -> bool:
        """Whether compiled code has run between the products."""
        return any(isinstance(f, CompiledCallable) and f.reason is None and f.graphs for f in self._pointwise.all)

    @property
    def pointwise(self) -> Pointwise:
        """The functions between the products of a step."""
        return self._pointwise

    def __iter__(self) -> Iterator[Layer]:
        """Iterate over the layers, in order."""
        return iter(self._layers)

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that one step reads at least."""
        return sum(linear.bytes_read for layer in self for linear in layer.linears)

    def compile(self, mode: str, *, fallback: bool) -> None:
        """Compile the pointwise work of steps; arguments as of `realtts.accel.decoder.Decoder.compile`."""
        self._pointwise = self._eager.mapped(lambda f: compiled(f, mode=mode, dynamic=False, fallback=fallback))

    def __call__(
        self, x: Tensor, rotation: Rotation, attend: Callable[[int, Tensor, Tensor], Tensor], *, step: bool
    ) -> Tensor:
        """Run all layers.

        Args:
            x: (tokens, hidden).
            rotation: Cosine and sine at the tokens' positions, where there is a rotation.
            attend: Gets the layer's index, q (tokens, heads, d) and kv (tokens, 2, kv_heads, d), and stores kv.
            step: Whether it is a step, whose shapes are always the same, or a prompt.

        Returns:
            Hidden states after the last norm, (tokens, hidden).
        """
        c, pointwise = self._config, self._pointwise if step else self._eager
        x = x.to(self._norm.dtype)
        for index, layer in enumerate(self._layers):
            h = pointwise.normed(x, layer.input_norm, layer.input_norm_bias, c.norm_eps)
            # Kernels return the type that they compute in; the residual stream keeps its own.
            # (tokens, (heads + 2 kv_heads) * d) -> (tokens, heads + 2 kv_heads, d)
            qkv = layer.qkv(h).to(x.dtype).view(-1, c.heads + 2 * c.kv_heads, c.head_dim)
            q, kv = pointwise.heads(qkv, layer.q_norm, layer.k_norm, c.norm_eps, *rotation, c.kv_heads)
            attention = attend(index, q, kv).to(x.dtype)
            # (..., heads, d) -> (tokens, heads * d); of a prompt, whose heads were transposed, a copy
            x = x + layer.out(attention.reshape(-1, c.heads * c.head_dim)).to(x.dtype)
            h = pointwise.normed(x, layer.mlp_norm, layer.mlp_norm_bias, c.norm_eps)
            x = x + layer.down(pointwise.activated(layer.gate_up(h))).to(x.dtype)
        return pointwise.normed(x, self._norm, self._norm_bias, c.norm_eps)


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
        gate_up=PackedLinear(layer.gate_up, small(layer.gate_up_bias), kernel.in_parts(layer.gates)),
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
