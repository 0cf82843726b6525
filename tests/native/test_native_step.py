"""A whole decoder step in one call, against numpy, and a row alone against the same row beside others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("realtts_native")
if native.usable():
    pytest.skip(str(native.usable()), allow_module_level=True)

from native_reference import Network, Shape, Tensors, native_step, rounded, step  # noqa: E402

LLAMA = Shape()
SHAPES = {
    "llama": replace(LLAMA, kv_heads=4),
    "qwen2": replace(LLAMA, heads=7, kv_heads=1, head_dim=64, hidden=96, mlp=160, qkv_bias=True),
    "qwen3": replace(LLAMA, heads=4, kv_heads=2, head_dim=128, qk_norm=True),
    "gpt2": replace(LLAMA, kv_heads=4, gpt2=True, rope=False),
    "no rotation": replace(LLAMA, rope=False),
    "head of 80": replace(LLAMA, heads=3, kv_heads=3, head_dim=80),
    "head of 96": replace(LLAMA, heads=6, kv_heads=2, head_dim=96, mlp=64),
    "head of 6": replace(LLAMA, heads=5, kv_heads=1, head_dim=6, hidden=30, mlp=17, vocabulary=33),
    "six share": replace(LLAMA, heads=6, kv_heads=1, head_dim=32, hidden=100, mlp=130, layers=3),
    "one head": replace(LLAMA, heads=1, kv_heads=1, head_dim=2, hidden=1, mlp=1, vocabulary=1, layers=1),
}


def run(decoder: Any, network: Network, cache: Tensors, x: Any, **options: Any) -> tuple[Any, Any]:
    """Run the native step; return hidden states and logits."""
    out = np.full((len(x), network.shape.hidden), 7.0, np.float32)
    logits = np.full((len(x), network.shape.vocabulary), 7.0, np.float32)
    decoder.run(x, native.Cache(**cache.arguments), out, logits=logits, **options)
    return out, logits


def drawn(n: int, network: Network, seed: int = 0) -> Any:
    """Draw inputs."""
    return np.random.default_rng(seed).standard_normal((n, network.shape.hidden)).astype(np.float32)


def filled(network: Network, rows: int, cap: int, steps: int, dtype: str = "float32") -> Tensors:
    """Make a cache of which the first slots are written, by the reference, rows one after the other shorter."""
    cache = Tensors.of(network.shape, rows, cap, dtype)
    for at in range(steps):
        step(network, drawn(rows, network, 100 + at), cache, list(range(rows)), cap)
    for row in range(rows):
        cache.valid[row, :row] = False  # padding on the left
    return cache


def equal(a: Tensors, b: Tensors, *, tolerance: float) -> None:
    """Assert that two caches hold the same."""
    for name in ("slots", "positions", "valid", "rotations", "active"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    np.testing.assert_allclose(a.kv.astype(np.float32), b.kv.astype(np.float32), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", SHAPES)
def test_every_family_and_shape(name: str) -> None:
    """Hidden states, logits and cache are those of the reference, step after step, in float32 but for weights."""
    network = rounded(Network.random(SHAPES[name]), "bf16")
    decoder = native_step(network)
    cache = filled(network, 3, 24, 6)
    reference = cache.copy()
    for at in range(3):
        x = drawn(3, network, at)
        hidden, logits = run(decoder, network, cache, x)
        wanted = step(network, x, reference, [0, 1, 2], 24)
        np.testing.assert_allclose(hidden, wanted[0], rtol=2e-4, atol=2e-4)
        np.testing.assert_allclose(logits, wanted[1], rtol=3e-4, atol=3e-4)
        equal(cache, reference, tolerance=2e-4)


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "gpt2", "head of 80", "head of 6"])
def test_quantized(name: str, kind: str) -> None:
    """With rounded activations a step is near the reference of the same rounded weights."""
    network = rounded(Network.random(SHAPES[name]), kind)
    exact = Network.random(SHAPES[name])
    decoder = native_step(exact, kind)
    cache = filled(network, 2, 24, 9)
    x = drawn(2, network)
    reference = cache.copy()
    hidden, logits = run(decoder, network, cache, x)
    for got, wanted in zip((hidden, logits), step(network, x, reference, [0, 1], 24), strict=True):
        assert np.linalg.norm(got - wanted) < 0.02 * np.linalg.norm(wanted)
    equal(cache, reference, tolerance=0.1)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("float32", 2e-4)])
def test_types_of_the_cache(dtype: str, tolerance: float) -> None:
    """Keys and values are rounded to the cache's type and read from it."""
    network = rounded(Network.random(SHAPES["qwen3"]), "bf16")
    decoder = native_step(network)
    cache = filled(network, 2, 40, 37, dtype)
    reference = cache.copy()
    x = drawn(2, network)
    hidden, _ = run(decoder, network, cache, x)
    wanted, _ = step(network, x, reference, [0, 1], 40)
    np.testing.assert_allclose(hidden, wanted, rtol=tolerance, atol=tolerance)
    equal(cache, reference, tolerance=tolerance)


