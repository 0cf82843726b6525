"""Products with packed weights against numpy: every kind, odd sizes, many rows; dumps; both instruction sets."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

native = pytest.importorskip("realtts_native")
if native.usable():
    pytest.skip(str(native.usable()), allow_module_level=True)

from realtts_native import Weight, _native  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("int8", "int4", "bf16")
SIZES = [(1, 1), (16, 32), (33, 65), (17, 100), (64, 64), (200, 896), (48, 4864), (95, 31), (130, 129)]


@pytest.fixture(params=native.features())
def instructions(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this machine has, in turn."""
    _native._pretend([request.param])
    yield request.param
    _native._pretend(None)


def drawn(*shape: int, seed: int = 0) -> Any:
    """Draw numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def multiplied(weight: Weight, x: Any, **options: Any) -> Any:
    """Multiply."""
    out = np.full((len(x), weight.out_features), np.nan, np.float32)
    weight.run(x, out, **options)
    return out


def rounded_inputs(x: Any, group: int) -> Any:
    """Round inputs to int8 with a scale for each group, as the kernels do."""
    width = x.shape[1]
    grouped = np.pad(x, ((0, 0), (0, -width % group))).reshape(len(x), -1, group)
    most = np.abs(grouped).max(-1, keepdims=True)
    inverse = np.float32(127) / np.where(most > 0, most, np.float32(1))
    values = np.rint(grouped * inverse).astype(np.float64) * (most / np.float32(127))
    return values.reshape(len(x), -1)[:, :width]


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_products_of_every_size(kind: str, size: tuple[int, int]) -> None:
    """At any number of rows a product is that of the rounded weights and inputs, and the bias is added."""
    out, width = size
    bias = drawn(out, seed=1)
    weight = Weight.pack(drawn(out, width), kind, bias=bias)
    stands_for = weight.dequantized()
    for rows in (1, 2, 3, 5, 6, 7, 12, 13, 64, 101):
        x = drawn(rows, width, seed=rows)
        inputs = x if kind == "bf16" else rounded_inputs(x, 64 if kind == "int8" else 32)
        wanted = inputs @ stands_for.T.astype(np.float64) + bias
        np.testing.assert_allclose(multiplied(weight, x), wanted, rtol=1e-5, atol=1e-5 * np.sqrt(width))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_instruction_sets_agree_to_the_bit(kind: str, size: tuple[int, int]) -> None:
    """Weights are packed alike and products are the same on every instruction set."""
    results = []
    for name in native.features():
        _native._pretend([name])
        weight = Weight.pack(drawn(*size), kind)
        results.append((weight.dump(), multiplied(weight, drawn(9, size[1], seed=2)).tobytes()))
    _native._pretend(None)
    assert len(set(results)) == 1


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_the_same_beside_others(kind: str) -> None:
    """To the bit, wherever it stands, with any number of threads."""
    weight, x = Weight.pack(drawn(200, 320), kind), drawn(100, 320, seed=3)
    together = multiplied(weight, x, pool=native.Pool(1))
    for threads in (1, 2, 3):
        pool = native.Pool(threads)
        for rows in ([0], [99, 4], list(range(8)), list(range(20, 32)), list(range(99, -1, -1))):
            assert np.array_equal(multiplied(weight, x[rows], pool=pool), together[rows])


@pytest.mark.parametrize(("kind", "bound"), [("int8", 0.01), ("int4", 0.09), ("bf16", 0.002)])
def test_error_of_packing(kind: str, bound: float) -> None:
    """What a packed weight stands for is near the weight, by a bound for each kind."""
    weight = drawn(64, 512)
    error = np.linalg.norm(Weight.pack(weight, kind).dequantized() - weight) / np.linalg.norm(weight)
    assert error < bound


def test_int8_is_rounded_as_by_torchs_kernels() -> None:
    """One scale per output, to the nearest step, an output of zeros included."""
    weight = drawn(5, 40)
    weight[3] = 0
    scale = np.maximum(np.abs(weight).max(1), np.float32(1e-12)) / np.float32(127)
    wanted = np.rint(weight / scale[:, None]) * scale[:, None]
    assert np.array_equal(Weight.pack(weight, "int8").dequantized(), wanted)


def test_int4_scales_are_searched() -> None:
    """The error is below that of the scale that maps the largest weight to the last step."""
    weight = drawn(32, 256)
    grouped = weight.reshape(-1, 32)
    far = np.take_along_axis(grouped, np.abs(grouped).argmax(1)[:, None], 1)
    plain = np.clip(np.rint(grouped / (far / -8)), -8, 7) * (far / -8)
    error = np.linalg.norm(Weight.pack(weight, "int4").dequantized().reshape(-1, 32) - grouped)
    assert error < 0.97 * np.linalg.norm(plain - grouped)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_inputs_and_weights(kind: str) -> None:
    """Zeros, tiny and huge numbers give finite results; what is no number shows in its own row alone."""
    weights = {"zeros": np.zeros((20, 64), np.float32), "tiny": drawn(20, 64) * 1e-7, "large": drawn(20, 64) * 1e4}
    for weight in (Weight.pack(values, kind) for values in weights.values()):
        for factor in (0.0, 1e-38, 1e-30, 1e30):
            assert np.isfinite(multiplied(weight, drawn(3, 64) * np.float32(factor))).all()
    weight = Weight.pack(drawn(20, 64), kind)
    x = drawn(3, 64)
    clean = multiplied(weight, x)
    for value in (np.nan, np.inf, -np.inf):
        x[1, 7] = value
        out = multiplied(weight, x)
        assert not np.isfinite(out[1]).any()
        assert np.array_equal(out[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_packed_apart(kind: str) -> None:
    """Gate and up of odd widths, in one matrix, give the same columns as two matrices."""
    matrix, x = drawn(2 * 45, 70), drawn(4, 70, seed=5)
    bias = drawn(90, seed=6)
    both = Weight.pack(matrix, kind, parts=2, bias=bias)
    halves = [Weight.pack(matrix[at : at + 45], kind, bias=bias[at : at + 45]) for at in (0, 45)]
    assert np.array_equal(multiplied(both, x), np.concatenate([multiplied(half, x) for half in halves], 1))
    assert np.array_equal(both.dequantized(), np.concatenate([half.dequantized() for half in halves]))


@pytest.mark.parametrize("kind", KINDS)
def test_dumps_are_read_again(kind: str, tmp_path: Any) -> None:
    """From bytes, from the middle of a mapped file, copied or not; and what they stand for is the same."""
    weight = Weight.pack(drawn(50, 96), kind, bias=drawn(50))
    x, dump = drawn(3, 96, seed=4), weight.dump()
    assert len(dump) == weight.dump_nbytes == len(weight.view())
    assert len(dump) % 64 == 0
    path = tmp_path / "weights"
    path.write_bytes(b"\0" * 128 + dump + b"\0" * 7 + dump)
    mapped = np.memmap(path, np.uint8, "r")
    loaded = [
        Weight.load(dump),
        Weight.load(mapped, 128),
        Weight.load(mapped, 128, copy=True),
        Weight.load(mapped, 128 + len(dump) + 7),
        Weight.load(bytearray(dump)),
        Weight.load(weight.view()),
    ]
    del mapped, dump
    for other in loaded:
        assert (other.kind, other.out_features, other.in_features, other.parts) == (kind, 50, 96, 1)
        assert np.array_equal(multiplied(other, x), multiplied(weight, x))


def test_dumps_that_are_damaged() -> None:
    """Are refused, whatever is wrong: cut anywhere, another layout, numbers that do not fit."""
    dump = Weight.pack(drawn(33, 70), "int4").dump()
    for length in (0, 7, 63, 64, 65, len(dump) // 2, len(dump) - 1):
        with pytest.raises(ValueError, match=r"cut short|not a packed"):
            Weight.load(dump[:length])
    with pytest.raises(ValueError, match="offset"):
        Weight.load(dump, len(dump) + 1)
    with pytest.raises(ValueError, match="not a packed"):
        Weight.load(b"x" * 1000)
    for at in range(8, 40):
        for value in (0, 1, 0x7F, 0xFF):
            changed = bytearray(dump)
            changed[at] = value
            try:  # the sum of the sizes must still fit, so whatever is accepted lies within the bytes
                weight = Weight.load(bytes(changed))
            except ValueError:
                continue
            assert weight.dump_nbytes <= len(dump)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_sources(dtype: str) -> None:
    """Rows that lie apart, and half precision, are packed as their float32 copy."""
    wide = drawn(40, 100).astype(dtype)
    view = wide[::2, :64]
    copied = Weight.pack(np.ascontiguousarray(view).astype(np.float32), "int8")
    assert Weight.pack(view, "int8").dump() == copied.dump()


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        ((np.zeros((2, 2)),), {}, "float64: give float32 or float16 or bfloat16"),
        ((np.zeros(4, np.float32),), {}, "shape"),
        ((np.zeros((0, 4), np.float32),), {}, "outputs"),
        ((np.zeros((4, 0), np.float32),), {}, "inputs"),
        ((np.zeros((4, 4), np.float32).T[:, ::2],), {}, "contiguous"),
        ((np.full((4, 4), np.nan, np.float32),), {}, "finite"),
        ((np.full((4, 4), np.inf, np.float32), "int4"), {}, "finite"),
        ((np.full((4, 4), 1e6, np.float32), "int4"), {}, "too large for int4"),
        ((np.zeros((4, 4), np.float32), "int5"), {}, "int5.*int8"),
        ((np.zeros((4, 4), np.float32),), {"parts": 3}, "3 parts"),
        ((np.zeros((4, 4), np.float32),), {"parts": 0}, "0 parts"),
        ((np.zeros((4, 4), np.float32),), {"bias": np.zeros(3, np.float32)}, "bias"),
        ((np.zeros((4, 4), np.float32),), {"bias": np.zeros(4)}, "bias is float64"),
        (("weights",), {}, "array is a str"),
        ((5,), {}, "array is a int"),
        (([[1.0]],), {}, "array is a list"),
    ],
)
def test_what_cannot_be_packed(arguments: tuple[Any, ...], options: dict[str, Any], match: str) -> None:
    """Raises ValueError with what is wrong."""
    with pytest.raises(ValueError, match=match):
        Weight.pack(*arguments, **options)


@pytest.mark.parametrize(
    ("x", "out", "match"),
    [
        (np.zeros((2, 5), np.float32), np.zeros((2, 3), np.float32), r"x has the shape \(2, 5\): give \(any, 4\)"),
        (np.zeros((2, 4)), np.zeros((2, 3), np.float32), "x is float64"),
        (np.zeros((2, 4), np.float32), np.zeros((1, 3), np.float32), "out has the shape"),
        (np.zeros((2, 4), np.float32), np.zeros((3, 2), np.float32).T, "gaps"),
        (np.zeros((2, 4), np.float32), np.zeros((2, 3), np.int64), "out is int64"),
        (np.zeros((4, 2), np.float32).T, np.zeros((2, 3), np.float32), "gaps"),
        (np.zeros((2, 4), np.float32)[::-1], np.zeros((2, 3), np.float32), "backwards"),
        (np.zeros((2, 4), np.float32), np.broadcast_to(np.zeros(3, np.float32), (2, 3)), "read-only"),
        (5, np.zeros((2, 3), np.float32), "x is a int"),
    ],
)
def test_what_cannot_be_multiplied(x: Any, out: Any, match: str) -> None:
    """Raises ValueError with what is wrong."""
    with pytest.raises(ValueError, match=match):
        Weight.pack(drawn(3, 4)).run(x, out)


def test_no_rows() -> None:
    """Nothing to multiply is nothing to do."""
    assert multiplied(Weight.pack(drawn(3, 4)), np.zeros((0, 4), np.float32)).shape == (0, 3)


@pytest.mark.parametrize(
    ("variable", "named", "works"),
    [("avx2", "avx2", True), ("", "", True), ("sse2", "sse2", False), ("avx512 vnni", "", False), ("none", "", False)],
)
def test_the_environment_names_the_instructions(variable: str, named: str, works: bool) -> None:
    """A set that is there is used; another one is a reason, and what would run says it."""
    before = os.environ.get("REALTTS_NATIVE_ISA")
    os.environ["REALTTS_NATIVE_ISA"] = variable
    try:
        _native._pretend(None)
        assert (native.usable() is None) is works
        if works:
            assert native.instruction_set() == (named or native.features()[0])
        else:
            assert native.instruction_set() is None
            assert variable in str(native.usable())
            with pytest.raises(RuntimeError, match="REALTTS_NATIVE_ISA"):
                Weight.pack(drawn(3, 4))
    finally:
        if before is None:
            del os.environ["REALTTS_NATIVE_ISA"]
        else:
            os.environ["REALTTS_NATIVE_ISA"] = before
        _native._pretend(None)


def test_a_machine_without_the_instructions() -> None:
    """The package is imported, says what it lacks, and whatever would run raises."""
    dump, weight = Weight.pack(drawn(3, 4)).dump(), Weight.pack(drawn(3, 4))
    _native._pretend([])
    try:
        assert native.features() == ()
        assert native.instruction_set() is None
        assert "AVX2" in str(native.usable())
        with pytest.raises(RuntimeError, match="lacks the instructions"):
            Weight.pack(drawn(3, 4))
        with pytest.raises(RuntimeError, match="lacks the instructions"):
            multiplied(Weight.load(dump), drawn(1, 4))
        assert weight.dequantized().shape == (3, 4)
    finally:
        _native._pretend(None)


@pytest.mark.full
def test_avx2_in_a_process_of_its_own() -> None:
    """The variable of the environment alone is enough. By default: `test_the_environment_names_the_instructions`."""
    program = "import realtts_native as n; assert n.instruction_set() == 'avx2', n.instruction_set()"
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "REALTTS_NATIVE_ISA": "avx2"})
