"""How a flow computes on each rung: rungs with int8 weights and activations, and the kernel of its attention.

A flow computes many rows at once, so what limits it are operations, not the bytes of its weights: quantized weights
alone gain nothing, and activations are rounded too. That is done where the setting ``precision_policy`` is ``"fast"``,
by `realtts.accel.kernels.rows`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels.autotune import autotune
from realtts.accel.kernels.rows import attend_packed, why_no_rows
from realtts.accel.layers.bidirectional import attend
from realtts.accel.precision import name_of
from realtts.contract.context import Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.context import Context

__all__ = ["attention_kernel", "uses_w8a8", "why_no_w8a8", "with_w8a8"]

_W8A8 = "w8a8"
_MEASURED_FRAMES, _MEASURED_SEQUENCES, _MEASURED_PASSES = 400, 2, 3


def with_w8a8(context: Context, rungs: Sequence[Rung], *, alone: bool = False) -> list[Rung]:
    """Put before each rung with quantized weights the same with a flow of int8 weights and activations.

    They are proposed on the CPU with ``precision_policy="fast"``, where the user has named no dtype, no kernel of
    attention, no unquantized weights and not to do without compiled kernels; with ``strict`` only where they can run.

    Args:
        context: Of the hook `rungs`.
        rungs: The usual ones.
        alone: The model is a flow and nothing else: one such rung is put before all.
    """
    settings = context.settings
    named = settings.dtype != "auto" or settings.quantization == "none" or settings.attention != "auto"
    wanted = settings.precision_policy == "fast" and context.device == "cpu" and not named
    if not wanted or settings.native is False or (settings.strict and why_no_rows() is not None):
        return list(rungs)
    if alone:
        first = Rung(_W8A8, {"dtype": "float32", "quantization": "int8", "cuda_graphs": False, "compile": False})
        return [first, *rungs]
    quantized = [rung for rung in rungs if rung.settings.get("quantization") in {"int8", "int4"}]
    return [
        each
        for rung in rungs
        for each in ([Rung(f"{rung.name}+{_W8A8}", rung.settings), rung] if rung in quantized else [rung])
    ]


def uses_w8a8(context: Context) -> bool:
    """Whether the rung's flow has int8 weights and activations."""
    return context.rung is not None and _W8A8 in context.rung.name.split("+")


def why_no_w8a8(context: Context) -> str | None:
    """Say, for `probe`, why the rung's flow cannot be computed here; None if it can, or is not of that kind."""
    return why_no_rows() if uses_w8a8(context) else None


def attention_kernel(
    context: Context, dtype: torch.dtype, heads: int, width: int, *, w8a8: bool = False, graphs: bool = False
) -> str:
    """Choose what computes the attention of all frames of a sequence to each other.

    realtts-native multiplies in float32 where the type is float32, and in integers of 12 bits, which round less than
    bfloat16, where it is not. It is taken where it is installed and was measured to be faster, once per machine.

    Args:
        context: Of the stage.
        dtype: Of queries, keys and values.
        heads: Number of heads.
        width: Of a head.
        w8a8: Whether products have int8 activations: integers, then, without measuring.
        graphs: Whether the network's steps are captured.

    Returns:
        ``"own"`` (`realtts.accel.layers.bidirectional`), ``"torch"`` (torch's kernel), ``"native"`` or
        ``"native-rounded"``.
    """
    settings = context.settings
    if settings.attention != "auto":
        return "torch"
    if w8a8:
        return "native-rounded"
    usable = context.device == "cpu" and not graphs and settings.native is not False and width % 16 == 0
    if not usable or dtype not in {torch.float32, torch.bfloat16} or why_no_rows() is not None:
        return "own"
    native = "native" if dtype == torch.float32 else "native-rounded"
    if settings.native is True:
        return native
    question = {"attention of": name_of(dtype), "heads": heads, "width": width}
    return autotune(question, ["own", native], lambda: _fastest(dtype, heads, width, native), torch.device("cpu"))


def _fastest(dtype: torch.dtype, heads: int, width: int, native: str) -> str:
    """Time both on two sequences of four seconds; the best of some passes."""
    frames, count = _MEASURED_FRAMES, _MEASURED_SEQUENCES
    with torch.inference_mode():
        numbers = torch.linspace(-9.0, 9.0, count * frames * 3 * heads * width)
        qkv = numbers.sin_().to(dtype).view(count * frames, 3 * heads * width)
        out = qkv.new_empty(count * frames, heads * width)
        q, k, v = qkv.view(count, frames, 3, heads, width).permute(2, 0, 3, 1, 4)  # three of (n, h, frames, width)
        spans = [(index * frames, frames) for index in range(count)]
        ways: dict[str, Callable[[], object]] = {
            "own": lambda: attend(q, k, v),
            native: lambda: attend_packed(qkv, out, heads=heads, spans=spans, exact=native == "native"),
        }
        seconds = {name: min(_seconds(way) for _ in range(_MEASURED_PASSES)) for name, way in ways.items()}
    return min(seconds, key=lambda name: seconds[name])


def _seconds(way: Callable[[], object]) -> float:
    before = time.perf_counter()
    way()
    return time.perf_counter() - before