@pytest.mark.parametrize("kind", ["int8", "int4", "bf16"])
@pytest.mark.parametrize(("name", "threads"), [("llama", 1), ("qwen2", 2), ("head of 80", 3)])
def test_a_row_is_the_same_beside_others(kind: str, name: str, threads: int) -> None:
    """To the bit, at 1, 2, 8 and 12 rows, in any order, however far the others look, with any number of threads."""
    network = Network.random(SHAPES[name])
    decoder, pool = native_step(network, kind), native.Pool(threads)
    cache = filled(network, 12, 48, 12, "float16")
    for at in range(12, 30):
        run(decoder, network, cache, drawn(12, network, at))
    x = drawn(12, network)
    together = run(decoder, network, cache.copy(), x, pool=native.Pool(1))
    orders = [[0], [5], [3, 5], [7, 1, 0, 2, 6, 3, 11, 4], list(range(12))[::-1]]
    for at, rows in enumerate(orders):
        attended = (None, 48, [40 + row % 3 for row in rows])[at % 3]
        again = run(decoder, network, cache.copy(), x[rows], rows=rows, attended=attended, pool=pool)
        assert np.array_equal(again[0], together[0][rows])
        assert np.array_equal(again[1], together[1][rows])


def test_frozen_rows_change_nothing_that_counts() -> None:
    """They write behind the cap; slots, positions and what may be attended to stay."""
    network = rounded(Network.random(SHAPES["qwen2"]), "bf16")
    decoder = native_step(network)
    cache = filled(network, 4, 16, 7)
    cache.active[[1, 3]] = False
    cache.slots[3] = 16  # full
    cache.positions[3] = 10**6  # and beyond the table
    before, reference = cache.copy(), cache.copy()
    x = drawn(4, network)
    hidden, _ = run(decoder, network, cache, x)
    wanted, _ = step(network, x, reference, [0, 1, 2, 3], 16)
    np.testing.assert_allclose(hidden[[0, 1, 2]], wanted[[0, 1, 2]], rtol=2e-4, atol=2e-4)
    for row in (1, 3):
        assert np.array_equal(cache.kv[:, :, row, :, :16], before.kv[:, :, row, :, :16], equal_nan=True)
        assert cache.slots[row] == before.slots[row]
        assert cache.positions[row] == before.positions[row]
        assert np.array_equal(cache.valid[row], before.valid[row])
        assert np.isfinite(cache.kv[:, :, row, :, 16]).all()
    assert not cache.valid[:, 16].any()


def test_a_row_without_keys_is_finite() -> None:
    """A frozen row that never had a key attends to nothing, and what never was written is not read."""
    network = Network.random(SHAPES["llama"])
    cache = Tensors.of(network.shape, 2, 8)
    cache.active[1] = False
    hidden, logits = run(native_step(network, "int8"), network, cache, drawn(2, network))
    assert np.isfinite(hidden).all()
    assert np.isfinite(logits).all()


def test_what_is_not_finite_shows() -> None:
    """An input that is no number makes its own row's logits no numbers, and no others."""
    network = Network.random(SHAPES["llama"])
    for kind in ("int8", "int4", "bf16"):
        for value in (np.nan, np.inf):
            x = drawn(3, network)
            clean = run(native_step(network, kind), network, Tensors.of(network.shape, 3, 8), x)[1]
            x[1, 5] = value
            logits = run(native_step(network, kind), network, Tensors.of(network.shape, 3, 8), x)[1]
            assert not np.isfinite(logits[1]).any()
            assert np.array_equal(logits[[0, 2]], clean[[0, 2]])


