"""One step of a decoder in one call of realtts-native: norms, products, rotation, cache, attention and taps."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.kernels import native
from realtts.errors import AccelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.attend import Taps
    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.layers import Layer, LayerStack
    from realtts.accel.decoder.places import Places, Run
    from realtts.accel.decoder.rope import RopeTable

__all__ = ["NativeStep"]

_TOGETHER = 256
"""Positions of all rows that a call takes at most: its scratch memory grows with them, and stays."""


class NativeStep:
    """A `realtts.accel.decoder.torch_step.Step` over the weights of layers that realtts-native has packed.

    Prompts are read by the same calls, many positions at once, with the bits of single steps. Those with padding, taps
    or positions of their own are read by the same layers around torch's attention: no weight is in memory twice.

    Args:
        config: Shape of the decoder.
        layers: All layers, packed by the kernels of realtts-native.
        rope: Rotations of the positions; None: there are none.
    """

    def __init__(self, config: DecoderConfig, layers: LayerStack, rope: RopeTable | None) -> None:
        library, (norm, norm_bias) = native.library(), layers.norm
        cos, sin = (None, None) if rope is None else rope.tables
        self._pool = native.pool()
        self._step = library.Step(
            [_layer(library, layer) for layer in layers],
            norm.float(),
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            eps=config.norm_eps,
            gated=config.family == "llama",
            final_norm_bias=_float(norm_bias),
            cos=cos,
            sin=sin,
        )
        # Handles on tensors, made once: asking a tensor for its address takes as long as a small product.
        self._caches: weakref.WeakKeyDictionary[KVCache, Any] = weakref.WeakKeyDictionary()
        self._taps: weakref.WeakKeyDictionary[Taps, Any] = weakref.WeakKeyDictionary()

    @property
    def bytes_read(self) -> int:
        """As `Step.bytes_read`."""
        return int(self._step.nbytes)

    @property
    def facts(self) -> Mapping[str, object]:
        """As `Step.facts`."""
        return {"threads": self._pool.threads, "instructions": native.instruction_set()}

    def __call__(
        self,
        x: Tensor,
        cache: KVCache,
        attended: int | Sequence[Run],  # noqa: ARG002 - a row looks as far as it has keys
        places: Places | None,
        taps: Taps | None,
    ) -> Tensor:
        """As `Step.__call__`.

        Raises:
            AccelError: The library refuses or fails.
        """
        return self._run(x, cache, None if places is None else places.numbers, taps)

    def prompt(
        self,
        x: Tensor,
        cache: KVCache,
        rows: Sequence[int] | Tensor,
        attended: int,  # noqa: ARG002 - a row looks as far as it has keys
    ) -> Tensor | None:
        """As `Step.prompt`: one of rows that go on."""
        if isinstance(rows, torch.Tensor) or len(rows) > _TOGETHER or not bool(cache.active[list(rows)].all()):
            return None
        read = [self._positions(part, cache, rows) for part in x.split(max(1, _TOGETHER // len(rows)), 1)]
        return read[0] if len(read) == 1 else torch.cat(read, 1)

    def _positions(self, x: Tensor, cache: KVCache, rows: Sequence[int]) -> Tensor:
        n = x.shape[1]
        # Positions of a row follow each other: (rows, n, hidden) -> (rows * n, hidden) and back.
        return torch.unflatten(self._run(x.flatten(0, 1), cache, [row for row in rows for _ in range(n)]), 0, (-1, n))

    @property
    def handle(self) -> Any:
        """The library's step."""
        return self._step

    def _run(self, x: Tensor, cache: KVCache, rows: Sequence[int] | None, taps: Taps | None = None) -> Tensor:
        x = x.to(torch.float32).contiguous()
        hidden = torch.empty_like(x)
        try:
            self._step.run(x, self.bound(cache), hidden, rows=rows, taps=self._tapped(taps), pool=self._pool)
        except (ValueError, RuntimeError) as error:
            raise AccelError(f"realtts-native failed: {error}", who="decoder", fix=native.SWITCH) from error
        return hidden

    def bound(self, cache: KVCache) -> Any:
        """Return the library's handle on a cache."""
        bound = self._caches.get(cache)
        if bound is None:
            bound = self._caches[cache] = native.library().Cache(
                cache.stored,
                slots=cache.slots,
                positions=cache.positions,
                valid=cache.valid,
                rotations=cache.rotations,
                active=cache.active,
            )
        return bound

    def _tapped(self, taps: Taps | None) -> Any:
        if taps is None:
            return None
        bound = self._taps.get(taps)
        if bound is None:
            bound = self._taps[taps] = native.library().Taps(taps.heads, taps.step)
        return bound


def _layer(library: Any, layer: Layer) -> Any:
    return library.Layer(
        input_norm=layer.input_norm.float(),
        input_norm_bias=_float(layer.input_norm_bias),
        qkv=layer.qkv.packed,
        q_norm=_float(layer.q_norm),
        k_norm=_float(layer.k_norm),
        out=layer.out.packed,
        mlp_norm=layer.mlp_norm.float(),
        mlp_norm_bias=_float(layer.mlp_norm_bias),
        gate_up=layer.gate_up.packed,
        down=layer.down.packed,
    )


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()
