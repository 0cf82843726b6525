"""What a decoder's step does between its products: places of rows, heads into the cache, attention over it."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from realtts.accel.fused.registry import register

__all__ = ["attend", "heads", "place"]

_PART = 512
"""Keys that one program looks at; of a row that attends further there are several programs, and a second launch."""


# -- places ------------------------------------------------------------------------------------------------------------


def _place_plain(
    slots: torch.Tensor,
    positions: torch.Tensor,
    active: torch.Tensor,
    valid: torch.Tensor,
    rotations: torch.Tensor,
    rows: torch.Tensor,
    cap: int,
) -> torch.Tensor:
    live, slot, position = (tensor.index_select(0, rows) for tensor in (active, slots, positions))
    written = torch.where(live, slot, cap)
    valid.index_put_((rows, written), live)
    rotations.index_put_((rows, written), position)
    slots.index_copy_(0, rows, slot + live)
    positions.index_copy_(0, rows, position + live)
    return torch.stack([written, position, slot + live])


def _place_launch(
    slots: torch.Tensor,
    positions: torch.Tensor,
    active: torch.Tensor,
    valid: torch.Tensor,
    rotations: torch.Tensor,
    rows: torch.Tensor,
    cap: int,
) -> torch.Tensor:
    from realtts.accel.fused.kernels.cache import place as kernel

    out = rows.new_empty(3, len(rows))
    kernel[(len(rows),)](
        slots, positions, active, valid, rotations, rows, out, len(rows), cap, valid.stride(0), num_warps=1
    )
    return out


def _place_sample(device: torch.device, _dtype: torch.dtype) -> tuple[object, ...]:
    return (
        torch.tensor([3, 0, 5], device=device), torch.tensor([2, 0, 5], device=device),
        torch.tensor([True, True, False], device=device), torch.zeros(3, 9, dtype=torch.bool, device=device),
        torch.zeros(3, 9, dtype=torch.int64, device=device), torch.tensor([2, 0], device=device), 8,
    )  # fmt: skip


_PLACE = register(
    "place",
    plain=_place_plain,
    launch=_place_launch,
    fake=lambda *arguments: arguments[5].new_empty(3, len(arguments[5])),
    sample=_place_sample,
    mutates=("slots", "positions", "valid", "rotations"),
)


def place(
    slots: torch.Tensor,
    positions: torch.Tensor,
    active: torch.Tensor,
    valid: torch.Tensor,
    rotations: torch.Tensor,
    rows: torch.Tensor,
    cap: int,
) -> torch.Tensor:
    """Move some rows of a cache on by one position, each once; frozen rows write behind the cap and stay.

    Args:
        slots: Of the cache, as the next four; see `realtts.accel.decoder.cache.KVCache`. Is changed.
        positions: Is changed.
        active: Rows that go on.
        valid: Is changed.
        rotations: Is changed.
        rows: int64 (n,).
        cap: Slots of a row.

    Returns:
        int64 (3, n): the slot that each writes, its position, and how many slots it sees, its own included.
    """
    result: torch.Tensor = _PLACE.call(slots, positions, active, valid, rotations, rows, cap)
    return result


# -- heads -------------------------------------------------------------------------------------------------------------


def _heads_plain(
    qkv: torch.Tensor,
    q_norm: torch.Tensor | None,
    k_norm: torch.Tensor | None,
    eps: float,
    cos: torch.Tensor | None,
    sin: torch.Tensor | None,
    cache: torch.Tensor,
    rows: torch.Tensor,
    at: torch.Tensor,
) -> torch.Tensor:
    kv_heads, size = cache.shape[2], cache.shape[4]
    count = qkv.shape[1] // size - 2 * kv_heads
    # (n, (heads + 2 kv_heads) * d) -> (n, heads + 2 kv_heads, d), in float32 as the kernel computes
    q, k, v = qkv.unflatten(1, (-1, size)).float().split_with_sizes([count, kv_heads, kv_heads], 1)
    if q_norm is not None and k_norm is not None:
        q = functional.rms_norm(q, (size,), q_norm.float(), eps)
        k = functional.rms_norm(k, (size,), k_norm.float(), eps)
    if cos is not None and sin is not None:
        turn, cross = (table.index_select(0, at[1])[:, None] for table in (cos, sin))
        # As `realtts.accel.layers.positions.rotated`: this package stands below that one.
        q, k = (x * turn + x.roll(size // 2, -1) * cross for x in (q, k))
    cache[:, rows, :, at[0]] = torch.stack([k, v], 1).to(cache.dtype)
    # Without norm and rotation they would be a view of what came in, which no result of an operation may be.
    queries: torch.Tensor = q.to(qkv.dtype).clone()
    return queries


def _heads_launch(
    qkv: torch.Tensor,
    q_norm: torch.Tensor | None,
    k_norm: torch.Tensor | None,
    eps: float,
    cos: torch.Tensor | None,
    sin: torch.Tensor | None,
    cache: torch.Tensor,
    rows: torch.Tensor,
    at: torch.Tensor,
) -> torch.Tensor:
    from realtts.accel.fused.kernels.cache import heads as kernel

    out = _queries(qkv, cache)
    count, query_heads, size = out.shape
    key_heads = cache.shape[2]
    kernel[(count, query_heads + 2 * key_heads)](
        qkv, q_norm, k_norm, cos, sin, cache, rows, at, out, count, query_heads, key_heads, size, eps,
        *cache.stride()[:4], SIZE=power_of_two(size), num_warps=1,
    )  # fmt: skip
    return out


def _queries(qkv: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
    size = cache.shape[4]
    return qkv.new_empty(len(qkv), qkv.shape[1] // size - 2 * cache.shape[2], size)


def _heads_sample(device: torch.device, dtype: torch.dtype) -> tuple[object, ...]:
    angles = torch.arange(10, device=device)[:, None] * torch.linspace(0.1, 1, 8, device=device)
    cos, sin = angles.cos(), angles.sin()
    return (
        _waves((2, 8 * 16), 1.0, device).to(dtype), (1 + _waves((16,), 0.2, device) * 0.3).to(dtype),
        (1 - _waves((16,), 0.2, device) * 0.3).to(dtype), 1e-6, torch.cat([cos, cos], 1), torch.cat([-sin, sin], 1),
        torch.zeros(2, 3, 2, 9, 16, dtype=dtype, device=device), torch.tensor([2, 0], device=device),
        torch.tensor([[4, 8], [3, 7], [5, 7]], device=device),
    )  # fmt: skip


_HEADS = register(
    "heads",
    plain=_heads_plain,
    launch=_heads_launch,
    fake=lambda *arguments: _queries(arguments[0], arguments[6]),
    sample=_heads_sample,
    mutates=("cache",),
)


def heads(
    qkv: torch.Tensor,
    cache: torch.Tensor,
    rows: torch.Tensor,
    at: torch.Tensor,
    *,
    norms: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None),
    eps: float = 1e-6,
    tables: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None),
) -> torch.Tensor:
    """Split queries, keys and values of some rows, norm and rotate queries and keys, and write the latter.

    Args:
        qkv: (n, (heads + 2 kv_heads) * head_dim).
        cache: Keys and values of a layer, (2, rows, kv_heads, cap + 1, head_dim). Is changed.
        rows: int64 (n,).
        at: From `place`.
        norms: Weights of the RMS norms of queries and keys, (head_dim,) each, or None.
        eps: Of the norms.
        tables: Cosine and signed sine of every position, float32 (positions, head_dim) each, or None.

    Returns:
        Queries, (n, heads, head_dim), in the type of ``qkv``.
    """
    result: torch.Tensor = _HEADS.call(qkv, *norms, eps, *tables, cache, rows, at)
    return result


# -- attention ---------------------------------------------------------------------------------------------------------


def _attend_plain(
    q: torch.Tensor, cache: torch.Tensor, valid: torch.Tensor, rows: torch.Tensor, at: torch.Tensor, attended: int
) -> torch.Tensor:
    seen = cache[:, :, :, :attended].index_select(1, rows)  # (2, n, kv_heads, attended, d)
    mask = valid[:, :attended].index_select(0, rows)
    mask = mask & (torch.arange(attended, device=q.device) < at[2][:, None])
    # (n, heads, d) -> (n, kv_heads, heads / kv_heads, d): queries that share keys
    grouped = q.to(cache.dtype).unflatten(1, (cache.shape[2], -1))
    mixed = functional.scaled_dot_product_attention(grouped, seen[0], seen[1], attn_mask=mask[:, None, None])
    # A row that sees nothing, as one that only fills up a step, is 0 and not the mean of nothing.
    mixed = mixed.masked_fill(~mask.any(1)[:, None, None, None], 0)
    return mixed.reshape(len(q), -1).to(q.dtype)


def _attend_launch(
    q: torch.Tensor, cache: torch.Tensor, valid: torch.Tensor, rows: torch.Tensor, at: torch.Tensor, attended: int
) -> torch.Tensor:
    from realtts.accel.fused.kernels.cache import attend as kernel, merge

    count, query_heads, size = q.shape
    key_heads, parts = cache.shape[2], -(-attended // _PART)
    group = query_heads // key_heads
    q, out = q.contiguous(), q.new_empty(count, query_heads * size)
    partial = q.new_empty(count * query_heads * parts * (size + 2), dtype=torch.float32) if parts > 1 else None
    kernel[(count, key_heads, parts)](
        q, cache, valid, rows, at, out, partial,
        count, key_heads, size, size**-0.5 * math.log2(math.e), *cache.stride()[:4], valid.stride(0), _PART,
        PARTS=parts, **attend_tile(group, size),
    )  # fmt: skip
    if partial is not None:
        shares = power_of_two(parts)
        merge[(count * query_heads,)](
            partial, out, size, SIZE=power_of_two(size), PARTS=parts, SHARES=shares, num_warps=2
        )
    return out


def attend_tile(group: int, size: int) -> dict[str, int]:
    """Return the constants of the kernel for so many queries that share keys, of this width.

    From four on they are padded to sixteen, the least that tensor cores multiply.
    """
    dot = group >= 4
    queries = 16 * -(-power_of_two(group) // 16) if dot else power_of_two(group)
    width = max(power_of_two(size), 16)
    keys = 64 if dot else max(16, min(64, 8192 // (queries * width)))
    return {"GROUP": group, "QUERIES": queries, "SIZE": width, "KEYS": keys, "DOT": int(dot), "num_warps": 4}


def _attend_launches(*arguments: object) -> int:
    attended = arguments[5]
    assert isinstance(attended, int)
    return 1 if attended <= _PART else 2


def _attend_sample(device: torch.device, dtype: torch.dtype) -> tuple[object, ...]:
    valid = torch.ones(3, 9, dtype=torch.bool, device=device)
    valid[2, 0] = False
    return (
        _waves((2, 4, 16), 1.0, device).to(dtype), _waves((2, 3, 2, 9, 16), 2.3, device).to(dtype), valid,
        torch.tensor([2, 0], device=device), torch.tensor([[4, 6], [4, 6], [5, 7]], device=device), 8,
    )  # fmt: skip


_ATTEND = register(
    "attend",
    plain=_attend_plain,
    launch=_attend_launch,
    fake=lambda q, *_rest: q.new_empty(len(q), q.shape[1] * q.shape[2]),
    sample=_attend_sample,
    launches=_attend_launches,
)


def attend(
    q: torch.Tensor, cache: torch.Tensor, valid: torch.Tensor, rows: torch.Tensor, at: torch.Tensor, attended: int
) -> torch.Tensor:
    """Attend from one position of some rows, each where it lies and as far as it has written.

    Args:
        q: (n, heads, head_dim).
        cache: Keys and values of a layer, (2, rows, kv_heads, cap + 1, head_dim).
        valid: bool (rows, cap + 1): slots that may be looked at.
        rows: int64 (n,).
        at: From `place`.
        attended: Slots that no row goes beyond.

    Returns:
        (n, heads * head_dim), in the type of the queries.
    """
    result: torch.Tensor = _ATTEND.call(q, cache, valid, rows, at, attended)
    return result


def power_of_two(number: int) -> int:
    """Return the least power of two that is not below a number."""
    return 1 << max(number - 1, 0).bit_length()


def _waves(shape: tuple[int, ...], pace: float, device: torch.device) -> torch.Tensor:
    count = math.prod(shape)
    return torch.linspace(-pace, pace, count, device=device).mul_(97).sin_().view(shape)
