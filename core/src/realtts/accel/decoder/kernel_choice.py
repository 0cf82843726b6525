"""The choice of a decoder's kernel: products timed alone among torch's, whole steps against realtts-native's."""

from __future__ import annotations

import functools
import operator
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from realtts.accel.kernels import choose_kernel, native
from realtts.accel.kernels.autotune import autotune
from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.precision import Precision
    from realtts.accel.decoder.weights import LayerWeights
    from realtts.accel.kernels import Kernel

    Built = Callable[[DecoderConfig, Sequence[LayerWeights], Precision, str], "Timed"]

__all__ = ["choose_step_kernel"]

_POSITIONS = 300
"""Cached positions of the steps that are timed."""

_PROMPT = 64
"""Positions of the prompt that is timed; a request is a few such prompts and hundreds of steps."""

_STEPS = 100


class Timed(Protocol):
    """What is timed: a `realtts.accel.decoder.Decoder`, which chooses by this module and so is no import of it."""

    config: DecoderConfig

    def new_cache(self, rows: int, cap: int) -> KVCache:
        """Make a cache."""

    def step(self, x: Any, cache: KVCache) -> object:
        """Decode one position of every row."""

    def prefill(self, x: Any, cache: KVCache) -> object:
        """Read a prompt."""


def choose_step_kernel(
    config: DecoderConfig,
    layers: Sequence[LayerWeights],
    precision: Precision,
    *,
    rows: Sequence[int],
    kernel: str | None = None,
    build: Built,
) -> Kernel:
    """Choose the kernel of a decoder.

    Args:
        config: Its shape.
        layers: Its first ones, at least one, on the device that will run them.
        precision: Of weights and cache, and whether realtts-native may be used.
        rows: Numbers of rows of a step.
        kernel: Name of the one kernel to use, without any measurement.
        build: Makes a decoder of some layers with a kernel, for the measurement.

    Raises:
        QuantizationUnavailable: Nothing of that precision works here; or realtts-native was only wanted where it is
            faster, and torch's steps are.
    """
    matrices = [weight for layer in layers for weight in layer.matrices]
    weights, wanted = precision.weights, precision.native
    chosen = choose_kernel(matrices, weights, rows=rows, kernel=kernel, native=bool(wanted))
    if wanted != "auto" or kernel is not None:
        return chosen
    try:
        other = choose_kernel(matrices, weights, rows=rows)
    except QuantizationUnavailable:
        return chosen
    tried = replace(config, layers=len(layers))
    question = {
        "step of": weights,
        "shape": repr(tried),
        "rows": sorted(set(rows)),
        "instructions": native.instruction_set(),
    }
    kernels = (chosen, other)

    def fastest() -> str:
        seconds = [_seconds(build(tried, layers, _by(precision, each), each.name), rows) for each in kernels]
        # Each number of rows counts by its share of the slower one's time, so that the batch does not decide alone.
        slower = [max(both) for both in zip(*seconds, strict=True)]
        shares = [sum(map(operator.truediv, each, slower)) for each in seconds]
        return kernels[shares.index(min(shares))].name

    if autotune(question, [each.name for each in kernels], fastest, matrices[0].device) == chosen.name:
        return chosen
    raise QuantizationUnavailable(
        f"torch's {weights} steps ({other.name}), measured here, are faster than realtts-native's",
        who="quantization",
        fix=f"leave it as it is: torch's are used; or {native.SWITCH}; or set native=True to use them all the same",
    )


def _by(precision: Precision, kernel: Kernel) -> Precision:
    return replace(precision, native=kernel.library == "native")


@torch.inference_mode()
def _seconds(decoder: Timed, rows: Sequence[int]) -> list[float]:
    """Time a request's share of prompts and steps for each number of rows."""
    hidden = decoder.config.hidden_size
    prompt = torch.linspace(-1, 1, _PROMPT * hidden).view(1, _PROMPT, hidden)
    read = min(_timed(lambda: decoder.prefill(prompt, decoder.new_cache(1, _PROMPT))) for _ in range(2))
    seconds = []
    for n in sorted(set(rows)):
        cache = decoder.new_cache(n, _POSITIONS + _PROMPT)
        cache.reach(cache.cap)
        cache.slots.fill_(_POSITIONS)
        cache.positions.fill_(_POSITIONS)
        cache.valid[:, :_POSITIONS] = True
        cache.used = [_POSITIONS] * n
        step = functools.partial(decoder.step, torch.linspace(-1, 1, n * hidden).view(n, hidden), cache)
        seconds.append(min(_timed(step) for _ in range(6)) * _STEPS + read)
    return seconds


def _timed(run: Callable[[], object]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before
