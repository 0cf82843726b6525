"""Products of int8 rows and attention of whole sequences, against numpy in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("realtts_native")
if native.usable() or native.instruction_set() != "avx512vnni":
    pytest.skip("products of int8 rows take AVX-512 VNNI", allow_module_level=True)

ONE = native.Pool(1)
SHAPES = [  # rows, inputs, outputs, block: tails of tiles, panels, columns and lanes
    (1, 64, 32, 64),
    (1, 1, 1, 1),
    (5, 100, 7, 1),
    (12, 48, 33, 16),
    (13, 256, 96, 256),
    (49, 24, 18, 1),
    (97, 768, 64, 256),
    (130, 1024, 40, 1024),
]
ACTIVATIONS = {
    "none": lambda x: x,
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
}


def drawn(*shape: int, seed: int = 0) -> Any:
    """Draw normally distributed float32."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def flips(block: int) -> Any:
    """Return the signs of a block's numbers."""
    signs = []
    for sixteen in range(1, block // 16 + 1):
        number = sixteen * 0x9E3779B97F4A7C15 % 2**64
        number = (number ^ number >> 32) * 0xBF58476D1CE4E5B9 % 2**64
        signs += [-1 if number >> 40 + bit & 1 else 1 for bit in range(16)]
    return np.array(signs)


def mixed(x: Any, block: int) -> Any:
    """Flip signs, and multiply blocks of each row by the Hadamard matrix."""
    if block == 1:
        return x
    x = x * np.tile(flips(block), x.shape[1] // block)
    matrix = np.ones((1, 1))
    while len(matrix) < block:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return (x.reshape(len(x), -1, len(matrix)) @ matrix).reshape(x.shape)


def rounded(x: Any) -> Any:
    """Round each row as the kernel does."""
    scale = np.abs(x).max(1, keepdims=True) / 127
    return np.rint(x / scale) * scale


def expected_product(x: Any, weight: Any, bias: Any, block: int) -> Any:
    """Return the product of what both are after rounding."""
    inputs = rounded(mixed(x.astype(np.float64), block))
    weights = rounded(mixed(weight.astype(np.float64), block) / block)
    return inputs @ weights.T + bias


def product(x: Any, weight: Any, **options: Any) -> Any:
    """Return a product in new memory."""
    last = options.get("second") or weight
    out = np.full((len(x), last.out_features), 7, np.float32)
    native.row_product(x, weight, out, **{"pool": ONE, **options})
    return out


def error(actual: Any, expected: Any) -> float:
    """Return the relative error."""
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize(("rows", "inputs", "outputs", "block"), SHAPES)
def test_products_are_those_of_the_rounded_numbers(rows, inputs, outputs, block):
    """At every tail; beside the exact product the error is that of 8 bits."""
    x, weight, bias = drawn(rows, inputs), drawn(outputs, inputs, seed=1) / math.sqrt(inputs), drawn(outputs)
    packed = native.RowWeight(weight, bias, block=block)
    out = product(x, packed)
    assert (packed.in_features, packed.out_features) == (inputs, outputs)
    assert error(out, expected_product(x, weight, bias, block)) < 3e-3, "a number may round the other way"
    assert error(out, x.astype(np.float64) @ weight.T + bias) < 0.015


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_a_row_is_the_same_beside_any_others(threads):
    """To the bit, wherever it lies, and with any number of threads."""
    x, weight = drawn(101, 256), native.RowWeight(drawn(70, 256, seed=1), drawn(70), block=256)
    second = native.RowWeight(drawn(33, 70, seed=2))
    options = {"second": second, "activation": "gelu", "norm": drawn(2, 256, seed=3)}
    together = product(x, weight, pool=native.Pool(threads), **options)
    for row in (0, 11, 12, 47, 48, 95, 100):
        assert np.array_equal(product(x[row : row + 1], weight, **options)[0], together[row])
    assert np.array_equal(product(x[20:64], weight, **options), together[20:64])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_lies_around_two_products(activation):
    """Norm, activation, shift, gate and sum, in place."""
    x, norm, shift, gate = drawn(61, 64), drawn(2, 64, seed=1), drawn(48, seed=2), drawn(48, seed=3)
    up, down = drawn(160, 64, seed=4) / 8, drawn(48, 160, seed=5) / 12
    before = drawn(61, 48, seed=6)
    out = before.copy()
    weights = native.RowWeight(up, drawn(160), block=64), native.RowWeight(down, block=32)
    native.row_product(
        x, weights[0], out, second=weights[1], activation=activation, norm=norm, eps=1e-6, shift=shift, gate=gate,
        add=True, pool=ONE,
    )  # fmt: skip
    normed = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6) * norm[0] + norm[1]
    hidden = ACTIVATIONS[activation](normed.astype(np.float64) @ up.T + drawn(160))
    assert error(out - before, gate * (hidden @ down.T + shift)) < 0.03


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_activations_are_exact(activation, scale):
    """Applied to the same product."""
    x, weight = drawn(9, 64) * scale, native.RowWeight(drawn(32, 64, seed=1))
    plain = product(x, weight).astype(np.float64)
    out = product(x, weight, activation=activation)
    with np.errstate(over="ignore"):
        expected = ACTIVATIONS[activation](plain)
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=1e-6 * scale)


