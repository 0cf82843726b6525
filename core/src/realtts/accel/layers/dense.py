"""Products, convolutions and activations over frames packed one behind the other: (frames, channels).

On the CPU, single precision products go to oneDNN, see `realtts.accel.kernels.onednn`, whose switch holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.kernels import onednn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["causal_conv", "linear", "mish", "product", "wide"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute ``x @ weight.T + bias``, (n, out), for x (n, in) and weight (out, in)."""
    if _by_onednn(x):
        return onednn.product(x, weight, bias)
    return functional.linear(x, weight, bias)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Compute ``a @ b.T`` of each pair of matrices, (h, n, m), for a (h, n, k) and b (h, m, k)."""
    if _by_onednn(a):
        each = [linear(x, y) for x, y in zip(a.contiguous(), b.contiguous(), strict=True)]
        return each[0][None] if len(each) == 1 else torch.stack(each)
    return torch.bmm(a, b.transpose(1, 2))


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve frames so that each sees itself and those before it, with zeros before the first.

    Args:
        x: (frames, in). Sequences packed in it need as many zeros between them as the kernel looks back.
        weight: As `wide` makes it, (out, in, 1, kernel).
        bias: (out,).

    Returns:
        (frames, out).
    """
    frames, back = len(x), weight.shape[3] - 1
    image = x.view(1, 1, frames, -1).permute(0, 3, 1, 2)  # (t, c) -> (1, c, 1, t), channels last in memory
    # Padded at both ends by the convolution itself, which saves a copy; what it adds at the end is cut off.
    y = functional.conv2d(image, weight, bias, padding=(0, back))
    return y.permute(0, 2, 3, 1).reshape(frames + back, -1)[:frames]  # (1, out, 1, t + back) -> (t, out)


def wide(weight: Tensor) -> Tensor:
    """Convert a kernel of Conv1d, (out, in, kernel), for `causal_conv`: (out, in, 1, kernel), channels last."""
    return weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def mish(x: Tensor) -> Tensor:
    """Compute ``x * tanh(softplus(x))`` in float32; on the CPU with one exponential, which is faster than torch's."""
    if x.is_cuda:
        return functional.mish(x)
    full = x.float()
    grown = full.clamp(max=20.0).exp_()  # beyond 20 the factor is 1 in float32
    factor = (grown + 2.0).mul_(grown)
    return factor.div_(factor + 2.0).mul_(full).to(x.dtype)


def _by_onednn(x: Tensor) -> bool:
    # bfloat16 is oneDNN's with torch's own product, too
    return x.dtype == torch.float32 and onednn.usable(x.dtype, x.device)
