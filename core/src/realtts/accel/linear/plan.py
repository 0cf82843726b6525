"""Which kernel multiplies how many rows: measured on the weights at hand, once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.linear.kernels import Kernel, kernels_for
from realtts.accel.quantize import SWITCH
from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["KernelPlan", "choose_plan"]

MANY = 128
"""Rows that stand for a prefill."""

_SAMPLE_BYTES = 256 * 2**20
"""float32 bytes of weights to measure on: more than a last-level cache holds, also as int8."""

_WORTH = 0.85
"""A second packed copy of the weights must take less than this share of the first one's time."""


@dataclass(frozen=True)
class KernelPlan:
    """Kernels by number of rows.

    Attributes:
        precision: Precision of the weights.
        steps: Pairs of the largest number of rows and the kernel for them, ascending; the last one takes any number.
    """

    precision: str
    steps: tuple[tuple[int, Kernel], ...]

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """Each kernel once; weights are packed for each."""
        return tuple(dict.fromkeys(kernel for _, kernel in self.steps))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kernels, for reports."""
        return tuple(kernel.name for kernel in self.kernels)

    def index_for(self, rows: int) -> int:
        """Index into `kernels` for a number of rows."""
        for most, kernel in self.steps:
            if rows <= most:
                return self.kernels.index(kernel)
        return self.kernels.index(self.steps[-1][1])


def choose_plan(
    weights: Sequence[Tensor], precision: str, *, rows: Sequence[int] = (2,), kernel: str | None = None
) -> KernelPlan:
    """Choose the fastest kernels of a precision for some weights.

    With one candidate nothing is measured. With several, each is packed with a sample of the weights and timed for
    each number of rows and for a prefill; one kernel serves all unless another is clearly faster for few rows.

    Args:
        weights: Some weights of shape (out, in), on the device that will run them.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"``, ``"int8"`` or ``"int4"``.
        rows: Numbers of rows of a decode step.
        kernel: Name of the one kernel to use, without any measurement.

    Raises:
        QuantizationUnavailable: Nothing of that precision works here.
    """
    device = weights[0].device
    found = kernels_for(precision, device)
    if kernel is not None:
        found = tuple(candidate for candidate in found if candidate.name == kernel)
    if not found:
        name = f"{precision} kernel {kernel!r}" if kernel else f"{precision} kernel"
        switch = SWITCH if precision.startswith("int") else 'set dtype="float32" (REALTTS_DTYPE=float32)'
        raise QuantizationUnavailable(
            f"no {name} works on {device.type} with this torch", who="quantization", fix=switch
        )
    if len(found) == 1:
        return KernelPlan(precision, ((MANY, found[0]),))
    return _measured(found, _sample(weights), precision, sorted(set(rows)))


def _sample(weights: Sequence[Tensor]) -> list[Tensor]:
    taken, size = [], 0
    for weight in weights:
        taken.append(weight)
        size += weight.numel() * 4
        if size >= _SAMPLE_BYTES:
            break
    return taken


def _measured(found: Sequence[Kernel], sample: Sequence[Tensor], precision: str, rows: Sequence[int]) -> KernelPlan:
    seconds = {kernel: _seconds(kernel, sample, [*rows, MANY]) for kernel in found}
    # One request is one prefill and hundreds of steps.
    first = min(found, key=lambda kernel: sum(100 * seconds[kernel][n] for n in rows) + seconds[kernel][MANY])
    steps: list[tuple[int, Kernel]] = []
    for n in (*rows, MANY):
        best = min(found, key=lambda kernel: seconds[kernel][n])
        steps.append((n, best if seconds[best][n] < _WORTH * seconds[first][n] else first))
    return KernelPlan(precision, tuple(steps))


def _seconds(kernel: Kernel, sample: Sequence[Tensor], rows: Sequence[int]) -> dict[int, float]:
    """The best of some passes over the sample, for each number of rows."""
    packed = [(kernel.pack(weight, None), weight.shape[1]) for weight in sample]
    found = {}
    with torch.inference_mode():
        for n in rows:
            inputs = {width: torch.linspace(-1, 1, n * width).view(n, width) for _, width in packed}
            found[n] = min(_pass(kernel, packed, inputs) for _ in range(3 if n >= MANY else 5))
    return found


def _pass(kernel: Kernel, packed: list[tuple[object, int]], inputs: dict[int, Tensor]) -> float:
    before = time.perf_counter()
    for weight, width in packed:
        kernel.run(weight, inputs[width])
    return time.perf_counter() - before