@pytest.mark.parametrize(
    ("frames", "window", "channels"), [(1, 3, 16), (2, 3, 32), (3, 3, 64), (50, 3, 64), (61, 5, 20)]
)
def test_a_window_is_a_causal_convolution(frames, window, channels):
    """With zeros before the first frame, and a norm behind."""
    x, kernel, norm = drawn(frames, channels), drawn(24, window, channels, seed=1), drawn(2, 24, seed=2)
    weight = native.RowWeight(kernel.reshape(24, -1), drawn(24))
    out = product(x, weight, window=window, last_norm=norm, eps=1e-5)
    padded = np.concatenate([np.zeros((window - 1, channels)), x])
    y = sum(padded[tap : tap + frames] @ kernel[:, tap].T for tap in range(window)) + drawn(24)
    expected = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5) * norm[0] + norm[1]
    assert error(out, expected) < 0.02


def test_rows_have_scales_of_their_own():
    """Loud ones cost their neighbours nothing, silence stays silence, and what is no number stays in its row."""
    x, weight = drawn(7, 64), native.RowWeight(drawn(32, 64, seed=1), block=64)
    usual = product(x, weight)
    for row, factor in ((1, 1e6), (2, 1e-6)):
        x[row] *= factor
    x[3], x[4, 5], x[5, 0] = 0, np.nan, np.inf
    out = product(x, weight)
    assert np.array_equal(out[[0, 6]], usual[[0, 6]])
    np.testing.assert_allclose(out[1:3], usual[1:3] * [[1e6], [1e-6]], rtol=1e-3, atol=0)
    assert not out[3].any()
    assert np.isnan(out[4:6]).all()


@pytest.mark.parametrize("seed", range(5))
def test_large_channels_do_not_cost_the_others_their_bits(seed):
    """They are spread over all channels of a block before anything is rounded."""
    x, weight = drawn(40, 256, seed=seed), drawn(64, 256, seed=seed + 9)
    x[:, seed * 7] *= 60
    expected = x.astype(np.float64) @ weight.T
    x_only = expected - np.outer(x[:, seed * 7], weight[:, seed * 7])  # what the others contribute
    plain, spread = (product(x, native.RowWeight(weight, block=block)) for block in (1, 256))
    errors = [np.linalg.norm(out - expected) / np.linalg.norm(x_only) for out in (plain, spread)]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("mean", [0.5, 3.0, -20.0])
