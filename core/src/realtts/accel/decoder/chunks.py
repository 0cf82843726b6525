"""How many positions of a prompt to read between two steps."""

from __future__ import annotations

import functools
import statistics
import time
from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels.autotune import autotune

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.network import Decoder

__all__ = ["fit_chunk"]

_CHUNKS = (8, 16, 32, 64, 128, 256)
_LOOKS = 5
_FILLED = 128
"""Slots that a step looks at while it is timed."""


def fit_chunk(decoder: Decoder) -> int:
    """Return the largest chunk that is read within two steps of one row, for `realtts.accel.decoder.RowLoop`.

    It is measured once per machine and kept, as kernels are: another chunk rounds a prompt otherwise.
    """
    config = decoder.config
    shape = [config.layers, config.hidden_size, config.heads, config.kv_heads, config.head_dim, config.mlp_size]
    question = {"chunk of": shape, "precision": decoder.precision.weights, "kernel": decoder.kernel.name}
    return int(autotune(question, [str(chunk) for chunk in _CHUNKS], lambda: str(_measured(decoder)), decoder.device))


@torch.inference_mode()
def _measured(decoder: Decoder) -> int:
    cache = decoder.new_cache(1, _FILLED + 2 * _LOOKS)
    x = torch.zeros(1, max(_CHUNKS), decoder.config.hidden_size, device=decoder.device)
    decoder.prefill(x[:, :_FILLED], cache)
    step = _median(decoder, lambda: decoder.step(x[:, 0], cache))
    fitting = _CHUNKS[0]
    for chunk in _CHUNKS[1:]:
        own = decoder.new_cache(1, chunk)
        if _median(decoder, functools.partial(_read, decoder, x[:, :chunk], own)) > 2 * step:
            break
        fitting = chunk
    return fitting


def _read(decoder: Decoder, x: Tensor, cache: KVCache) -> None:
    cache.reset()
    decoder.prefill(x, cache)


def _median(decoder: Decoder, work: Callable[[], object]) -> float:
    """Return the median seconds of some calls after a first one."""
    seconds = []
    for _ in range(_LOOKS + 1):
        before = time.perf_counter()
        work()
        if decoder.device.type == "cuda":
            torch.cuda.synchronize(decoder.device)
        seconds.append(time.perf_counter() - before)
    return statistics.median(seconds[1:])
