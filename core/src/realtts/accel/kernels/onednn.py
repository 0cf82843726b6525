"""Products by oneDNN, the library for CPUs that comes with torch, where torch itself would take another.

On processors for which MKL has no kernels oneDNN is more than twice as fast in single precision (measured: 215 GFLOP/s
instead of 100 per core), and elsewhere as good. With few rows its own layout of the weights is read up to four times
faster; with many (1,500 rows, 1,024 to 3,072 channels, bfloat16, one core) torch's product takes 23.3 ms, oneDNN's
21.1, with its own layout 19.9. GELU, which alone takes 4.0 ms for 2,048 channels, costs nothing as part of the product.

The operators are torch's own, but not promised to users: ask `usable` first. Switch: ``torch.backends.mkldnn.enabled``.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["alone_differs", "bound_caches", "enabled", "packed", "product", "usable"]

_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Where oneDNN and torch's layer over it keep what they prepare for each shape."""

_KEPT_SHAPES = "128"


def enabled() -> bool:
    """Whether torch's switch allows oneDNN."""
    allowed: bool = torch.backends.mkldnn.enabled  # type: ignore[assignment] # a property, which torch's types hide
    return allowed


def usable(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether `packed` and `product` can be used: for float32 and bfloat16 on a CPU that has the type, as allowed."""
    return device.type == "cpu" and dtype in (torch.float32, torch.bfloat16) and enabled() and _works(dtype)


def packed(weight: Tensor) -> Tensor:
    """Convert a weight (out, in) to oneDNN's own layout, for `product` alone."""
    blocked: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    return blocked


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, gelu: bool = False) -> Tensor:
    """Compute ``x @ weight.T + bias``, (..., out).

    Args:
        x: (..., in), of the weight's type.
        weight: (out, in), or what `packed` made of it.
        bias: (out,), or None.
        gelu: Whether GELU (by tanh) follows.
    """
    activation, algorithm = ("gelu", "tanh") if gelu else ("none", "")
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], algorithm)
    return y


def alone_differs(weight: Tensor, inputs: int) -> bool:
    """Whether a single row is summed in another order than one of several, which are all summed in the same.

    oneDNN shares the inputs of a long row among its registers where there are few outputs to fill them.

    Args:
        weight: From `packed`, in float32.
        inputs: Its number of inputs.
    """
    x = torch.linspace(-1, 1, inputs).mul_(1e4).sin_().expand(2, -1).contiguous()
    with torch.inference_mode():
        return not torch.equal(product(x[:1], weight), product(x, weight)[:1])


def bound_caches() -> None:
    """Keep what is prepared for 128 shapes instead of the usual 1024, unless the user has said how many.

    Speech has another length with each request, and what was prepared for it stays: measured with Chatterbox on the
    CPU, 15 MB for each new length. The variables are read when oneDNN is first used.
    """
    for name in _CACHES:
        os.environ.setdefault(name, _KEPT_SHAPES)


@functools.cache
def _works(dtype: torch.dtype) -> bool:
    bound_caches()
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        x = torch.eye(32, dtype=dtype)
        return bool(torch.equal(product(x, packed(x)), x))
    except (AttributeError, RuntimeError):
        return False
