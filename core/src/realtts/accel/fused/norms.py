"""What the networks of flows do between their products: residual and norm, norm and Mish, positions by rotation."""

from __future__ import annotations

import torch
from torch.nn import functional

from realtts.accel.fused.cache import power_of_two
from realtts.accel.fused.registry import register

__all__ = ["add_norm", "norm_mish", "rotate"]


def _waves(*shape: int, pace: float, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    count = 1
    for size in shape:
        count *= size
    return torch.linspace(-pace, pace, count, device=device).mul_(97).sin_().view(shape).to(dtype)


def _warps(width: int) -> int:
    return max(1, min(8, power_of_two(width) // 256))


# -- residual and norm -------------------------------------------------------------------------------------------------


def _add_norm_plain(
    x: torch.Tensor,
    added: torch.Tensor | None,
    gate: torch.Tensor | None,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    silent: torch.Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    total = x.float()
    if added is not None:
        total = total + (added.float() if gate is None else added.float() * gate.float())
    if silent is not None:
        total = total.masked_fill(silent[:, None], 0)
    summed = total.to(x.dtype).clone()
    wide = summed.float()
    if rms:
        normed = functional.rms_norm(wide, weight.shape, weight.float(), eps)
        normed = normed if bias is None else normed + bias
    else:
        normed = functional.layer_norm(wide, weight.shape, weight.float(), None if bias is None else bias.float(), eps)
    return summed, normed.to(weight.dtype)


def _add_norm_launch(
    x: torch.Tensor,
    added: torch.Tensor | None,
    gate: torch.Tensor | None,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    silent: torch.Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    from realtts.accel.fused.kernels.norms import add_norm as kernel

    x = x.contiguous()
    summed, normed = _pair(x, weight)
    width = x.shape[1]
    kernel[(len(x),)](
        x, None if added is None else added.contiguous(), gate, weight, bias, silent,
        summed, normed, width, eps, RMS=int(rms), WIDTH=power_of_two(width), num_warps=_warps(width),
    )  # fmt: skip
    # Nothing was added: what is returned must be memory of its own all the same.
    return (x.clone() if added is None else summed), normed


def _pair(x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.new_empty(x.shape), weight.new_empty(x.shape)


_ADD_NORM = register(
    "add_norm",
    plain=_add_norm_plain,
    launch=_add_norm_launch,
    fake=lambda *arguments: _pair(arguments[0], arguments[3]),
    sample=lambda device, dtype: (
        _waves(3, 48, pace=1.0, device=device, dtype=dtype), _waves(3, 48, pace=1.7, device=device, dtype=dtype),
        _waves(48, pace=0.4, device=device, dtype=dtype), 1 + _waves(48, pace=0.2, device=device, dtype=dtype) * 0.5,
        _waves(48, pace=0.9, device=device, dtype=dtype),
        torch.tensor([False, True, False], device=device), 1e-6, False,
    ),
    launches=lambda *arguments: 2 if arguments[1] is None else 1,
)  # fmt: skip


def add_norm(
    x: torch.Tensor,
    added: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    eps: float,
    gate: torch.Tensor | None = None,
    silent: torch.Tensor | None = None,
    rms: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute ``x + gate * added`` and its norm.

    Args:
        x: (n, channels).
        added: (n, channels).
        weight: Of the norm, (channels,).
        bias: Of the norm, (channels,), or None.
        eps: Of the norm.
        gate: (channels,), or None: 1.
        silent: bool (n,): rows whose sum becomes 0; None: none.
        rms: RMS norm in place of LayerNorm.

    Returns:
        The sum in the type of ``x``, and the norm in that of its weight, (n, channels) each.
    """
    summed, normed = _ADD_NORM.call(x, added, gate, weight, bias, silent, eps, rms)
    return summed, normed


# -- norm and Mish -----------------------------------------------------------------------------------------------------


def _norm_mish_plain(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    shift: torch.Tensor | None,
    residual: torch.Tensor | None,
    silent: torch.Tensor | None,
    eps: float,
) -> torch.Tensor:
    y = functional.layer_norm(x.float(), weight.shape, weight.float(), bias.float(), eps)
    y = functional.mish(y)
    if shift is not None:
        y = y + shift
    if residual is not None:
        y = y + residual
    if silent is not None:
        y = y.masked_fill(silent[:, None], 0)
    return y.to(weight.dtype)


def _norm_mish_launch(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    shift: torch.Tensor | None,
    residual: torch.Tensor | None,
    silent: torch.Tensor | None,
    eps: float,
) -> torch.Tensor:
    from realtts.accel.fused.kernels.norms import norm_mish as kernel

    x, width = x.contiguous(), x.shape[1]
    out = weight.new_empty(x.shape)
    kernel[(len(x),)](
        x, weight, bias, shift, None if residual is None else residual.contiguous(), silent, out, width, eps,
        WIDTH=power_of_two(width), num_warps=_warps(width),
    )  # fmt: skip
    return out


_NORM_MISH = register(
    "norm_mish",
    plain=_norm_mish_plain,
    launch=_norm_mish_launch,
    fake=lambda x, weight, *_rest: weight.new_empty(x.shape),
    sample=lambda device, dtype: (
        _waves(4, 48, pace=1.0, device=device, dtype=dtype) * 3,
        1 + _waves(48, pace=0.2, device=device, dtype=dtype) * 0.5,
        _waves(48, pace=0.9, device=device, dtype=dtype), _waves(48, pace=0.4, device=device, dtype=dtype),
        _waves(4, 48, pace=1.7, device=device, dtype=dtype),
        torch.tensor([False, True, False, True], device=device), 1e-5,
    ),
)  # fmt: skip


def norm_mish(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    *,
    shift: torch.Tensor | None = None,
    residual: torch.Tensor | None = None,
    silent: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Compute ``mish(layer_norm(x)) + shift + residual``, and 0 in silent frames.

    Args:
        x: (frames, channels).
        weight: Of the norm, (channels,).
        bias: Of the norm, (channels,).
        shift: (channels,), or None.
        residual: (frames, channels), or None.
        silent: bool (frames,): frames that belong to no sequence; None: all do.
        eps: Of the norm.

    Returns:
        (frames, channels) in the type of the weight.
    """
    result: torch.Tensor = _NORM_MISH.call(x, weight, bias, shift, residual, silent, eps)
    return result


# -- positions ---------------------------------------------------------------------------------------------------------


def _rotate_plain(qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, frames: int, heads: int) -> None:
    n, _, _, size = qkv.shape
    at = torch.arange(n, device=qkv.device) % frames
    cosines, sines = (table.index_select(0, at)[:, None, None].float() for table in (cos, sin))
    part = qkv[:, :2, :heads]  # a view: (n, 2, heads, d)
    first, second = part.float().split(size // 2, -1)
    turned = torch.cat([first * cosines - second * sines, second * cosines + first * sines], -1)
    part.copy_(turned.to(qkv.dtype))


def _rotate_launch(qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, frames: int, heads: int) -> None:
    from realtts.accel.fused.kernels.norms import rotate as kernel

    half = qkv.shape[3] // 2
    kernel[(len(qkv), heads, 2)](
        qkv, cos, sin, frames, heads, half, qkv.stride(0), qkv.stride(1), HALF=power_of_two(half), num_warps=1
    )


_ROTATE = register(
    "rotate",
    plain=_rotate_plain,
    launch=_rotate_launch,
    fake=lambda *_arguments: None,
    sample=lambda device, dtype: (
        _waves(6, 3, 4, 16, pace=1.0, device=device, dtype=dtype), _waves(3, 8, pace=0.5, device=device, dtype=dtype),
        _waves(3, 8, pace=0.7, device=device, dtype=dtype), 3, 3,
    ),
    mutates=("qkv",),
)  # fmt: skip


def rotate(qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *, frames: int, heads: int) -> None:
    """Rotate the halves of queries and keys against each other by their positions, in place.

    Args:
        qkv: Queries, keys and values of sequences that are all equally long, (sequences * frames, 3, heads, head_dim),
            a head contiguous. Is changed.
        cos: (frames or more, head_dim / 2).
        sin: The same.
        frames: Of a sequence.
        heads: How many of the first heads are rotated.
    """
    _ROTATE.call(qkv, cos, sin, frames, heads)
