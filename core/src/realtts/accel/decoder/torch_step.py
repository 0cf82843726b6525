"""One step of a decoder, layer by layer, by torch's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from realtts.accel.decoder.attend import allowed_keys, attend_runs, attend_step
from realtts.accel.indexed import select, store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.attend import Taps
    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.layers import LayerStack
    from realtts.accel.decoder.places import Places, Run
    from realtts.accel.decoder.rope import RopeTable
    from realtts.accel.decoder.step_attention import StepAttention

__all__ = ["Step", "TorchStep"]


class Step(Protocol):
    """One position of some rows, through all layers."""

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that it reads at least."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What the status shows of it."""

    def __call__(
        self, x: Tensor, cache: KVCache, attended: int | Sequence[Run], places: Places | None, taps: Taps | None
    ) -> Tensor:
        """Decode; arguments as of `realtts.accel.decoder.Decoder.step`, the slots counted already."""

    def prompt(self, x: Tensor, cache: KVCache, rows: Sequence[int] | Tensor, attended: int) -> Tensor | None:
        """Read a prompt of every row, without padding, if that is better done here than layer by layer.

        Args:
            x: (rows, n, hidden).
            cache: Written to; the slots are counted already.
            rows: Numbers of the cache's rows; for graphs int64 on the device.
            attended: Slots to attend to.

        Returns:
            Hidden states after the last norm, (rows, n, hidden); None: it is not, and nothing was done.
        """


class TorchStep:
    """A `Step` by torch's operators, which a graph may capture.

    Args:
        layers: All layers.
        rope: Rotations of the positions; None: there are none.
        why_not_fused: Why `realtts.accel.decoder.fused_step.FusedStep` is not used where it was asked for.

    Attributes:
        attention: Attends to rows without gaps, where rows are given; None: torch's call with a mask.
    """

    def __init__(self, layers: LayerStack, rope: RopeTable | None, *, why_not_fused: str | None = None) -> None:
        self._layers, self._rope, self._why_not_fused = layers, rope, why_not_fused
        self.attention: StepAttention | None = None

    @property
    def bytes_read(self) -> int:
        """As `Step.bytes_read`."""
        return self._layers.bytes_read

    @property
    def facts(self) -> Mapping[str, object]:
        """As `Step.facts`."""
        return {} if self._why_not_fused is None else {"no_fused": self._why_not_fused}

    def __call__(
        self, x: Tensor, cache: KVCache, attended: int | Sequence[Run], places: Places | None, taps: Taps | None
    ) -> Tensor:
        """As `Step.__call__`."""
        rows = None if places is None else places.rows
        index = torch.arange(cache.rows, device=cache.device) if rows is None else rows
        active, following, positions = (select(t, rows) for t in (cache.active, cache.slots, cache.positions))
        slots = torch.where(active, following, cache.cap)  # frozen rows write behind the cap
        cache.valid.index_put_((index, slots), active)
        cache.rotations.index_put_((index, slots), positions)
        runs = None if isinstance(attended, int) else attended
        far = attended if isinstance(attended, int) else max(run.attended for run in attended)
        mask = allowed_keys(select(cache.valid[:, :far], rows), cache.dtype)[:, None, None]
        masks = [mask[r.begin : r.begin + r.count, ..., : r.attended] for r in runs or ()]
        rotation = (None, None) if self._rope is None else self._rope(positions, self._layers.norm[0].dtype)
        apart = None
        if self.attention is not None and places is not None and runs is None:
            lengths = torch.where(active, following + 1, following.clamp(min=1))
            apart = self.attention.begin(cache, index, lengths, far)

        def attend(layer: int, q: Tensor, kv: Tensor) -> Tensor:
            stored = cache.layer(layer)  # (2, rows, kv_heads, cap + 1, d)
            stored[:, index, :, slots] = kv.to(cache.dtype)  # kv is (n, 2, kv_heads, d): indexed dimensions come first
            if taps is not None:
                taps.write_step(layer, q, stored[0], mask, active, rows)
            if apart is not None:
                return apart(q.to(cache.dtype), stored)
            if runs is not None:
                return attend_runs(q, stored, masks, runs)
            seen = stored[..., :far, :]
            return attend_step(q, seen if rows is None else seen.index_select(1, rows), mask)

        hidden = self._layers(x, rotation, attend, step=True)
        store(cache.slots, rows, following + active)
        store(cache.positions, rows, positions + active)
        return hidden

    def prompt(self, x: Tensor, cache: KVCache, rows: Sequence[int] | Tensor, attended: int) -> None:
        """As `Step.prompt`: never."""
