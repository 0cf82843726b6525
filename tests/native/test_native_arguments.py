"""Whatever does not fit raises ValueError before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("realtts_native")
if native.usable():
    pytest.skip(str(native.usable()), allow_module_level=True)

from native_reference import Network, Shape, Tensors, native_step  # noqa: E402

from realtts_native import Buffer, Cache, Layer, Pool, Step, Taps, Weight  # noqa: E402

SHAPE = Shape(layers=1)
NETWORK = Network.random(SHAPE)
ROWS, CAP = 3, 8


@pytest.fixture(scope="module")
def decoder() -> Any:
    """A decoder of one layer."""
    return native_step(NETWORK)


@pytest.fixture
def tensors() -> Tensors:
    """A cache of three rows, two slots filled."""
    cache = Tensors.of(SHAPE, ROWS, CAP)
    cache.kv[:] = 0
    cache.slots[:] = cache.positions[:] = 2
    cache.valid[:, :2] = True
    return cache


def zeros(*shape: int) -> Any:
    """Make float32 zeros."""
    return np.zeros(shape, np.float32)


def refused(decoder: Any, tensors: Tensors, match: str, **changed: Any) -> None:
    """Assert that a step raises and changes nothing."""
    arguments = {"x": zeros(ROWS, 64), "out": zeros(ROWS, 64)} | changed
    bound, before = Cache(**tensors.arguments), tensors.copy()
    with pytest.raises(ValueError, match=match):
        decoder.run(arguments.pop("x"), bound, arguments.pop("out"), **arguments)
    for name, array in vars(tensors).items():
        assert np.array_equal(array, getattr(before, name), equal_nan=name == "kv"), name


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"x": zeros(2, 64)}, r"x has the shape \(2, 64\): give \(3, 64\)"),
        ({"x": zeros(3, 65)}, "x has the shape"),
        ({"x": np.zeros((3, 64))}, "x is float64: give float32"),
        ({"x": zeros(64, 3).T}, "x has gaps"),
        ({"x": [[0.0]]}, "x is a list"),
        ({"out": zeros(3, 63)}, "out has the shape"),
        ({"out": zeros(64)}, "out has the shape"),
        ({"out": np.broadcast_to(zeros(64), (3, 64))}, "read-only"),
        ({"rows": (0, 1)}, "x has the shape"),
        ({"rows": (0, 1, 3)}, "row 3 of a cache of 3"),
        ({"rows": (0, -1, 2)}, "row -1"),
        ({"rows": (0, 1) * 4, "x": zeros(8, 64), "out": zeros(8, 64), "attended": 9}, "attended is 9"),
        ({"rows": (), "x": zeros(0, 64), "out": zeros(0, 64)}, "no rows"),
        ({"rows": 5}, "rows is no sequence"),
        ({"rows": "abc"}, "rows"),
        ({"rows": (0, 1, 2**40)}, "rows holds"),
        ({"attended": 0}, "attended is 0"),
        ({"attended": CAP + 1}, "attended is 9"),
        ({"attended": (1, 2)}, "attended has 2 numbers"),
        ({"attended": ()}, "attended is empty"),
        ({"attended": (3, 3, -1)}, "attended is -1"),
        ({"attended": "xyz"}, "attended"),
        ({"logits": zeros(3, 41)}, "logits has the shape"),
        ({"logits": zeros(2, 40)}, "logits has the shape"),
        ({"logits": np.zeros((3, 40), np.int64)}, "logits is int64"),
        ({"taps": Taps([(1, 0)], zeros(1, ROWS, CAP))}, "a tap on layer 1, head 0"),
        ({"taps": Taps([(0, 4)], zeros(1, ROWS, CAP))}, "a tap on layer 0, head 4"),
        ({"taps": Taps([(-1, 0)], zeros(1, ROWS, CAP))}, "a tap on layer -1"),
        ({"taps": Taps([(0, 0)], zeros(1, ROWS, CAP - 1))}, "taps for 3 rows of 7 slots"),
    ],
)
def test_arguments_of_a_step(decoder: Any, tensors: Tensors, changed: dict[str, Any], match: str) -> None:
    """Wrong shapes, types, strides and numbers."""
    refused(decoder, tensors, match, **changed)


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        (("slots", 0), CAP, "row 0 writes slot 8 of 8: make the cache larger"),
        (("slots", 2), -1, "row 2 writes slot -1"),
        (("slots", 1), 2**60, "row 1 writes slot"),
        (("positions", 1), 64, "row 1 is at position 64 of 64"),
        (("positions", 0), -5, "row 0 is at position -5"),
    ],
)
def test_numbers_in_the_cache(decoder: Any, tensors: Tensors, place: tuple[str, int], value: int, match: str) -> None:
    """A slot behind the cap and a position that the tables lack are refused, of rows that go on."""
    name, row = place
    getattr(tensors, name)[row] = value
    refused(decoder, tensors, match)
    tensors.active[row] = False
    decoder.run(zeros(ROWS, 64), Cache(**tensors.arguments), zeros(ROWS, 64))


def test_another_decoders_cache(decoder: Any) -> None:
    """Of other layers, heads or widths."""
    for shape in (replace(SHAPE, layers=2), replace(SHAPE, kv_heads=4), replace(SHAPE, head_dim=32)):
        refused(decoder, Tensors.of(shape, ROWS, CAP), "the cache has")


def test_logits_without_a_head(tensors: Tensors) -> None:
    """Cannot be asked for."""
    values = NETWORK.layers[0]
    weights = {
        name: Weight.pack(values[name], parts=2 if name == "gate_up" else 1) for name in values if "norm" not in name
    }
    layer = Layer(**weights, input_norm=values["input_norm"], mlp_norm=values["mlp_norm"])
    decoder = Step([layer], zeros(64) + 1, heads=4, kv_heads=2, head_dim=16, eps=1e-6)
    refused(decoder, tensors, "no head", logits=zeros(ROWS, 40))


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("kv", zeros(1, 2, 3, 2, 9), "kv has the shape"),
        ("kv", zeros(1, 3, 3, 2, 9, 16), "kv has the shape"),
        ("kv", zeros(1, 2, 3, 2, 1, 16), "at least one slot"),
        ("kv", np.zeros((1, 2, 3, 2, 9, 16)), "kv is float64"),
        ("kv", zeros(1, 2, 3, 2, 9, 32)[..., ::2], "gaps"),
        ("slots", np.zeros(4, np.int64), "slots has the shape"),
        ("slots", np.zeros(3, np.int32), "slots is int32"),
        ("positions", np.zeros((3, 1), np.int64), "positions has the shape"),
        ("active", np.zeros(3, np.uint8), "active is uint8: give bool"),
        ("valid", np.zeros((3, 8), bool), "valid has the shape"),
        ("valid", np.zeros((9, 3), bool).T, "valid has gaps"),
        ("rotations", np.zeros((3, 9), np.float32), "rotations is float32"),
        ("active", 5, "active is a int"),
    ],
)
def test_tensors_of_a_cache(tensors: Tensors, name: str, value: Any, match: str) -> None:
    """Are checked when they are bound."""
    with pytest.raises(ValueError, match=match):
        Cache(**{**tensors.arguments, name: value})


def built(**changed: Any) -> Any:
    """Build a decoder with something changed."""
    values = NETWORK.layers[0]
    packed = {
        name: Weight.pack(values[name], parts=2 if name == "gate_up" else 1) for name in values if "norm" not in name
    }
    small = {name: value for name, value in values.items() if "norm" in name}
    layer = packed | small | changed.pop("layer", {})
    cos, sin = NETWORK.tables
    options = {"heads": 4, "kv_heads": 2, "head_dim": 16, "eps": 1e-6, "cos": cos, "sin": sin, "final_norm": zeros(64)}
    options |= changed
    return Step(options.pop("layers", [Layer(**layer)]), options.pop("final_norm"), **options)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"layers": []}, "no layers"),
        ({"heads": 0}, "0 heads"),
        ({"heads": 3}, "3 heads of 16, 2 kv_heads"),
        ({"kv_heads": 4}, "qkv is"),
        ({"head_dim": 15}, "cos has the shape"),
        ({"head_dim": -16}, "4 heads of -16"),
        ({"cos": None}, "cos and sin"),
        ({"sin": zeros(63, 16)}, "cos and sin"),
        ({"eps": -1.0}, "eps"),
        ({"eps": float("nan")}, "eps"),
        ({"final_norm": zeros(63)}, "has 64 values: give 63|is .*give"),
        ({"final_norm": zeros(0)}, "final_norm is missing"),
        ({"final_norm_bias": zeros(64)}, "input_norm_bias is missing"),
        ({"gated": False}, "gate_up is"),
        ({"head": Weight.pack(zeros(40, 63))}, "head takes 63 inputs"),
        ({"layer": {"q_norm": zeros(15)}}, "q_norm has 15 values: give 16"),
        ({"layer": {"input_norm_bias": zeros(64)}}, "input_norm_bias is given"),
        ({"layer": {"out": Weight.pack(zeros(64, 63))}}, "out is"),
        ({"layer": {"down": Weight.pack(zeros(64, 95))}}, "gate_up is"),
        ({"layer": {"gate_up": Weight.pack(zeros(192, 64))}}, "in 1 parts: give .* in 2"),
    ],
)
def test_parts_of_a_decoder(changed: dict[str, Any], match: str) -> None:
    """Are checked when it is built."""
    with pytest.raises(ValueError, match=match):
        built(**changed)


def test_layers_of_different_kinds() -> None:
    """Cannot be mixed for one matrix."""
    values = NETWORK.layers[0]
    layers = []
    for kind in ("int8", "int4"):
        packed = {n: Weight.pack(values[n], kind, parts=2 if n == "gate_up" else 1) for n in values if "norm" not in n}
        layers.append(Layer(**packed, input_norm=values["input_norm"], mlp_norm=values["mlp_norm"]))
    with pytest.raises(ValueError, match="different kinds"):
        built(layers=layers)


@pytest.mark.parametrize("threads", [0, -1, 65, 10**6])
def test_numbers_of_threads(threads: int) -> None:
    """A pool has 1 to 64."""
    with pytest.raises(ValueError, match="give 1"):
        Pool(threads)


def test_handles() -> None:
    """Say what they hold, and are refused where the array would be."""
    handle = Buffer(zeros(3, 4))
    assert (handle.shape, handle.dtype) == ((3, 4), "float32")
    with pytest.raises(ValueError, match=r"x has the shape \(3, 4\)"):
        Weight.pack(zeros(2, 5)).run(handle, zeros(3, 2))
    with pytest.raises(ValueError, match="read-only"):
        Weight.pack(zeros(4, 4)).run(handle, Buffer(np.broadcast_to(zeros(4), (3, 4))))
    with pytest.raises(ValueError, match="array is a str"):
        Buffer("text")


def test_more_positions_than_fit(decoder: Any, tensors: Tensors) -> None:
    """Of one row: slots, positions of the tables, and of a frozen row more than one at all."""
    rows = (1,) * 7
    changed = {"rows": rows, "x": zeros(7, 64), "out": zeros(7, 64)}
    refused(decoder, tensors, "row 1 writes slot 2 and 6 more of 8", **changed)
    tensors.positions[1], tensors.slots[1] = 60, 0
    refused(decoder, tensors, "row 1 is at position 60 and 4 more of 64", **changed)
    tensors.active[1] = False
    refused(decoder, tensors, "row 1 comes twice, but is frozen", **changed)
    rows = (0,) * 1025
    refused(decoder, tensors, "1025 rows: give 1 to 1024", rows=rows, x=zeros(1025, 64), out=zeros(1025, 64))
