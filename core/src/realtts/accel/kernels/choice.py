"""The choice of a kernel, measured on the weights at hand, once per machine."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels.autotune import autotune, stored_answer
from realtts.accel.kernels.matmul import Kernel, kernels_for, native_kernels
from realtts.accel.kernels.native import SWITCH as NATIVE_SWITCH, why_unusable
from realtts.accel.kernels.rounding import SWITCH
from realtts.accel.kernels.timing import replayed
from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["SAMPLE_BYTES", "choose_kernel", "known_kernel"]

_MANY = 128
"""Rows that stand for a prefill."""

SAMPLE_BYTES = 256 * 2**20
"""float32 bytes of weights to measure on: more than a last-level cache holds, also as int8."""


def choose_kernel(
    weights: Sequence[Tensor],
    precision: str,
    *,
    rows: Sequence[int] = (2,),
    kernel: str | None = None,
    native: bool = False,
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
        native: Choose among the kernels of realtts-native instead of torch's.

    Raises:
        QuantizationUnavailable: Nothing of that precision works here.
    """
    device = weights[0].device
    candidates = _candidates(precision, device, kernel, native=native)
    if len(candidates) == 1:
        return candidates[0]
    shapes = _sampled([tuple(weight.shape) for weight in weights])
    sample = list(weights[: len(shapes)])
    named = {candidate.name: candidate for candidate in candidates}
    question, numbers = _question(precision, shapes, rows), sorted(set(rows))
    return named[autotune(question, list(named), lambda: _fastest(candidates, sample, numbers).name, device)]


def known_kernel(
    shapes: Sequence[tuple[int, ...]],
    precision: str,
    device: torch.device,
    *,
    rows: Sequence[int] = (2,),
    kernel: str | None = None,
    native: bool = False,
) -> Kernel | None:
    """Return what `choose_kernel` would choose without measuring, so that no weight must be read; None: it would.

    Args:
        shapes: Of the weights, (out, in) each.
        precision: As of `choose_kernel`, like the rest.
        device: Where the weights will lie.
        rows: Numbers of rows of a decode step.
        kernel: Name of the one kernel to use.
        native: Choose among the kernels of realtts-native instead of torch's.

    Raises:
        QuantizationUnavailable: Nothing of that precision works here.
    """
    candidates = _candidates(precision, device, kernel, native=native)
    if len(candidates) == 1:
        return candidates[0]
    named = {candidate.name: candidate for candidate in candidates}
    answer = stored_answer(_question(precision, _sampled(shapes), rows), list(named), device)
    return None if answer is None else named[answer]


def _candidates(precision: str, device: torch.device, kernel: str | None, *, native: bool) -> tuple[Kernel, ...]:
    candidates = (native_kernels if native else kernels_for)(precision, device)
    if kernel is not None:
        candidates = tuple(candidate for candidate in candidates if candidate.name == kernel)
    if not candidates:
        name = f"{precision} kernel {kernel!r}" if kernel else f"{precision} kernel"
        if native:
            what = why_unusable() or f"realtts-native has no {name}"
            raise QuantizationUnavailable(what, who="quantization", fix=NATIVE_SWITCH)
        switch = SWITCH if precision in {"int8", "fp8", "int4"} else 'set dtype="float32" (REALTTS_DTYPE=float32)'
        raise QuantizationUnavailable(
            f"no {name} works on {device.type} with this torch", who="quantization", fix=switch
        )
    # float32 promises the tokens of a row that is alone, and near ties are rare only where the rounding is the same.
    steady = tuple(candidate for candidate in candidates if candidate.steady)
    return steady if precision == "fp32" and steady else candidates


def _question(precision: str, shapes: Sequence[tuple[int, ...]], rows: Sequence[int]) -> dict[str, object]:
    return {"kernel of": precision, "weights": [list(shape) for shape in shapes], "rows": sorted(set(rows))}


def _sampled(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the first of the shapes, as many as are measured."""
    sample, size = [], 0
    for shape in shapes:
        sample.append(shape)
        size += math.prod(shape) * 4
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
