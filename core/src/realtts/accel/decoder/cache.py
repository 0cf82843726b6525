"""Keys and values of all layers, allocated once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig

__all__ = ["KVCache"]


_SMALL = 2**26
"""Bytes up to which a cache is zeroed at once."""


class KVCache:
    """A static cache: a fixed number of rows and slots, and for each row where it writes next.

    A row's slot says where a key lies; its position says which rotation it gets; they need not be equal. A frozen row
    (`active` false) writes into a slot of its own behind the cap, so that nothing that counts is touched.

    Args:
        config: Shape of the decoder.
        rows: Rows.
        cap: Slots per row.
        dtype: Type of keys and values, independent of the weights'.
        device: Where it lies.

    Attributes:
        slots: int64 (rows,): where the next key goes.
        positions: int64 (rows,): the next key's rotary position.
        valid: bool (rows, cap + 1): which slots may be attended to.
        active: bool (rows,): rows that go on.
        rotations: int64 (rows, cap + 1): the rotary position of each slot's key.
        used: Slots that each row may have used; numbers of the host, never read from the device.
    """

    def __init__(
        self, config: DecoderConfig, rows: int, cap: int, *, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        if rows < 1 or cap < 1:
            raise DecoderError(f"{rows} rows of {cap} slots", who="KV cache", fix="give at least one of each")
        device = torch.device(device)
        with torch.inference_mode(mode=False):  # or it could not be changed outside of it
            self._allocate(config, rows, cap, dtype, device)

    def _allocate(self, config: DecoderConfig, rows: int, cap: int, dtype: torch.dtype, device: torch.device) -> None:
        self.rows, self.cap, self.dtype, self.device = rows, cap, dtype, device
        # Empty, because a cap is seldom reached and memory that is never written costs nothing. What attention is
        # about to see is zeroed first (`reach`): a mask does not silence a NaN.
        self._kv = torch.empty(
            config.layers, 2, rows, config.kv_heads, cap + 1, config.head_dim, dtype=dtype, device=device
        )
        self._reached = 0
        if self.bytes <= _SMALL:
            self.reach(cap)
        self.slots = torch.zeros(rows, dtype=torch.int64, device=device)
        self.positions = torch.zeros(rows, dtype=torch.int64, device=device)
        self.valid = torch.zeros(rows, cap + 1, dtype=torch.bool, device=device)
        self.rotations = torch.zeros(rows, cap + 1, dtype=torch.int64, device=device)
        self.active = torch.ones(rows, dtype=torch.bool, device=device)
        self.used = [0] * rows

    @property
    def filled(self) -> int:
        """Slots that the fullest row may have used."""
        return max(self.used)

    @property
    def state(self) -> list[Tensor]:
        """The small tensors that a step changes; a graph's warm-up restores them. Keys are written again anyway."""
        return [self.slots, self.positions, self.valid, self.rotations, self.active]

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Forget rows (default: all). On the whole cache it only writes device tensors, so that a graph may hold it."""
        if rows is None:
            self.slots.zero_()
            self.positions.zero_()
            self.valid.fill_(False)
            self.active.fill_(True)
            self.used = [0] * self.rows
            return
        chosen = list(rows)
        for row in chosen:
            self.used[row] = 0
        self.slots[chosen], self.positions[chosen] = 0, 0
        self.valid[chosen], self.active[chosen] = False, True

    def reach(self, attended: int) -> None:
        """Make sure that the first slots hold numbers. Called on the host before a step looks that far."""
        if attended > self._reached:
            self._kv[..., self._reached : attended, :].zero_()
            self._reached = attended

    def layer(self, index: int) -> Tensor:
        """Keys and values of a layer: (2, rows, kv_heads, cap + 1, head_dim)."""
        return self._kv[index]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some rows, in this order, and forget the others. Not where a graph reads this cache."""
        kept = list(rows)
        self.used = [self.used[row] for row in kept]
        old, shape = self._kv, list(self._kv.shape)
        with torch.inference_mode(mode=False):
            self._kv = torch.empty([*shape[:2], len(kept), *shape[3:]], dtype=self.dtype, device=self.device)
        self._reached = min(self._reached, self.filled)
        for place, row in enumerate(kept):
            self._kv[:, :, place, :, : self._reached] = old[:, :, row, :, : self._reached]
        self.rows = len(kept)
        self.slots, self.positions, self.active = self.slots[kept], self.positions[kept], self.active[kept]
        self.valid, self.rotations = self.valid[kept], self.rotations[kept]

    def copy_prefix(self, source: KVCache, row: int, rows: Sequence[int], length: int) -> None:
        """Copy the first slots of a row of a cache to rows of this one, which then go on from there.

        Args:
            source: Cache of the same decoder; may be this one.
            row: Row to copy from.
            rows: Rows to copy to.
            length: Slots to copy; they must be filled.

        Raises:
            DecoderError: The prefix does not fit.
        """
        self._check_prefix(source, row, rows, length)
        self.reach(length)
        held = source.valid[row, :length]
        last = (held * torch.arange(length, device=self.device)).argmax()
        for target in rows:
            if source is not self or target != row:
                self._kv[:, :, target, :, :length] = source._kv[:, :, row, :, :length]
                self.valid[target, :length] = held
                self.rotations[target, :length] = source.rotations[row, :length]
            self.valid[target, length:] = False
            self.slots[target], self.active[target] = length, True
            self.positions[target] = source.rotations[row, last] + 1
            self.used[target] = length

    def _check_prefix(self, source: KVCache, row: int, rows: Sequence[int], length: int) -> None:
        if source._kv.shape[:2] != self._kv.shape[:2] or source._kv.shape[3::2] != self._kv.shape[3::2]:
            raise DecoderError("a prefix of another decoder's cache", who="KV cache", fix="use caches of one decoder")
        if row not in range(source.rows) or any(target not in range(self.rows) for target in rows):
            raise DecoderError(
                f"row {row} of {source.rows} to rows {list(rows)} of {self.rows}",
                who="KV cache",
                fix="give rows they have",
            )
        if not 0 < length <= min(self.cap, source.used[row]):
            raise DecoderError(
                f"a prefix of {length} slots, {source.used[row]} are filled and {self.cap} fit",
                who="KV cache",
                fix="give a length within both",
            )

    @property
    def bytes(self) -> int:
        """Bytes of keys and values at the cap."""
        return self._kv.numel() * self._kv.element_size()

    def bytes_read(self, attended: int) -> int:
        """Bytes that one step of attention reads."""
        return self.bytes * attended // (self.cap + 1)
