"""Which step a decoder runs: decided in one place, when its layers are packed.

The choice on CUDA has not run on a GPU yet. Switches: ``native=False`` on the CPU, ``compile=False`` on CUDA.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.fused_step import FusedStep, why_no_products
from realtts.accel.decoder.native_step import NativeStep
from realtts.accel.decoder.torch_step import TorchStep
from realtts.accel.fused import why_not
from realtts.accel.kernels.autotune import autotune
from realtts.accel.kernels.timing import replayed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.layers import LayerStack
    from realtts.accel.decoder.rope import RopeTable
    from realtts.accel.decoder.torch_step import Step
    from realtts.accel.kernels import Kernel

__all__ = ["choose_step"]

_MEASURED_SLOTS = 320
_FORMS = ("products", "pointwise")


def choose_step(
    config: DecoderConfig,
    layers: LayerStack,
    rope: RopeTable | None,
    kernel: Kernel,
    *,
    fused: bool,
    new_cache: Callable[[int, int], KVCache],
    rows: Sequence[int],
) -> Step:
    """Choose what runs a decoder's steps.

    Args:
        config: Shape of the decoder.
        layers: Packed for the kernel.
        rope: Tables of rotary positions, or None.
        kernel: One of realtts-native has steps of its own.
        fused: Whether steps shall be of `realtts.accel.fused`, where that works; else what lies between their products
            is compiled.
        new_cache: Makes a cache of so many rows and slots.
        rows: Numbers of rows that steps will have.
    """
    if kernel.library == "native":
        return NativeStep(config, layers, rope)
    if not fused:
        return TorchStep(layers, rope)
    weight = layers.norm[0]
    reason = why_not(weight.device, weight.dtype)
    if reason is None:
        return _fused_form(config, layers, rope, new_cache=new_cache, rows=rows)
    layers.compile("default", fallback=True)
    return TorchStep(layers, rope, why_not_fused=reason)


def _fused_form(
    config: DecoderConfig,
    layers: LayerStack,
    rope: RopeTable | None,
    *,
    new_cache: Callable[[int, int], KVCache],
    rows: Sequence[int],
) -> FusedStep:
    """Return the faster form of fused steps.

    Whether a product with norm and activation in it is faster than a library's product is measured as it is replayed,
    once per machine.
    """
    if why_no_products(layers) is not None:
        return FusedStep(config, layers, rope, products=False)
    fused = {form: FusedStep(config, layers, rope, products=form == "products") for form in _FORMS}
    weight, kernel, numbers = layers.norm[0], next(iter(layers)).qkv.kernel, sorted(set(rows))
    question = {
        "fused step of": [config.layers, config.hidden_size, config.heads, config.kv_heads, config.mlp_size],
        "kernel": kernel.name, "precision": kernel.precision, "rows": numbers,
    }  # fmt: skip
    return fused[autotune(question, list(_FORMS), lambda: _fastest(fused, weight, new_cache, numbers), weight.device)]


@torch.inference_mode()
def _fastest(
    fused: dict[str, FusedStep], weight: torch.Tensor, new_cache: Callable[[int, int], KVCache], rows: Sequence[int]
) -> str:
    seconds = dict.fromkeys(fused, 0.0)
    for count in rows:
        cache = new_cache(count, _MEASURED_SLOTS)
        cache.active.fill_(False)  # a step is replayed more often than there are slots
        cache.slots.fill_(_MEASURED_SLOTS)
        cache.valid.fill_(True)
        x = weight.new_ones(count, len(weight))
        for form, step in fused.items():
            work = functools.partial(step, x, cache, _MEASURED_SLOTS, None, None)
            seconds[form] += replayed(work, weight.device)
    return min(seconds, key=seconds.__getitem__)
