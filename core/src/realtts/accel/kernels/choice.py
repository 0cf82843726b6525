"""The choice of a kernel, measured on the weights at hand, once per machine."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels.autotune import autotune
from realtts.accel.kernels.matmul import Kernel, kernels_for
from realtts.accel.kernels.rounding import SWITCH
from realtts.accel.kernels.timing import replayed
from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["SAMPLE_BYTES", "choose_kernel"]

_MANY = 128
"""Rows that stand for a prefill."""

SAMPLE_BYTES = 256 * 2**20
"""float32 bytes of weights to measure on: more than a last-level cache holds, also as int8."""


def choose_kernel(
    weights: Sequence[Tensor], precision: str, *, rows: Sequence[int] = (2,), kernel: str | None = None
) -> Kernel:
    """Choose the fastest kernel of a precision for some weights.

    With one candidate nothing is measured. With several, each is packed with a sample of the weights and timed for
    each number of rows and for a prefill. One kernel then serves every number of rows: with two, the same row would
    round differently beside more neighbours. The answer is kept in the cache folder, for every process of this machine
    that asks the same. In float32 only kernels are asked for which a row gives the same beside any number of others,
    if there are any.

    Args:
        weights: Some weights of shape (out, in), on the device that will run them; `SAMPLE_BYTES` of them are used.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"``, ``"int8"``, ``"fp8"`` or ``"int4"``.
        rows: Numbers of rows of a decode step.
        kernel: Name of the one kernel to use, without any measurement.

    Raises:
        QuantizationUnavailable: Nothing of that precision works here.
    """
    device = weights[0].device
    candidates = kernels_for(precision, device)
    if kernel is not None:
        candidates = tuple(candidate for candidate in candidates if candidate.name == kernel)
    if not candidates:
        name = f"{precision} kernel {kernel!r}" if kernel else f"{precision} kernel"
        switch = SWITCH if precision in {"int8", "fp8", "int4"} else 'set dtype="float32" (REALTTS_DTYPE=float32)'
        raise QuantizationUnavailable(
            f"no {name} works on {device.type} with this torch", who="quantization", fix=switch
        )
    # float32 promises the tokens of a row that is alone, and near ties are rare only where the rounding is the same.
    steady = tuple(candidate for candidate in candidates if candidate.steady)
    if precision == "fp32" and steady:
        candidates = steady
    if len(candidates) == 1:
        return candidates[0]
    sample, numbers = _sample(weights), sorted(set(rows))
    named = {candidate.name: candidate for candidate in candidates}
    question = {"kernel of": precision, "weights": [list(weight.shape) for weight in sample], "rows": numbers}
    return named[autotune(question, list(named), lambda: _fastest(candidates, sample, numbers).name, device)]


def _sample(weights: Sequence[Tensor]) -> list[Tensor]:
    sample, size = [], 0
    for weight in weights:
        sample.append(weight)
        size += weight.numel() * 4
        if size >= SAMPLE_BYTES:
            break
    return sample


def _fastest(candidates: Sequence[Kernel], sample: Sequence[Tensor], rows: Sequence[int]) -> Kernel:
    seconds = {kernel: _seconds(kernel, sample, [*rows, _MANY]) for kernel in candidates}
    # One request is one prefill and hundreds of steps; each number of rows counts by its share of the slowest kernel's
    # time, so that the batch does not decide alone.
    slowest = {n: max(seconds[kernel][n] for kernel in candidates) for n in rows}
    return min(
        candidates,
        key=lambda kernel: sum((100 * seconds[kernel][n] + seconds[kernel][_MANY]) / (100 * slowest[n]) for n in rows),
    )


def _seconds(kernel: Kernel, sample: Sequence[Tensor], rows: Sequence[int]) -> dict[int, float]:
    """Time passes over the sample for each number of rows; the best of some."""
    packed = [(kernel.pack(weight, None), weight.shape[1]) for weight in sample]
    seconds = {}
    with torch.inference_mode():
        for n in rows:
            inputs = {
                width: torch.linspace(-1, 1, n * width, device=sample[0].device).view(n, width) for _, width in packed
            }
            work = functools.partial(_pass, kernel, packed, inputs)
            seconds[n] = replayed(work, sample[0].device, passes=3 if n >= _MANY else 5)
    return seconds


def _pass(kernel: Kernel, packed: list[tuple[object, int]], inputs: dict[int, Tensor]) -> None:
    for weight, width in packed:
        kernel.run(weight, inputs[width])
