"""A decoder's step between its products: places of the rows, heads into the cache, attention over it."""

import triton
import triton.language as tl

__all__ = ["attend", "heads", "merge", "place"]


@triton.jit
def place(slots, positions, active, valid, rotations, rows, out, count, cap, valid_stride):
    """Note where one row writes and look on: its slot, its position, and how many slots it sees."""
    at = tl.program_id(0)
    row = tl.load(rows + at)
    live, slot, position = tl.load(active + row), tl.load(slots + row), tl.load(positions + row)
    going = live.to(tl.int64)
    written = tl.where(going != 0, slot, cap)  # frozen rows write behind the cap
    tl.store(out + at, written)
    tl.store(out + count + at, position)
    tl.store(out + 2 * count + at, slot + going)
    tl.store(valid + row * valid_stride + written, live)
    tl.store(rotations + row * valid_stride + written, position)
    tl.store(slots + row, slot + going)
    tl.store(positions + row, position + going)


@triton.jit
def heads(
    qkv, q_norm, k_norm, cos, sin, cache, rows, at, out,
    count, query_heads, key_heads, size, eps, kv_stride, row_stride, head_stride, slot_stride,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Norm and rotate one head of one row; keys and values go into the cache, queries into ``out``."""
    token, head = tl.program_id(0), tl.program_id(1)
    channels = tl.arange(0, SIZE)
    inside = channels < size
    total = query_heads + 2 * key_heads
    begin = qkv + (token * total + head) * size
    values = tl.load(begin + channels, mask=inside, other=0.0).to(tl.float32)
    is_query, is_value = head < query_heads, head >= query_heads + key_heads
    other = (channels + size // 2) % size
    opposite = tl.load(begin + other, mask=inside, other=0.0).to(tl.float32)
    if q_norm is not None:
        factor = 1.0 / tl.sqrt(tl.sum(values * values, 0) / size + eps)
        weights = tl.load(tl.where(is_query, q_norm, k_norm) + channels, mask=inside, other=0.0).to(tl.float32)
        crossed = tl.load(tl.where(is_query, q_norm, k_norm) + other, mask=inside, other=0.0).to(tl.float32)
        values = tl.where(is_value, values, values * factor * weights)
        opposite = opposite * factor * crossed
    if cos is not None:
        turn = tl.load(at + count + token) * size + channels
        rotated = values * tl.load(cos + turn, mask=inside, other=0.0)
        rotated += opposite * tl.load(sin + turn, mask=inside, other=0.0)
        values = tl.where(is_value, values, rotated)
    if is_query:
        tl.store(out + (token * query_heads + head) * size + channels, values.to(out.dtype.element_ty), mask=inside)
    else:
        row, slot = tl.load(rows + token), tl.load(at + token)
        part = is_value.to(tl.int64)
        number = head - query_heads - part * key_heads
        target = cache + part * kv_stride + row * row_stride + number * head_stride + slot * slot_stride
        tl.store(target + channels, values.to(cache.dtype.element_ty), mask=inside)


@triton.jit
def attend(
    q, cache, valid, rows, at, out, partial,
    count, key_heads, size, scale, kv_stride, row_stride, head_stride, slot_stride, valid_stride, part,
    GROUP: tl.constexpr, QUERIES: tl.constexpr, SIZE: tl.constexpr, KEYS: tl.constexpr,
    DOT: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Attend from the queries of one row that share a head of keys, as far as the row has written.

    With PARTS > 1 each program sees a part of the keys and leaves sums for `merge`.
    """
    token, head, share = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    row = tl.load(rows + token)
    length = tl.load(at + 2 * count + token)
    queries, channels = tl.arange(0, QUERIES), tl.arange(0, SIZE)
    in_group, inside = queries < GROUP, channels < size
    numbers = (token * key_heads + head) * GROUP + queries
    grid = in_group[:, None] & inside[None, :]
    query = tl.load(q + numbers[:, None] * size + channels[None, :], mask=grid, other=0.0)
    keys = cache + row * row_stride + head * head_stride
    values = keys + kv_stride
    greatest = tl.full((QUERIES,), -float("inf"), tl.float32)
    total = tl.zeros((QUERIES,), tl.float32)
    mixed = tl.zeros((QUERIES, SIZE), tl.float32)
    begin = share * part
    end = tl.minimum(length, begin + part)
    for first in range(begin, end, KEYS):
        slots = first + tl.arange(0, KEYS)
        seen = slots < end
        seen = seen & (tl.load(valid + row * valid_stride + slots, mask=seen, other=0) != 0)
        block = seen[:, None] & inside[None, :]
        place = slots[:, None].to(tl.int64) * slot_stride + channels[None, :]
        key = tl.load(keys + place, mask=block, other=0.0)
        if DOT:
            scores = tl.dot(query.to(key.dtype), tl.trans(key), input_precision="ieee")
        else:
            scores = tl.sum(query.to(tl.float32)[:, None, :] * key.to(tl.float32)[None, :, :], 2)
        scores = tl.where(seen[None, :], scores * scale, -float("inf"))
        highest = tl.maximum(greatest, tl.max(scores, 1))
        # Of a row that has seen nothing yet, minus infinity less itself would be no number.
        shift = tl.where(highest == -float("inf"), 0.0, highest)
        weights = tl.exp2(scores - shift[:, None])
        faded = tl.exp2(greatest - shift)
        value = tl.load(values + place, mask=block, other=0.0)
        total = total * faded + tl.sum(weights, 1)
        mixed = mixed * faded[:, None]
        if DOT:
            mixed = tl.dot(weights.to(value.dtype), value, mixed, input_precision="ieee")
        else:
            mixed += tl.sum(weights[:, :, None] * value.to(tl.float32)[None, :, :], 1)
        greatest = highest
    if PARTS == 1:
        mixed = mixed / tl.where(total > 0, total, 1.0)[:, None]
        tl.store(out + numbers[:, None] * size + channels[None, :], mixed.to(out.dtype.element_ty), mask=grid)
    else:
        line = (numbers * PARTS + share) * (size + 2)
        tl.store(partial + line[:, None] + channels[None, :], mixed, mask=grid)
        tl.store(partial + line + size, greatest, mask=in_group)
        tl.store(partial + line + size + 1, total, mask=in_group)


@triton.jit
def merge(partial, out, size, SIZE: tl.constexpr, PARTS: tl.constexpr, SHARES: tl.constexpr):
    """Join the parts of one query of `attend`."""
    number = tl.program_id(0)
    channels, shares = tl.arange(0, SIZE), tl.arange(0, SHARES)
    inside, there = channels < size, shares < PARTS
    line = partial + (number * PARTS + shares) * (size + 2)
    greatest = tl.load(line + size, mask=there, other=-float("inf"))
    total = tl.load(line + size + 1, mask=there, other=0.0)
    highest = tl.max(greatest, 0)
    highest = tl.where(highest == -float("inf"), 0.0, highest)
    faded = tl.exp2(greatest - highest)
    mixed = tl.load(line[:, None] + channels[None, :], mask=there[:, None] & inside[None, :], other=0.0)
    mixed = tl.sum(mixed * faded[:, None], 0)
    total = tl.sum(total * faded, 0)
    mixed = mixed / tl.where(total > 0, total, 1.0)
    tl.store(out + number * size + channels, mixed.to(out.dtype.element_ty), mask=inside)
