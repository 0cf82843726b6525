"""A product by a weight matrix for few rows, with what stands before and behind it.

A step of a decoder reads each weight once for a few rows, so that the time is that of the memory; norm, activation and
residual then cost nothing, and no launch of their own.
"""

import triton
import triton.language as tl

__all__ = ["product"]


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def product(
    x, weight, scale, bias, norm, norm_bias, residual, out,
    rows, width, inputs, eps,
    NORM: tl.constexpr, ACTIVATION: tl.constexpr, DOT: tl.constexpr,
    ROWS: tl.constexpr, OUTPUTS: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """Compute ``residual + activation(norm(x) @ weight.T * scale + bias)`` of one tile, (ROWS, OUTPUTS).

    NORM: 0 none, 1 RMS norm, 2 LayerNorm. ACTIVATION: 0 none, 1 SiLU of the first half times the second, 2 GELU (tanh).
    """
    columns = tl.program_id(0) * OUTPUTS + tl.arange(0, OUTPUTS)
    numbers = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    at_row, at_column = numbers < rows, columns < width
    mean = tl.zeros((ROWS,), tl.float32)
    factor = tl.full((ROWS,), 1.0, tl.float32)
    if NORM > 0:
        total, squares = tl.zeros((ROWS,), tl.float32), tl.zeros((ROWS,), tl.float32)
        for begin in range(0, inputs, INPUTS):
            at = begin + tl.arange(0, INPUTS)
            inside = at_row[:, None] & (at < inputs)[None, :]
            values = tl.load(x + numbers[:, None] * inputs + at[None, :], mask=inside, other=0.0).to(tl.float32)
            total += tl.sum(values, 1)
            squares += tl.sum(values * values, 1)
        if NORM == 2:
            # A second pass: of numbers far from 0 the squares alone would lose what they differ by.
            mean = total / inputs
            squares = tl.zeros((ROWS,), tl.float32)
            for begin in range(0, inputs, INPUTS):
                at = begin + tl.arange(0, INPUTS)
                inside = at_row[:, None] & (at < inputs)[None, :]
                values = tl.load(x + numbers[:, None] * inputs + at[None, :], mask=inside, other=0.0).to(tl.float32)
                centred = tl.where(inside, values - mean[:, None], 0.0)
                squares += tl.sum(centred * centred, 1)
        factor = 1.0 / tl.sqrt(squares / inputs + eps)
    first = tl.zeros((ROWS, OUTPUTS), tl.float32)
    second = tl.zeros((ROWS, OUTPUTS), tl.float32)
    for begin in range(0, inputs, INPUTS):
        at = begin + tl.arange(0, INPUTS)
        at_input = at < inputs
        inside = at_row[:, None] & at_input[None, :]
        values = tl.load(x + numbers[:, None] * inputs + at[None, :], mask=inside, other=0.0)
        if NORM > 0:
            values = (values.to(tl.float32) - mean[:, None]) * factor[:, None]
            values *= tl.load(norm + at, mask=at_input, other=0.0).to(tl.float32)[None, :]
            if NORM == 2:
                values += tl.load(norm_bias + at, mask=at_input, other=0.0).to(tl.float32)[None, :]
            values = values.to(x.dtype.element_ty)
        tile = at_column[:, None] & at_input[None, :]
        weights = tl.load(weight + columns[:, None].to(tl.int64) * inputs + at[None, :], mask=tile, other=0.0)
        if scale is not None:
            weights = weights.to(tl.float32)  # the interpreter knows no other way from eight bits to bfloat16
        if DOT:
            first = tl.dot(values, tl.trans(weights.to(values.dtype)), first, input_precision="ieee")
        else:
            wide = values.to(tl.float32)[:, None, :]
            first += tl.sum(wide * weights.to(tl.float32)[None, :, :], 2)
        if ACTIVATION == 1:
            other = weight + (columns + width)[:, None].to(tl.int64) * inputs + at[None, :]
            weights = tl.load(other, mask=tile, other=0.0)
            if scale is not None:
                weights = weights.to(tl.float32)
            if DOT:
                second = tl.dot(values, tl.trans(weights.to(values.dtype)), second, input_precision="ieee")
            else:
                second += tl.sum(wide * weights.to(tl.float32)[None, :, :], 2)
    if scale is not None:
        first *= tl.load(scale + columns, mask=at_column, other=0.0)[None, :]
        if ACTIVATION == 1:
            second *= tl.load(scale + width + columns, mask=at_column, other=0.0)[None, :]
    if bias is not None:
        first += tl.load(bias + columns, mask=at_column, other=0.0).to(tl.float32)[None, :]
        if ACTIVATION == 1:
            second += tl.load(bias + width + columns, mask=at_column, other=0.0).to(tl.float32)[None, :]
    if ACTIVATION == 1:
        first = first * _sigmoid(first) * second
    if ACTIVATION == 2:
        inner = 0.7978845608028654 * (first + 0.044715 * first * first * first)
        first = first * _sigmoid(2.0 * inner)  # 0.5 * (1 + tanh(y)) is the sigmoid of 2 y
    place = numbers[:, None] * width + columns[None, :]
    tile = at_row[:, None] & at_column[None, :]
    if residual is not None:
        first += tl.load(residual + place, mask=tile, other=0.0).to(tl.float32)
    tl.store(out + place, first.to(out.dtype.element_ty), mask=tile)
