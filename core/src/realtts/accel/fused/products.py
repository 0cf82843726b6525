"""A linear layer for few rows, with the norm before it and the activation and the residual behind it, in one launch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from realtts.accel.fused.registry import register

__all__ = ["MOST_ROWS", "FewRows", "linear"]

MOST_ROWS = 16
"""Rows up to which reading the weights takes the time, not multiplying: what one tile of the kernel holds."""

_ACTIVATIONS = ("none", "gated", "gelu")


@dataclass(frozen=True)
class FewRows:
    """A layer's weights as `linear` takes them.

    Attributes:
        weight: (out, in): floating point, int8 or float8_e4m3fn.
        scale: float32 (out,), by which each output is multiplied; None: 1.
        bias: (out,) or None.
    """

    weight: torch.Tensor
    scale: torch.Tensor | None = None
    bias: torch.Tensor | None = None


def _plain(
    x: torch.Tensor,
    weight: torch.Tensor,
    scale: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: torch.Tensor | None,
    norm_bias: torch.Tensor | None,
    eps: float,
    activation: str,
    residual: torch.Tensor | None,
) -> torch.Tensor:
    """Compute ``residual + activation(norm(x) @ weight.T * scale + bias)``; arguments as of `linear`."""
    h = x
    if norm is not None and norm_bias is None:
        h = functional.rms_norm(h, norm.shape, norm, eps)
    elif norm is not None:
        h = functional.layer_norm(h, norm.shape, norm, norm_bias, eps)
    # In float32, as the kernel sums and activates; rounded once at the end.
    y = h.float() @ weight.float().T
    if scale is not None:
        y = y * scale
    if bias is not None:
        y = y + bias
    if activation == "gated":
        gate, up = y.chunk(2, -1)
        y = functional.silu(gate) * up
    elif activation == "gelu":
        y = functional.gelu(y, approximate="tanh")
    if residual is not None:
        y = y + residual
    return y.to(x.dtype)


def _launch(
    x: torch.Tensor,
    weight: torch.Tensor,
    scale: torch.Tensor | None,
    bias: torch.Tensor | None,
    norm: torch.Tensor | None,
    norm_bias: torch.Tensor | None,
    eps: float,
    activation: str,
    residual: torch.Tensor | None,
) -> torch.Tensor:
    from realtts.accel.fused.kernels.product import product

    x = x.contiguous()
    out = _empty(x, weight, activation)
    (rows, inputs), width = x.shape, out.shape[1]
    tile = tile_of(rows)
    product[(-(-width // tile["OUTPUTS"]), -(-rows // tile["ROWS"]))](
        x, weight, scale, bias, norm, norm_bias, residual, out, rows, width, inputs, eps,
        NORM=0 if norm is None else (1 if norm_bias is None else 2), ACTIVATION=_ACTIVATIONS.index(activation),
        **tile,
    )  # fmt: skip
    return out


def tile_of(rows: int) -> dict[str, int]:
    """Return the constants of the kernel for so many rows.

    Up to four rows are summed as they are, in tiles of few outputs, so that every multiprocessor has some; more are
    padded to sixteen, the least that tensor cores multiply.
    """
    if rows <= 4:
        size = 1 << max(rows - 1, 0).bit_length()
        return {"DOT": 0, "ROWS": size, "OUTPUTS": 8, "INPUTS": 512 // size, "num_warps": 4}
    return {"DOT": 1, "ROWS": MOST_ROWS, "OUTPUTS": 16, "INPUTS": 128, "num_warps": 4}


def _empty(x: torch.Tensor, weight: torch.Tensor, activation: str) -> torch.Tensor:
    return x.new_empty(len(x), len(weight) // (2 if activation == "gated" else 1))


def _fake(x: torch.Tensor, weight: torch.Tensor, *rest: object) -> torch.Tensor:
    return _empty(x, weight, str(rest[5]))


def _sample(device: torch.device, dtype: torch.dtype) -> tuple[object, ...]:
    def waves(*shape: int, pace: float = 1.0) -> torch.Tensor:
        count = 1
        for size in shape:
            count *= size
        return torch.linspace(-pace, pace, count, device=device).mul_(97).sin_().view(shape).to(dtype)

    return (
        waves(2, 96), waves(96, 96, pace=3.1) * 0.1, None, waves(96, pace=0.3), 1 + waves(96, pace=0.2) * 0.5, None,
        1e-5, "gated", waves(2, 48, pace=1.3),
    )  # fmt: skip


_OPERATION = register("linear", plain=_plain, launch=_launch, fake=_fake, sample=_sample)


def linear(
    x: torch.Tensor,
    layer: FewRows,
    *,
    norm: torch.Tensor | None = None,
    norm_bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    activation: str = "none",
    residual: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute ``residual + activation(norm(x) @ weight.T * scale + bias)`` in one launch.

    Args:
        x: (rows, in).
        layer: Weights; for ``"gated"`` the gate's outputs before the others.
        norm: Weight of the norm before it, (in,), or None.
        norm_bias: With it the norm is LayerNorm, else RMS norm.
        eps: Of the norm.
        activation: ``"none"``, ``"gated"`` (SiLU of the first half times the second half) or ``"gelu"`` (by tanh).
        residual: Added at the end, (rows, out), or None.

    Returns:
        (rows, out), or half as many with ``"gated"``, in the type of ``x``.
    """
    result: torch.Tensor = _OPERATION.call(
        x, layer.weight, layer.scale, layer.bias, norm, norm_bias, eps, activation, residual
    )
    return result
