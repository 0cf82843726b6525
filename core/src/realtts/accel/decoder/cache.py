"""The static KV cache: keys and values of all layers, allocated once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.graphs.streams import used_here
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder.buckets import Buckets
    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.places import Places, Run

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
        # about to see is zeroed first (`reach`): a mask does not silence a NaN. One slot more than the cap, where
        # frozen rows write.
        self._kv = torch.empty(
            config.layers, 2, rows, config.kv_heads, cap + 1, config.head_dim, dtype=dtype, device=device
        )
        self._reached = [0] * rows
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
        """The small tensors that a step changes, which a graph's warm-up restores; keys are written again anyway."""
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
        for row in rows:  # one by one: a list of indices would be copied from the host, which waits for the device
            self.used[row] = 0
            self.slots[row], self.positions[row] = 0, 0
            self.valid[row], self.active[row] = False, True

    def rewind(self, row: int, length: int) -> None:
        """Forget all of a row but its first slots, none of them padding at the end, and go on behind them."""
        self.used[row] = length
        self.slots[row], self.active[row] = length, True
        self.valid[row, length:] = False
        self.positions[row : row + 1].copy_(self.rotations[row, length - 1 : length] + 1)

    def clean(self, row: int, begin: int = 0) -> None:
        """Zero what a row has written from a slot on and may not be finite: a mask would not silence it later."""
        self._kv[:, :, row, :, begin : self.used[row]].zero_()

    def reach(self, attended: int, rows: Sequence[int] | None = None) -> None:
        """Zero the first slots that were never written, of some rows or all, before a step looks that far.

        Called on the host. Rows that nobody looks at cost no memory.
        """
        behind: dict[int, list[int]] = {}
        for row in range(self.rows) if rows is None else rows:
            if self._reached[row] < attended:
                behind.setdefault(self._reached[row], []).append(row)
                self._reached[row] = attended
        for begin, reaching in behind.items():
            if len(reaching) == self.rows:
                self._kv[..., begin:attended, :].zero_()
                continue
            for row in reaching:
                self._kv[:, :, row, :, begin:attended].zero_()

    def advance(
        self, buckets: Buckets, places: Places | None = None, rows: Sequence[int] | None = None
    ) -> int | Sequence[Run]:
        """Count one more slot in the rows of a step, on the host, and return how far it must look.

        That is one bucket for all rows, or where they are looked at apart, one for each.

        Args:
            buckets: Attended lengths.
            places: The rows of the step; None: all.
            rows: Those of them that may write a slot, at least one; None: all.

        Raises:
            DecoderError: The cache is full.
        """
        if rows is None:
            rows = range(self.rows) if places is None else places.numbers
        filled = max(self.used[row] for row in rows)
        if filled >= self.cap:
            raise DecoderError(f"all {self.cap} slots are used", who="decoder", fix="make the cache larger")
        for row in rows:
            self.used[row] += 1
        attended = buckets.holding(filled + 1)
        if places is None or not places.apart:
            self.reach(attended)
            return attended
        each = [buckets.holding(self.used[row]) for row in places.numbers]
        self.reach(max(each), places.numbers)  # taps look at all rows of a step equally far
        return places.runs(each)

    @property
    def stored(self) -> Tensor:
        """Keys and values of all layers, (layers, 2, rows, kv_heads, cap + 1, head_dim)."""
        return self._kv

    def layer(self, index: int) -> Tensor:
        """Return keys and values of a layer, (2, rows, kv_heads, cap + 1, head_dim)."""
        return self._kv[index]

    def numbers(self, rows: Sequence[int] | Tensor | None) -> tuple[Tensor, slice | None]:
        """Return numbers of rows as a tensor, (n,), and as a slice where they follow each other: a view, not a copy."""
        if isinstance(rows, torch.Tensor):
            return rows, None
        first, count = (0, self.rows) if rows is None else (rows[0], len(rows))
        if rows is None or list(rows) == list(range(first, first + count)):
            # No copy from the host, which a graph could not hold.
            return torch.arange(first, first + count, device=self.device), slice(first, first + count)
        return torch.tensor(list(rows), device=self.device), None

    def copy_prefix(self, source: KVCache, row: int, rows: Sequence[int], length: int) -> None:
        """Copy the first slots of a row of a cache to rows of this one, which then continue from there.

        Args:
            source: Cache of the same decoder; may be this one.
            row: Row to copy from.
            rows: Rows to copy to.
            length: Slots to copy; they must be filled.

        Raises:
            DecoderError: The prefix does not fit.
        """
        self._check_prefix(source, row, rows, length)
        self.reach(length, rows)
        used_here(source._kv, source.valid, source.rotations)
        valid = source.valid[row, :length]
        last = (valid * torch.arange(length, device=self.device)).argmax(0, keepdim=True)
        # Selected by an index of one dimension: for one of none torch asks the device for the number, and waits.
        following = source.rotations[row].index_select(0, last)[0] + 1
        for target in rows:
            if source is not self or target != row:
                self._kv[:, :, target, :, :length] = source._kv[:, :, row, :, :length]
                self.valid[target, :length] = valid
                self.rotations[target, :length] = source.rotations[row, :length]
            self.valid[target, length:] = False
            self.slots[target], self.active[target] = length, True
            self.positions[target] = following
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
        """Return the bytes that one step of attention reads."""
        return self.bytes * attended // (self.cap + 1)
