"""How many rows a cache may have before it takes too much of the memory that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import torch

if TYPE_CHECKING:
    from realtts.accel.decoder.network import Decoder

__all__ = ["affordable_places", "cache_room"]


def affordable_places(decoder: Decoder, most: int, *, slots: int, per_place: int = 1) -> int:
    """Return how many places of a `RowLoop` the memory allows, at least one.

    Args:
        decoder: Whose keys and values are kept.
        most: Places that are wanted.
        slots: Slots of a row.
        per_place: Rows of a place: two with guidance.
    """
    config = decoder.config
    slot = config.layers * 2 * config.kv_heads * config.head_dim * decoder.kv_dtype.itemsize
    place = slot * (slots + 1) * per_place
    fitting = cache_room(decoder.device) // place - 1  # the loop has a spare one
    return max(1, min(most, fitting))


def cache_room(device: torch.device) -> int:
    """Return the bytes that keys and values may take: half of what is free on the device.

    On the CPU half of all memory, since there a row that is never spoken takes none, but no system gives out much more
    than it has.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free // 2)
    return int(psutil.virtual_memory().total // 2)
