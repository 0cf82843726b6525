"""Prompts of many positions in one call: the same bits as position by position, in any split, beside any others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("realtts_native")
if native.usable():
    pytest.skip(str(native.usable()), allow_module_level=True)

from native_reference import Network, Shape, Tensors, native_step, rounded, step  # noqa: E402

from realtts_native import Weight, _native  # noqa: E402

BASE = Shape(positions=256)
SHAPES = {
    "one head a key": replace(BASE, kv_heads=4),
    "pairs, q norm": replace(BASE, head_dim=32, qk_norm=True),
    "three share": replace(BASE, heads=6, kv_heads=2, head_dim=20, hidden=100, mlp=130),
    "seven share": replace(BASE, heads=7, kv_heads=1, head_dim=64, qkv_bias=True),
    "gpt2": replace(BASE, kv_heads=4, gpt2=True, rope=False, mlp=300),
    "wide": replace(BASE, hidden=320, mlp=600, heads=5, kv_heads=5, head_dim=64, layers=1),
}
F32 = np.float32


def drawn(*shape: int, seed: int = 0) -> Any:
    """Draw normally distributed float32."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(F32)


def read(decoder: Any, cache: Tensors, x: Any, rows: list[int], pool: Any = None) -> Any:
    """Run positions of some rows; return hidden states and logits."""
    out, logits = np.empty_like(x), np.empty((len(x), 40), F32)
    decoder.run(x, native.Cache(**cache.arguments), out, rows=rows, logits=logits, pool=pool)
    return np.concatenate([out, logits], 1)


def same(a: Tensors, b: Tensors) -> None:
    """Assert that two caches hold the same."""
    for name in ("kv", "slots", "positions", "valid", "rotations"):
        assert np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name == "kv"), name


@pytest.fixture(params=native.features())
def instructions(request: pytest.FixtureRequest) -> Any:
    """Each set of instructions that there is."""
    _native._pretend([request.param])
    yield request.param
    _native._pretend(None)


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("name", SHAPES)
def test_any_split_gives_the_same_bits(kind: str, name: str, instructions: str) -> None:
    """A prompt of two rows behind others: one by one, in pieces of few and of many positions, and as a whole."""
    network = Network.random(SHAPES[name])
    decoder, n = native_step(network, kind), 107
    cache = Tensors.of(network.shape, 3, 128, "float16")
    for row, count in ((0, 3), (1, 1), (2, 6)):
        read(decoder, cache, drawn(count, network.shape.hidden, seed=row), [row] * count)
    x = drawn(2, n, network.shape.hidden, seed=9)
    one_by_one = cache.copy()
    wanted = np.stack([read(decoder, one_by_one, x[:, at], [2, 0]) for at in range(n)], 1)
    for sizes in ([n], [5, 70, 32], [13, 1, 93]):
        split, begin = cache.copy(), 0
        for size in sizes:
            rows = [2] * size + [0] * size
            part = x[:, begin : begin + size].reshape(2 * size, -1)
            got = read(decoder, split, part, rows, native.Pool(1 + begin % 2)).reshape(2, size, -1)
            assert np.array_equal(got, wanted[:, begin : begin + size])
            begin += size
        same(split, one_by_one)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", SHAPES)
def test_prompts_are_near_the_reference(name: str, dtype: str) -> None:
    """Fifty positions at once, with weights in bfloat16, in either type of the cache."""
    network = rounded(Network.random(SHAPES[name]), "bf16")
    decoder, x = native_step(network), drawn(50, network.shape.hidden)
    cache = Tensors.of(network.shape, 1, 64, dtype)
    reference = Tensors.of(network.shape, 1, 64, "float32")
    got = read(decoder, cache, x, [0] * 50)[:, : network.shape.hidden]
    wanted = np.concatenate([step(network, x[at : at + 1], reference, [0], 64)[0] for at in range(50)])
    bound = 5e-4 if dtype == "float32" else 5e-3
    np.testing.assert_allclose(got, wanted, rtol=bound, atol=bound)


@pytest.mark.parametrize("kind", ["int8", "int4", "bf16"])
@pytest.mark.parametrize("size", [(33, 64), (64, 256), (95, 257), (70, 700), (31, 1025)])
def test_products_of_many_rows(kind: str, size: tuple[int, int], instructions: str) -> None:
    """At the borders of tiles and slices a row has the bits that it has alone, and is what numpy computes."""
    weight = Weight.pack(drawn(*size), kind, bias=drawn(size[0], seed=1))
    x = drawn(200, size[1], seed=2)
    alone = np.empty((200, size[0]), F32)
    for row in range(200):
        weight.run(x[row : row + 1], alone[row : row + 1])
    for rows in (12, 13, 14, 95, 96, 97, 109, 200):
        out = np.empty((rows, size[0]), F32)
        weight.run(x[-rows:], out)
        assert np.array_equal(out, alone[-rows:])
    exact = x @ weight.dequantized().T + drawn(size[0], seed=1)
    assert np.linalg.norm(alone - exact) < 0.02 * np.linalg.norm(exact)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_comes_later_harms_nothing_before(value: float) -> None:
    """A position that is not finite leaves those before it, and other rows, as they are."""
    network = Network.random(SHAPES["pairs, q norm"])
    decoder, x = native_step(network, "int8"), drawn(2, 40, network.shape.hidden)
    rows = [0] * 40 + [1] * 40

    def hidden() -> Any:
        return read(decoder, Tensors.of(network.shape, 2, 64, "float16"), x.reshape(80, -1), rows)

    clean = hidden()
    for at in (1, 22, 38):
        x[0, at, 5] = value
        found = hidden()
        assert np.array_equal(found[:at], clean[:at])
        assert np.array_equal(found[40:], clean[40:])
        assert not np.isfinite(found[at]).all()
        x[0, at, 5] = 0.5
        clean = hidden()
