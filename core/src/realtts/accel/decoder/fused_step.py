"""A step of a decoder by the fused operations: six launches a layer where twenty are usual.

Not run on a GPU yet: the tests run the operations' plain forms on the CPU, and their kernels in Triton's interpreter.
Switch: ``compile=False``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.fused import cache as fused
from realtts.accel.fused.products import FewRows, linear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.attend import Taps
    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.layers import Layer, LayerStack
    from realtts.accel.decoder.places import Places, Run
    from realtts.accel.decoder.rope import RopeTable
    from realtts.accel.kernels import PackedLinear

__all__ = ["FusedStep", "why_no_products"]

_SHORT = 4
"""Positions of a prompt that is read as steps are made."""


def why_no_products(layers: LayerStack) -> str | None:
    """Return why norm, product and activation of these layers cannot be one launch; None: they can."""
    packed = [linear for layer in layers for linear in layer.linears]
    other = next((linear.kernel.name for linear in packed if linear.few_rows is None), None)
    return None if other is None else f"the kernel {other!r} packs weights in a form of its own"


@dataclass(frozen=True)
class _Products:
    """The matrices of a layer as `linear` takes them; None where libraries multiply by them."""

    qkv: FewRows | None = None
    out: FewRows | None = None
    gate_up: FewRows | None = None
    down: FewRows | None = None


_NONE = _Products()


class FusedStep:
    """A `realtts.accel.decoder.torch_step.Step` by `realtts.accel.fused`, which a graph may capture.

    Args:
        config: Shape of the decoder.
        layers: Packed layers and the last norm.
        rope: Tables of rotary positions, or None.
        products: Whether norms, activations and residuals are part of the products; else kernels chosen by
            `realtts.accel.kernels.choose_kernel` multiply, and what is between is fused.

    Attributes:
        products: Whether they are: not where a library has laid the weights out.
    """

    def __init__(
        self, config: DecoderConfig, layers: LayerStack, rope: RopeTable | None, *, products: bool = True
    ) -> None:
        self._config, self._layers = config, layers
        self._tables = (None, None) if rope is None else rope.tables
        self.products = products and why_no_products(layers) is None
        self._masks: dict[int, Tensor] = {}
        self._weights = [_Products(*(part.few_rows for part in layer.linears)) for layer in layers if self.products]

    @property
    def bytes_read(self) -> int:
        """As `Step.bytes_read`."""
        return self._layers.bytes_read

    @property
    def facts(self) -> Mapping[str, object]:
        """As `Step.facts`."""
        return {}

    def __call__(
        self, x: Tensor, cache: KVCache, attended: int | Sequence[Run], places: Places | None, taps: Taps | None
    ) -> Tensor:
        """As `Step.__call__`."""
        far = attended if isinstance(attended, int) else max(run.attended for run in attended)
        rows = torch.arange(cache.rows, device=x.device) if places is None else places.rows
        return self._run(x, cache, rows, self._place(cache, rows, cache.active), far, taps)

    def prompt(self, x: Tensor, cache: KVCache, rows: Sequence[int] | Tensor, attended: int) -> Tensor | None:
        """As `Step.prompt`: a short one, in the same launches for all its positions."""
        positions = x.shape[1]
        if positions > _SHORT:
            return None
        index, _ = cache.numbers(rows)
        placed = [self._place(cache, index, self._all(cache)) for _ in range(positions)]
        # (n, positions, hidden) -> (positions * n, hidden): all first positions, then all second ones; and back, a view
        tokens = x.transpose(0, 1).flatten(0, 1)
        hidden = self._run(tokens, cache, index.repeat(positions), torch.cat(placed, 1), attended, None)
        return torch.unflatten(hidden, 0, (positions, -1)).transpose(0, 1)

    def _all(self, cache: KVCache) -> Tensor:
        """Return a mask of all rows: a prompt also moves those on that steps leave where they are.

        It is made once, before anything is captured.
        """
        if cache.rows not in self._masks:
            self._masks[cache.rows] = torch.ones_like(cache.active)
        return self._masks[cache.rows]

    def _place(self, cache: KVCache, rows: Tensor, active: Tensor) -> Tensor:
        return fused.place(cache.slots, cache.positions, active, cache.valid, cache.rotations, rows, cache.cap)

    def _run(  # noqa: PLR0917 - called by the two above
        self, x: Tensor, cache: KVCache, rows: Tensor, at: Tensor, attended: int, taps: Taps | None
    ) -> Tensor:
        eps, layers = self._config.norm_eps, self._layers
        tapped: dict[int, Tensor] = {}
        x = x.to(layers.norm[0].dtype)
        for index, layer in enumerate(layers):
            w = self._weights[index] if self.products else _NONE
            qkv = self._from_norm(x, layer.input_norm, layer.input_norm_bias, layer.qkv, w.qkv)
            stored, norms = cache.layer(index), (layer.q_norm, layer.k_norm)
            q = fused.heads(qkv, stored, rows, at, norms=norms, eps=eps, tables=self._tables)
            if taps is not None:
                tapped.update(taps.queries(index, q))
            mixed = fused.attend(q, stored, cache.valid, rows, at, attended)
            x = _added(x, mixed, layer.out, w.out)
            h = self._activated(x, layer, w.gate_up)
            x = _added(x, h, layer.down, w.down)
        if taps is not None:
            group = self._config.heads // self._config.kv_heads
            taps.write_together(tapped, cache, attended, rows, group=group)
        return layers.pointwise.normed(x, *layers.norm, eps)

    def _from_norm(
        self, x: Tensor, norm: Tensor, bias: Tensor | None, layer: PackedLinear, weights: FewRows | None
    ) -> Tensor:
        eps = self._config.norm_eps
        if weights is not None:
            return linear(x, weights, norm=norm, norm_bias=bias, eps=eps)
        return layer(self._layers.pointwise.normed(x, norm, bias, eps)).to(x.dtype)

    def _activated(self, x: Tensor, layer: Layer, weights: FewRows | None) -> Tensor:
        norm, bias, eps = layer.mlp_norm, layer.mlp_norm_bias, self._config.norm_eps
        if weights is not None:
            activation = "gelu" if self._config.family == "gpt2" else "gated"
            return linear(x, weights, norm=norm, norm_bias=bias, eps=eps, activation=activation)
        pointwise = self._layers.pointwise
        return pointwise.activated(layer.gate_up(pointwise.normed(x, norm, bias, eps)))


def _added(x: Tensor, h: Tensor, layer: PackedLinear, weights: FewRows | None) -> Tensor:
    return x + layer(h).to(x.dtype) if weights is None else linear(h, weights, residual=x)
