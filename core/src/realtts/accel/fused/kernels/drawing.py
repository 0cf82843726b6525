"""A token from a row of logits, without sorting: thresholds are found bit by bit."""

import triton
import triton.language as tl

__all__ = ["draw", "guide"]


@triton.jit
def guide(
    logits, weight, step, least, stops, suppressed, out, rows, tokens,
    UNCONDITIONAL: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    """Apply guidance, hold back early ends, and suppress tokens, of one block of one row."""
    row = tl.program_id(0)
    at = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    inside = at < tokens
    scores = tl.load(logits + row * tokens + at, mask=inside, other=0.0).to(tl.float32)
    if weight is not None:
        other = tl.load(logits + (row + rows) * tokens + at, mask=inside, other=0.0).to(tl.float32)
        difference = tl.load(weight + row) * (scores - other)
        scores = (other if UNCONDITIONAL else scores) + difference
    if stops is not None:
        early = tl.load(step + row) < tl.load(least + row)
        ends = tl.load(stops + row * tokens + at, mask=inside, other=0) != 0
        scores = tl.where(early & ends, -float("inf"), scores)
    if suppressed is not None:
        scores = tl.where(tl.load(suppressed + at, mask=inside, other=0) != 0, -float("inf"), scores)
    tl.store(out + row * tokens + at, scores, mask=inside)


@triton.jit
def _keys(scores):
    """Whole numbers that have the order of the scores; both zeros are one."""
    bits = tl.where(scores == 0, 0.0, scores).to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 2147483647, bits)


@triton.jit
def _chances(scores, inside):
    greatest = tl.max(scores, 0)
    grown = tl.where(inside, tl.exp(scores - greatest), 0.0)
    return grown / tl.sum(grown, 0)


@triton.jit
def draw(
    scores_in, noise, greedy, seen, rows, penalty, temperature, k, rest, share, scores_out, tokens_out, broken_out,
    tokens, seen_stride,
    ORDER: tl.constexpr, COUNT: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    """Process one row of scores in the order of the octal digits of ORDER, lowest first; draw, or write the scores.

    1 repetition penalty, 2 temperature, 3 top k, 4 top p, 5 min p.
    """
    row = tl.program_id(0)
    at = tl.arange(0, TOKENS)
    inside = at < tokens
    scores = tl.load(scores_in + row * tokens + at, mask=inside, other=-float("inf"))
    for number in tl.static_range(COUNT):
        if ((ORDER >> (3 * number)) & 7) == 1:
            marked = tl.load(seen + tl.load(rows + row) * seen_stride + at, mask=inside, other=0) != 0
            factor = tl.load(penalty + row)
            scores = tl.where(marked, tl.where(scores < 0, scores * factor, scores / factor), scores)
        if ((ORDER >> (3 * number)) & 7) == 2:
            scores = scores / tl.load(temperature + row)
        if ((ORDER >> (3 * number)) & 7) == 3:
            best = tl.load(k + row)
            keys = _keys(scores)
            limit, bit = tl.full((), -2147483648, tl.int64), tl.full((), 2147483648, tl.int64)
            for _ in range(32):
                higher = limit + bit
                count = tl.sum((inside & (keys >= higher.to(tl.int32))).to(tl.int32), 0)
                limit = tl.where(count >= best, higher, limit)
                bit = bit // 2
            kept = tl.where(keys >= limit.to(tl.int32), scores, -float("inf"))
            scores = tl.where(best <= 0, scores, kept)
        if ((ORDER >> (3 * number)) & 7) == 4:
            left = tl.load(rest + row)
            chances, keys = _chances(scores, inside), _keys(scores)
            limit, bit = tl.full((), -2147483648, tl.int64), tl.full((), 2147483648, tl.int64)
            for _ in range(32):
                higher = limit + bit
                below = tl.sum(tl.where(keys < higher.to(tl.int32), chances, 0.0), 0)
                limit = tl.where(below <= left, higher, limit)
                bit = bit // 2
            limit = tl.minimum(limit, tl.max(keys, 0).to(tl.int64))
            kept = tl.where(keys >= limit.to(tl.int32), scores, -float("inf"))
            scores = tl.where(left <= 0, scores, kept)
        if ((ORDER >> (3 * number)) & 7) == 5:
            chances = _chances(scores, inside)
            least = tl.load(share + row) * tl.max(chances, 0)
            scores = tl.where(chances < least, -float("inf"), scores)
    if tokens_out is None:
        tl.store(scores_out + row * tokens + at, scores, mask=inside)
    else:
        # Neither a number that is none nor infinity may be among the scores, and not all may be minus infinity.
        wrong = tl.sum((inside & ((scores != scores) | (scores == float("inf")))).to(tl.int32), 0)
        left = tl.sum((inside & (scores != -float("inf"))).to(tl.int32), 0)
        broken = (wrong > 0) | (left == 0)
        chances = _chances(scores, inside) / tl.load(noise + row * tokens + at, mask=inside, other=1.0)
        drawn = tl.argmax(tl.where(inside, chances, -1.0), 0)
        likeliest = tl.argmax(scores, 0)
        token = tl.where(tl.load(greedy + row) != 0, likeliest, drawn)
        tl.store(tokens_out + row, tl.minimum(token, tokens - 1).to(tl.int64))
        tl.store(broken_out + row, broken)
