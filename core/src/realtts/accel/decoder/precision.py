"""Types of weights, activations and cache."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from realtts.accel.decoder.attend import attend_step
from realtts.accel.kernels.autotune import autotune
from realtts.accel.precision import name_of
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.accel.decoder.config import DecoderConfig

__all__ = ["Precision", "choose_kv_dtype"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_WEIGHTS = (*_DTYPES, "int8", "fp8", "int4")
_KV = {"fp32": torch.float32, "bf16": torch.bfloat16}
_MEASURED_SLOTS = 320
_WORTH = 0.9
"""A coarser cache must take less than this share of the time."""


@dataclass(frozen=True)
class Precision:
    """What a decoder computes in.

    Attributes:
        weights: ``"fp32"``, ``"bf16"``, ``"fp16"``, ``"int8"``, ``"fp8"`` or ``"int4"``.
        activations: Type of the residual stream.
        kv: Type of keys and values; None: float32 with float32 weights, else what attends fastest.
        native: Multiply and attend by realtts-native; ``"auto"``: only where its steps, measured once, are faster.
        fused: Whether steps run by `realtts.accel.fused`, where that works.
    """

    weights: str
    activations: torch.dtype
    kv: torch.dtype | None = None
    native: bool | Literal["auto"] = False
    fused: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether everything is float32, the weights as the checkpoint has them."""
        return self.weights == "fp32" and self.activations == torch.float32

    @classmethod
    def of(cls, precision: Precision | str, device: torch.device) -> Precision:
        """Return the usual types for weights of a precision; a `Precision` is returned as it is.

        The CPU keeps the residual stream in float32, where it costs nothing; a GPU saves the conversions, but not
        beside float16, which ends at 65504: sums over many layers pass it.

        Raises:
            DecoderError: No such precision.
        """
        if isinstance(precision, Precision):
            return precision
        if precision not in _WEIGHTS:
            raise DecoderError(f"precision is {precision!r}", who="decoder", fix=f"choose from {', '.join(_WEIGHTS)}")
        if device.type == "cpu" or precision in {"fp32", "fp16"}:
            return cls(precision, torch.float32)
        return cls(precision, _DTYPES.get(precision, torch.bfloat16))

    @property
    def products(self) -> str:
        """The type whose rate bounds the products, for stage timing; int4 weights are multiplied in half."""
        return "int8" if self.weights == "int8" else name_of(_DTYPES.get(self.weights, torch.bfloat16))


def choose_kv_dtype(
    config: DecoderConfig, precision: Precision, rows: Sequence[int], device: torch.device
) -> torch.dtype:
    """Choose the cache's type: as asked, float32 with float32 weights, else what attends fastest on this machine.

    Half the bytes are not always half the time: a CPU without bfloat16 products converts every key.
    """
    if precision.kv is not None:
        return precision.kv
    if precision.weights == "fp32":
        return torch.float32
    if precision.native:
        return torch.float16  # half the bytes, and finer than bfloat16, which it costs no more to read
    if device.type != "cpu":
        return torch.float16 if precision.weights == "fp16" else precision.activations
    shape = (config.heads, config.kv_heads, config.head_dim, max(rows))
    return _KV[autotune({"cache of": shape}, list(_KV), lambda: _fastest(*shape), device)]


def _fastest(heads: int, kv_heads: int, head_dim: int, rows: int) -> str:
    seconds = {name: _seconds(dtype, heads, kv_heads, head_dim, rows) for name, dtype in _KV.items()}
    return "bf16" if seconds["bf16"] < _WORTH * seconds["fp32"] else "fp32"


def _seconds(dtype: torch.dtype, heads: int, kv_heads: int, head_dim: int, rows: int) -> float:
    """Time attention over several layers' caches, together larger than a processor's own; the best of some passes."""
    with torch.inference_mode():
        layers = max(1, 2**26 // (2 * rows * kv_heads * _MEASURED_SLOTS * head_dim * dtype.itemsize))
        kv = torch.zeros(layers, 2, rows, kv_heads, _MEASURED_SLOTS, head_dim, dtype=dtype)
        q, mask = torch.zeros(rows, heads, head_dim), torch.zeros(rows, 1, 1, _MEASURED_SLOTS, dtype=dtype)
        passes = []
        for _ in range(4):
            before = time.perf_counter()
            for layer in kv:
                attend_step(q, layer, mask)
            passes.append((time.perf_counter() - before) / layers)
    return min(passes)
