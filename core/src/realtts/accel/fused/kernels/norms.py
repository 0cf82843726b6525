"""Norms of whole rows with what stands around them in the networks of flows, and rotary positions in place."""

import triton
import triton.language as tl

__all__ = ["add_norm", "norm_mish", "rotate"]


@triton.jit
def add_norm(x, added, gate, weight, bias, silent, summed, normed, width, eps, RMS: tl.constexpr, WIDTH: tl.constexpr):
    """Add to one row and norm the sum; both are written."""
    row = tl.program_id(0).to(tl.int64)
    channels = tl.arange(0, WIDTH)
    inside = channels < width
    values = tl.load(x + row * width + channels, mask=inside, other=0.0).to(tl.float32)
    if added is not None:
        more = tl.load(added + row * width + channels, mask=inside, other=0.0).to(tl.float32)
        if gate is not None:
            more *= tl.load(gate + channels, mask=inside, other=0.0).to(tl.float32)
        values += more
        if silent is not None:
            values = tl.where(tl.load(silent + row) != 0, 0.0, values)
        rounded = values.to(summed.dtype.element_ty)
        tl.store(summed + row * width + channels, rounded, mask=inside)
        values = rounded.to(tl.float32)
    if not RMS:
        mean = tl.sum(values, 0) / width
        values = tl.where(inside, values - mean, 0.0)
    values *= 1.0 / tl.sqrt(tl.sum(values * values, 0) / width + eps)
    values *= tl.load(weight + channels, mask=inside, other=0.0).to(tl.float32)
    if bias is not None:
        values += tl.load(bias + channels, mask=inside, other=0.0).to(tl.float32)
    tl.store(normed + row * width + channels, values.to(normed.dtype.element_ty), mask=inside)


@triton.jit
def norm_mish(x, weight, bias, shift, residual, silent, out, width, eps, WIDTH: tl.constexpr):
    """Norm one row (LayerNorm), apply Mish, add the shift of all rows and the row's residual; silent rows become 0."""
    row = tl.program_id(0).to(tl.int64)
    channels = tl.arange(0, WIDTH)
    inside = channels < width
    values = tl.load(x + row * width + channels, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(values, 0) / width
    values = tl.where(inside, values - mean, 0.0)
    values *= 1.0 / tl.sqrt(tl.sum(values * values, 0) / width + eps)
    values *= tl.load(weight + channels, mask=inside, other=0.0).to(tl.float32)
    values += tl.load(bias + channels, mask=inside, other=0.0).to(tl.float32)
    # x * tanh(softplus(x)) with one exponential; beyond 20 the factor is 1 in float32.
    grown = tl.exp(tl.minimum(values, 20.0))
    grown = (grown + 2.0) * grown
    values = values * grown / (grown + 2.0)
    if shift is not None:
        values += tl.load(shift + channels, mask=inside, other=0.0).to(tl.float32)
    if residual is not None:
        values += tl.load(residual + row * width + channels, mask=inside, other=0.0).to(tl.float32)
    if silent is not None:
        values = tl.where(tl.load(silent + row) != 0, 0.0, values)
    tl.store(out + row * width + channels, values.to(out.dtype.element_ty), mask=inside)


@triton.jit
def rotate(x, cos, sin, frames, heads, half, frame_stride, part_stride, HALF: tl.constexpr):
    """Rotate the halves of one head of queries or keys against each other, in place."""
    frame, head, part = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    channels = tl.arange(0, HALF)
    inside = channels < half
    begin = x + frame * frame_stride + part * part_stride + head * 2 * half
    turn = (frame % frames) * half + channels
    cosine = tl.load(cos + turn, mask=inside, other=0.0).to(tl.float32)
    sine = tl.load(sin + turn, mask=inside, other=0.0).to(tl.float32)
    first = tl.load(begin + channels, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(begin + half + channels, mask=inside, other=0.0).to(tl.float32)
    tl.store(begin + channels, (first * cosine - second * sine).to(x.dtype.element_ty), mask=inside)
    tl.store(begin + half + channels, (second * cosine + first * sine).to(x.dtype.element_ty), mask=inside)