def test_taps() -> None:
    """Attention weights of chosen heads, zero where nothing may be seen; a frozen row keeps what it had."""
    network = rounded(Network.random(SHAPES["six share"]), "bf16")
    decoder = native_step(network)
    cache = filled(network, 3, 20, 5)
    cache.active[1] = False
    reference = cache.copy()
    heads = [(0, 0), (2, 5), (1, 3)]
    output = np.full((3, 3, 20), 9.0, np.float32)
    wanted = {pair: output[at].copy() for at, pair in enumerate(heads)}
    x = drawn(3, network)
    run(decoder, network, cache, x, attended=16, taps=native.Taps(heads, output))
    step(network, x, reference, [0, 1, 2], 16, taps=wanted)
    for at, pair in enumerate(heads):
        np.testing.assert_allclose(output[at], wanted[pair], rtol=1e-4, atol=1e-5)
    assert (output[:, 1] == 9.0).all()


def test_rows_by_number() -> None:
    """Only the rows that are named step, each with its own input."""
    network = rounded(Network.random(SHAPES["qwen3"]), "bf16")
    decoder = native_step(network)
    cache = filled(network, 4, 16, 5)
    reference, before = cache.copy(), cache.copy()
    x = drawn(2, network)
    hidden, _ = run(decoder, network, cache, x, rows=(3, 0))
    wanted, _ = step(network, x, reference, [3, 0], 16)
    np.testing.assert_allclose(hidden, wanted, rtol=2e-4, atol=2e-4)
    for row in (1, 2):
        assert np.array_equal(cache.kv[:, :, row], before.kv[:, :, row], equal_nan=True)
    assert cache.slots.tolist() == [6, 5, 5, 6]


def test_views_and_handles() -> None:
    """A cache that is a part of larger arrays, inputs whose rows lie apart, and handles that are made once."""
    network = rounded(Network.random(SHAPES["llama"]), "bf16")
    decoder = native_step(network)
    cache = filled(network, 2, 12, 4)
    reference = cache.copy()
    large = np.zeros((2, 2, 5, 4, 20, 16), np.float32)
    view = large[:, :, 1:3, :, :13]
    view[...] = cache.kv
    x = np.zeros((2, 100), np.float32)
    x[:, :64] = drawn(2, network)
    out = np.zeros((2, 80), np.float32)
    bound = native.Cache(**{**cache.arguments, "kv": view})
    decoder.run(native.Buffer(x[:, :64]), bound, native.Buffer(out[:, :64]))
    wanted, _ = step(network, x[:, :64], reference, [0, 1], 12)
    np.testing.assert_allclose(out[:, :64], wanted, rtol=2e-4, atol=2e-4)
    assert not out[:, 64:].any()
    assert not large[:, :, [0, 3, 4]].any()
    assert not large[..., 13:, :].any()


@pytest.mark.parametrize("kind", ["int8", "int4", "bf16"])
@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt2", "head of 80"])
def test_a_prompt_is_as_its_positions_one_by_one(kind: str, name: str) -> None:
    """Several positions of a row at once, beside other rows, give the same bits as step after step."""
    network = Network.random(SHAPES[name])
    decoder = native_step(network, kind)
    cache = filled(network, 3, 48, 5, "float16")
    one_by_one, n = cache.copy(), 13
    x = drawn(n + 2, network)
    order = [1, 0] + [1] * (n - 4) + [2, 1, 1, 1]
    output, wanted_taps = np.zeros((1, 3, 48), np.float32), np.zeros((1, 3, 48), np.float32)
    got = run(decoder, network, cache, x[: len(order)], rows=order, taps=native.Taps([(1, 0)], output))
    for at, row in enumerate(order):
        taps = native.Taps([(1, 0)], wanted_taps)
        wanted = run(decoder, network, one_by_one, x[at : at + 1], rows=[row], taps=taps)
        assert np.array_equal(got[0][at], wanted[0][0])
        assert np.array_equal(got[1][at], wanted[1][0])
    assert np.array_equal(output, wanted_taps)
    for tensor in ("kv", "slots", "positions", "valid", "rotations"):
        assert np.array_equal(getattr(cache, tensor), getattr(one_by_one, tensor), equal_nan=tensor == "kv"), tensor
