"""Whether a decoder's steps run by the fused operations, and in which form: decided once, when it is packed.

Not run on a GPU yet. Switch: ``compile=False``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.fused_layers import FusedLayers, why_no_products
from realtts.accel.fused import why_not
from realtts.accel.kernels.autotune import autotune
from realtts.accel.kernels.timing import replayed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.layers import LayerStack
    from realtts.accel.decoder.rope import RopeTable

__all__ = ["fused_form"]

_MEASURED_SLOTS = 320
_FORMS = ("products", "pointwise")


def fused_form(
    config: DecoderConfig,
    layers: LayerStack,
    rope: RopeTable | None,
    *,
    new_cache: Callable[[int, int], KVCache],
    rows: Sequence[int],
) -> FusedLayers | str:
    """Return some layers as fused operations, in the faster form, or why they cannot be had.

    Whether a product with norm and activation in it is faster than a library's product is measured as it is replayed,
    once per machine.

    Args:
        config: Shape of the decoder.
        layers: Packed.
        rope: Tables of rotary positions, or None.
        new_cache: Makes a cache of so many rows and slots.
        rows: Numbers of rows that steps will have.
    """
    weight = layers.norm[0]
    reason = why_not(weight.device, weight.dtype)
    if reason is not None:
        return reason
    fused = {form: FusedLayers(config, layers, rope, products=form == "products") for form in _FORMS}
    if why_no_products(layers) is not None:
        return fused["pointwise"]
    kernel, numbers = next(iter(layers)).qkv.kernel, sorted(set(rows))
    question = {
        "fused step of": [config.layers, config.hidden_size, config.heads, config.kv_heads, config.mlp_size],
        "kernel": kernel.name, "precision": kernel.precision, "rows": numbers,
    }  # fmt: skip
    return fused[autotune(question, list(_FORMS), lambda: _fastest(fused, weight, new_cache, numbers), weight.device)]


@torch.inference_mode()
def _fastest(
    fused: dict[str, FusedLayers], weight: torch.Tensor, new_cache: Callable[[int, int], KVCache], rows: Sequence[int]
) -> str:
    seconds = dict.fromkeys(fused, 0.0)
    for count in rows:
        cache = new_cache(count, _MEASURED_SLOTS)
        cache.active.fill_(False)  # a step is replayed more often than there are slots
        cache.slots.fill_(_MEASURED_SLOTS)
        cache.valid.fill_(True)
        x = weight.new_ones(count, len(weight))
        for form, layers in fused.items():
            seconds[form] += replayed(lambda: layers.step(x, cache, None, _MEASURED_SLOTS, None), weight.device)  # noqa: B023 - called at once
    return min(seconds, key=seconds.__getitem__)