@pytest.mark.parametrize("block", [16, 256])
def test_what_all_channels_have_in_common_costs_nothing(mean, block):
    """It is spread too, rather than gathered in a single number."""
    x, weight = drawn(40, 256) + np.float32(mean), drawn(64, 256, seed=1)
    errors = [error(product(x, native.RowWeight(weight, block=size)), x @ weight.T) for size in (1, block)]
    assert errors[1] < 2 * errors[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": drawn(4, 30)}, r"x has the shape \(4, 30\)"),
        ({"x": drawn(4, 32)[0]}, "give 2 dimensions"),
        ({"x": drawn(4, 64)[:, ::2]}, "not dense"),
        ({"x": drawn(4, 32).astype(np.float64)}, "neither float32 nor bfloat16"),
        ({"out": drawn(5, 16)}, r"out has the shape \(5, 16\)"),
        ({"norm": drawn(2, 31)}, r"give contiguous float32 \(2, 32\)"),
        ({"last_norm": drawn(2, 15)}, r"give contiguous float32 \(2, 16\)"),
        ({"gate": drawn(32)[::2]}, "gate has"),
        ({"shift": drawn(1)}, "shift has"),
        ({"activation": "relu"}, "choose from none, gelu"),
        ({"window": 2}, "for a window of 2"),
        ({"window": 0}, "for a window of 0"),
        ({"second": native.RowWeight(drawn(16, 15))}, "give as many as weight has outputs, 16"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    """Before anything is written."""
    out = np.full((4, 16), 7, np.float32)
    given = {"x": drawn(4, 32), "weight": native.RowWeight(drawn(16, 32)), "out": out, **change}
    with pytest.raises(ValueError, match=message):
        native.row_product(given.pop("x"), given.pop("weight"), given.pop("out"), **given)
    assert (out == 7).all()


@pytest.mark.parametrize(
    ("weight", "options", "message"),
    [
        (drawn(4, 32), {"block": 24}, "a power of 2"),
        (drawn(4, 32), {"block": 8}, "a power of 2"),
        (drawn(4, 48), {"block": 32}, "divides the 48 inputs"),
        (np.full((2, 16), np.nan, np.float32), {}, "not finite in row 0"),
        (drawn(0, 4), {}, "weight has the shape"),
        (drawn(4), {}, "give 2 dimensions"),
        (drawn(4, 32), {"bias": drawn(5)}, "bias has the shape"),
    ],
)
def test_weights_that_cannot_be_packed_are_refused(weight, options, message):
    """With what to give."""
    with pytest.raises(ValueError, match=message):
        native.RowWeight(weight, **options)


def test_memory_is_not_shared_by_accident():
    """A result may lie in the place of the input, row for row, and nowhere else in it."""
    both, weight = drawn(9, 32), native.RowWeight(drawn(32, 32, seed=1))
    expected = product(both, weight)
    with pytest.raises(ValueError, match="shares memory"):
        native.row_product(both[:8], weight, both[1:])
    wide = native.RowWeight(drawn(32, 64, seed=2))
    with pytest.raises(ValueError, match="shares memory"):
        native.row_product(both, wide, both, window=2)
    native.row_product(both, weight, both, pool=ONE)
    assert np.array_equal(both, expected)


# -- attention -------------------------------------------------------------------------------------------------------


def expected_attention(q: Any, k: Any, v: Any, scale: float, keys: Any = None) -> Any:
    """Attend in float64, (heads, rows, width) -> (rows, heads * width)."""
    scores = scale * q.astype(np.float64) @ k.astype(np.float64).swapaxes(1, 2)
    if keys is not None:
        scores[:, :, ~keys] = -np.inf
    weights = np.exp2(scores - scores.max(-1, keepdims=True))
    mean = weights / weights.sum(-1, keepdims=True) @ v.astype(np.float64)
    return mean.swapaxes(0, 1).reshape(q.shape[1], -1)


def split(qkv: Any, heads: int) -> Any:
    """Return queries, keys and values, (heads, rows, width) each."""
    return qkv.reshape(len(qkv), 3, heads, -1).transpose(1, 2, 0, 3)


BOUNDS = {True: 2e-6, False: 2e-3}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("heads", "width", "lengths"),
    [(2, 64, (61, 1)), (1, 16, (2, 63)), (3, 32, (64,)), (1, 80, (65, 25)), (2, 128, (130,)), (16, 64, (24, 48, 7))],
)
def test_attention_within_sequences(heads, width, lengths, exact):
    """Of any length, packed with rows between them that nobody reads or writes."""
    spans, begin = [], 2
    for length in lengths:
        spans.append((begin, length))
        begin += length + 2
    qkv = drawn(begin, 3 * heads * width)
    qkv[[0, begin - 1]] = np.nan
    out = np.full((begin, heads * width), 7, np.float32)
    scale = math.log2(math.e) / math.sqrt(width)
    native.packed_attention(qkv, out, heads=heads, spans=spans, exact=exact, scale=scale, pool=ONE)
    between = np.ones(begin, bool)
    for begin, length in spans:
        part = slice(begin, begin + length)
        between[part] = False
        assert error(out[part], expected_attention(*split(qkv[part], heads), scale)) < BOUNDS[exact]
    assert (out[between] == 7).all()


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_attention_does_not_depend_on_threads_and_neighbours(threads, exact):
    """To the bit; heads that lie apart give the same as packed ones."""
    qkv, heads = drawn(200, 3 * 2 * 64), 2
    out, alone = np.empty((200, 128), np.float32), np.empty((200, 128), np.float32)
    native.packed_attention(qkv, out, heads=heads, spans=[(0, 150), (150, 50)], exact=exact, pool=native.Pool(threads))
    native.packed_attention(qkv, alone, heads=heads, spans=[(0, 150)], exact=exact, pool=ONE)
    apart = np.empty((1, 150, 128), np.float32)
    q, k, v = (part[None] for part in split(qkv[:150], heads))
    native.attention(q, k, v, apart, exact=exact, pool=native.Pool(threads))
    assert np.array_equal(out[:150], alone[:150])
    assert np.array_equal(apart[0], alone[:150])


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_keys_that_may_not_be_looked_at(exact, seed):
    """Whatever they hold; with none left the mean is nothing."""
    heads, rows = 2, 70
    q, k, v = (drawn(2, heads, rows, 32, seed=seed + part) for part in range(3))
    keys = np.random.default_rng(seed).random((2, rows)) < 0.6
    keys[1] = False
    k[0, :, ~keys[0]], v[0, :, ~keys[0]] = np.nan, np.inf
    out = np.full((2, rows, heads * 32), 7, np.float32)
    native.attention(q, k, v, out, exact=exact, scale=0.3, keys=keys, pool=ONE)
    seen = keys[0]
    expected = expected_attention(q[0], k[0][:, seen], v[0][:, seen], 0.3)
    assert error(out[0], expected) < BOUNDS[exact]
    assert not out[1].any()


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("size", [0.0, 1e-3, 30.0, 1e4])
def test_scores_of_any_size(exact, size):
    """From equal weights to a single one, without overflow."""
    qkv = drawn(90, 3 * 64)
    qkv[:, :128] *= size
    out = np.empty((90, 64), np.float32)
    native.packed_attention(qkv, out, heads=1, spans=[(0, 90)], exact=exact, scale=0.18, pool=ONE)
    expected = expected_attention(*split(qkv, 1), 0.18)
    if size < 30:
        assert error(out, expected) < BOUNDS[exact]
    else:  # neighbours in rank change places by rounding
        assert np.isfinite(out).all()
        assert np.abs(out).max() <= np.abs(qkv[:, 128:]).max() * 1.001
        assert (np.abs(out - expected).max(1) < 0.02).mean() > 0.9


@pytest.mark.parametrize("exact", [True, False])
def test_a_long_tail_of_small_weights_counts(exact):
    """One key in a thousand holds as much as all others together."""
    rows = 1000
    qkv = np.zeros((rows, 3 * 16), np.float32)
    qkv[:, 0] = 1
    qkv[0, 16] = math.log2(rows - 1)
    qkv[:, 32:] = drawn(rows, 16) * 0.1 + 1
    qkv[0, 32:] = -1
    out = np.empty((rows, 16), np.float32)
    native.packed_attention(qkv, out, heads=1, spans=[(0, rows)], exact=exact, pool=ONE)
    expected = expected_attention(*split(qkv, 1), 1.0)
    np.testing.assert_allclose(out, expected, atol=1e-5 if exact else 5e-3)


@pytest.mark.parametrize("rotated", [0, 1, 2, None])
def test_positions_turn_heads(rotated):
    """Channel c against c + width / 2, of some heads or all."""
    qkv, heads, width = drawn(40, 3 * 2 * 32), 2, 32
    angles = np.outer(np.arange(50), 1.7 ** -np.arange(16.0))
    rotary = np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    out = np.empty((40, 64), np.float32)
    native.packed_attention(qkv, out, heads=heads, spans=[(0, 40)], scale=0.2, rotary=rotary, rotated=rotated, pool=ONE)
    q, k, v = split(qkv, heads).copy()
    for x in (q, k):
        for head in range(heads if rotated is None else rotated):
            a, b = x[head, :, :16].copy(), x[head, :, 16:].copy()
            c, s = rotary[0, :40], rotary[1, :40]
            x[head] = np.concatenate([a * c - b * s, b * c + a * s], 1)
    assert error(out, expected_attention(q, k, v, 0.2)) < BOUNDS[True]
    assert width == q.shape[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "for 3 heads"),
        ({"heads": 0}, "for 0 heads"),
        ({"heads": 16}, "a multiple of 16"),
        ({"spans": [(0, 11)]}, "there are 10 rows"),
        ({"spans": [(-1, 2)]}, "a span is"),
        ({"spans": [(3, 0)]}, "a span is"),
        ({"rotary": drawn(2, 9, 16)}, "a sequence is longer"),
        ({"rotary": drawn(2, 10, 15)}, "rotary has the shape"),
        ({"rotated": 3}, "rotated is 3"),
        ({"out": drawn(10, 63)}, "out has the shape"),
        ({"qkv": drawn(10, 190)}, "side by side"),
        ({"qkv": drawn(10, 192).astype(np.float16)}, "neither float32 nor bfloat16"),
    ],
)
def test_attention_that_does_not_fit_is_refused(change, message):
    """Before anything is written."""
    given = {"qkv": drawn(10, 192), "out": np.full((10, 64), 7, np.float32), "heads": 2, "spans": [(0, 10)]}
    out = given["out"]
    given |= change
    with pytest.raises(ValueError, match=message):
        native.packed_attention(given.pop("qkv"), given.pop("out"), **given)
    assert (out == 7).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": drawn(1, 2, 9, 32)}, "give that of q"),
        ({"out": drawn(1, 10, 63)}, "out has the shape"),
        ({"keys": np.ones((1, 9), bool)}, "keys has the shape"),
        ({"keys": np.ones((1, 10), np.int64)}, "keys has the shape"),
        ({"v": drawn(2, 10, 32)}, "give 4 dimensions"),
    ],
)
def test_heads_that_do_not_fit_are_refused(change, message):
    """As above."""
    given = {name: drawn(1, 2, 10, 32) for name in "qkv"} | {"out": np.empty((1, 10, 64), np.float32)} | change
    with pytest.raises(ValueError, match=message):
        native.attention(given.pop("q"), given.pop("k"), given.pop("v"), given.pop("out"), **given)
