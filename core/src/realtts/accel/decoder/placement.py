"""The slots and positions of a prompt's tokens in the cache, and a check that they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder.attend import allowed_keys
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache

__all__ = ["Places", "check_prompt", "count_prompt", "last_valid", "place_prompt"]


class Places(NamedTuple):
    """Places of a prompt's tokens in the cache.

    Attributes:
        slots: int64 (rows, n).
        positions: int64 (rows, n).
        mask: (rows, 1, n, attended), additive, in the cache's type.
    """

    slots: Tensor
    positions: Tensor
    mask: Tensor


def count_prompt(cache: KVCache, n: int, rows: Sequence[int] | None) -> int:
    """Count a prompt's slots on the host and return how many its fullest row uses now."""
    indices = range(cache.rows) if rows is None else rows
    for row in indices:
        cache.used[row] += n
    attended = max(cache.used[row] for row in indices)
    cache.reach(attended, indices)
    return attended


def place_prompt(  # noqa: PLR0917 - called in one place
    n: int, cache: KVCache, where: Tensor, valid: Tensor | None, positions: Tensor | None, attended: int
) -> Places:
    """Give each prompt token its slot and position, and advance the rows past the prompt."""
    offsets = torch.arange(n, device=cache.device)
    if valid is None:
        valid = torch.ones(len(where), n, dtype=torch.bool, device=cache.device)
    # Padding of a prompt behind a prefix may lie beyond the cap: it goes where frozen rows write.
    slots = (cache.slots[where][:, None] + offsets).clamp(max=cache.cap)  # (rows, 1) + (n,) -> (rows, n)
    if positions is None:
        # Padding before the first valid token would get -1, which no table has.
        positions = (cache.positions[where][:, None] + valid.cumsum(1) - 1).clamp_(min=0)
    filled = cache.valid[where].scatter(1, slots, valid)
    cache.valid[where] = filled
    cache.rotations[where] = cache.rotations[where].scatter(1, slots, positions)
    keys = torch.arange(attended, device=cache.device)
    # (rows, 1, attended) & (rows, n, attended): valid keys at or before each query
    earlier = filled[:, None, :attended] & (keys <= slots[..., None])
    # Padding attends to itself, because a row of nothing but -inf would be NaN, and NaN outlives every mask.
    mask = allowed_keys(earlier | (keys == slots[..., None]), cache.dtype)[:, None]  # one mask for all heads
    last = last_valid(valid, len(where), n, cache.device)[:, None]
    cache.slots[where] = slots.gather(1, last)[:, 0] + 1
    cache.positions[where] = positions.gather(1, last)[:, 0] + 1
    return Places(slots, positions, mask)


def last_valid(valid: Tensor | None, rows: int, n: int, device: torch.device) -> Tensor:
    """Return the index of each row's last valid position, (rows,)."""
    offsets = torch.arange(n, device=device)
    return offsets[-1:].expand(rows) if valid is None else (valid * offsets).amax(1)


def check_prompt(  # noqa: PLR0917 - called in one place
    x: Tensor,
    cache: KVCache,
    width: int,
    limit: int,
    valid: Tensor | None,
    positions: Tensor | None,
    rows: Sequence[int] | None,
) -> None:
    """Check that a decoder of this width and so many positions can read a prompt; changes nothing.

    What masks and positions hold is checked on the host alone: a look at another device would wait for it.

    Raises:
        DecoderError: The prompt does not fit; says what does.
    """
    indices = list(range(cache.rows) if rows is None else rows)
    if not indices or len(set(indices)) != len(indices) or not set(indices) <= set(range(cache.rows)):
        raise _unfit(f"rows are {indices}", f"give some of {cache.rows} rows, each once")
    if x.dim() != 3 or x.shape[0] != len(indices) or x.shape[1] < 1 or x.shape[2] != width:
        expected = f"({len(indices)}, n, {width}), n at least 1"
        raise _unfit(f"embeddings have the shape {tuple(x.shape)}", f"give {expected}")
    n = x.shape[1]
    for name, tensor in (("valid", valid), ("positions", positions)):
        if tensor is not None and tuple(tensor.shape) != (len(indices), n):
            raise _unfit(f"{name} has the shape {tuple(tensor.shape)}", f"give ({len(indices)}, {n})")
    if valid is not None and valid.device.type == "cpu" and not bool(valid.any(1).all()):
        raise _unfit("a row of the prompt is nothing but padding", "leave it out")
    if positions is not None and positions.device.type == "cpu":
        least, most = (int(end) for end in torch.aminmax(positions))
        if not 0 <= least <= most < limit:
            raise _unfit(f"positions reach {most}", f"give 0 to {limit - 1}")
    used = max(cache.used[row] for row in indices)
    if used + n > cache.cap:
        raise _unfit(
            f"a prompt of {n} positions after {used}, but the cache has {cache.cap} slots",
            "shorten the prompt or make the cache larger",
        )


def _unfit(what: str, fix: str) -> DecoderError:
    return DecoderError(what, who="decoder", fix=fix)
