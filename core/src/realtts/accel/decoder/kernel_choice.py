"""The choice of a decoder's kernel: products timed alone among torch's, whole steps against realtts-native's."""

from __future__ import annotations

import functools
import operator
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from realtts.accel.decoder.layers import sample
from realtts.accel.decoder.storing import choose_decoder_kernel
from realtts.accel.kernels import native
from realtts.accel.kernels.autotune import autotune
from realtts.errors import QuantizationUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.precision import Precision
    from realtts.accel.decoder.storing import Sampled
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
    layers: Iterable[LayerWeights],
    precision: Precision,
    device: torch.device,
    *,
    rows: Sequence[int],
    kernel: str | None = None,
    build: Built,
) -> tuple[Kernel, Sampled]:
    """Choose the kernel of a decoder; layers are read for it only where something must be measured.

    Args:
        config: Its shape.
        layers: Its layers, in order, on the device that will run them.
        precision: Of weights and cache, and whether realtts-native may be used.
        device: Where the layers lie.
        rows: Numbers of rows of a step.
        kernel: Name of the one kernel to use, without any measurement.
        build: Makes a decoder of some layers with a kernel, for the measurement.

    Returns:
        The kernel, and the layers that were read, by index.

    Raises:
        QuantizationUnavailable: Nothing of that precision works here; or realtts-native was only wanted where it is
            faster, and torch's steps are.
    """
    weights, wanted = precision.weights, precision.native
    choose = functools.partial(choose_decoder_kernel, config, layers, weights, device, rows=rows)
    if wanted != "auto" or kernel is not None:
        return choose(kernel=kernel, native=bool(wanted))
    own, sampled = choose(native=True)
    try:
        other, sampled = choose()
    except QuantizationUnavailable:
        return own, sampled
    kernels = (own, other)
    question = {
        "step of": weights,
        "shape": repr(config),
        "rows": sorted(set(rows)),
        "instructions": native.instruction_set(),
    }

    def fastest() -> str:
        if not sampled:
            sampled.update(enumerate(sample(iter(layers))))
        first = list(sampled.values())
        tried = replace(config, layers=len(first))
        seconds = [_seconds(build(tried, first, _by(precision, each), each.name), rows) for each in kernels]
        # Each number of rows counts by its share of the slower one's time, so that the batch does not decide alone.
        slower = [max(both) for both in zip(*seconds, strict=True)]
        shares = [sum(map(operator.truediv, each, slower)) for each in seconds]
        return kernels[shares.index(min(shares))].name

    if autotune(question, [each.name for each in kernels], fastest, device) == own.name:
        return own, sampled
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
