"""The fused operations: their kernels in Triton's interpreter against plain torch, and compiled for a GPU."""

import math

import pytest

torch = pytest.importorskip("torch")

from realtts.accel.fused import OPERATIONS, why_not  # noqa: E402
from realtts.accel.fused.registry import all_operations  # noqa: E402

FULL = pytest.mark.full
TYPES = (torch.bfloat16, *(pytest.param(dtype, marks=FULL) for dtype in (torch.float32, torch.float16)))
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}
NAMES = sorted(operation.name for operation in all_operations())


pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow encountered", "ignore:invalid value encountered"
)  # of NumPy, in which the interpreter computes; a GPU says nothing


@pytest.fixture(scope="module")
def interpreted():
    """Kernels run by Triton's interpreter, on tensors of the CPU."""
    pytest.importorskip("triton")
    from triton_interpreter import kernels

    with kernels(interpreted=True):
        yield


def waves(*shape, pace=1.0, dtype=torch.float32):
    """Numbers that look random and are always the same."""
    return torch.linspace(-pace, pace, math.prod(shape)).mul_(113).sin_().view(shape).to(dtype)


def operation(name):
    """An operation by its short name."""
    return OPERATIONS[f"realtts::{name}"]


def assert_equal_enough(actual, expected, dtype=torch.float32):
    """Compare, by the rounding of a type."""
    torch.testing.assert_close(
        actual.float(), expected.float(), rtol=0, atol=CLOSE[dtype] * float(expected.abs().max())
    )


# -- each operation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", NAMES)
def test_kernels_give_what_plain_torch_gives(interpreted, name, dtype):
    """On the sample that is tried on a GPU before anything is captured."""
    assert operation(name).why_wrong(torch.device("cpu"), dtype) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_kernel_is_found_out(name):
    """Whatever it returns or changes: the trial must not pass it."""

    def wrong(*arguments):
        changed = [argument.clone() if isinstance(argument, torch.Tensor) else argument for argument in arguments]
        result = operation(name).plain(*changed)
        first = result[0] if isinstance(result, tuple) else result
        return result if first is None else (first + 1, *result[1:]) if isinstance(result, tuple) else first + 1

    assert operation(name).why_wrong(torch.device("cpu"), torch.float32, launch=wrong) is not None


@FULL
@pytest.mark.parametrize("name", NAMES)
def test_fake_tensors_have_the_shapes_of_real_ones(name):
    """A capture on pretended tensors must know the results' shapes and types."""
    torch.library.opcheck(
        operation(name).call, operation(name).sample(torch.device("cpu"), torch.float32),
        test_utils=("test_schema", "test_faketensor"),
    )  # fmt: skip


def test_elsewhere_than_on_cuda_they_are_not_used():
    """And the reason is said."""
    assert why_not("cpu", torch.bfloat16) == "fused kernels are for CUDA, not cpu"
    assert "mps" in why_not("mps", torch.float16)


# -- products ----------------------------------------------------------------------------------------------------------


@FULL
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 16, 19])
@pytest.mark.parametrize(
    "form", [("none", "rms", True), ("none", None, False), ("gated", "rms", False), ("gelu", "layer", True)]
)
def test_products_of_any_number_of_rows(interpreted, rows, form):
    """Also of widths that fill no tile, with and without norm, bias and residual."""
    (activation, norm, bias), inputs, out = form, 72, 20
    x, weight = waves(rows, inputs, pace=0.9), waves(2 * out if activation == "gated" else out, inputs, pace=2.1)
    shift = waves(inputs, pace=0.3) if norm == "layer" else None
    arguments = (
        x, weight, None, waves(len(weight), pace=0.2) if bias else None, 1 + waves(inputs) / 2 if norm else None, shift,
        1e-5, activation, waves(rows, out) if rows % 2 else None,
    )  # fmt: skip
    assert_equal_enough(operation("linear").launch(*arguments), operation("linear").plain(*arguments))


@FULL
@pytest.mark.parametrize("rows", [1, 4, 7])
@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn], ids=str)
def test_products_by_weights_of_eight_bits(interpreted, kind, rows):
    """Widened in the kernel, and multiplied by a scale for each output."""
    weight, scale = (waves(24, 64, pace=1.3) * 100).to(kind), waves(24, pace=0.3).abs() + 0.01
    x = waves(rows, 64, dtype=torch.float16)  # the interpreter multiplies blocks of bfloat16 as if they were bits
    arguments = (x, weight, scale, None, None, None, 1e-5, "none", None)
    actual, expected = operation("linear").launch(*arguments), operation("linear").plain(*arguments)
    assert_equal_enough(actual, expected, torch.float16)


def test_a_layer_norm_far_from_zero(interpreted):
    """What numbers differ by must not be lost in what they have in common."""
    x = 300 + waves(2, 64)
    arguments = (x, torch.eye(64), None, None, torch.ones(64), torch.zeros(64), 1e-5, "none", None)
    assert_equal_enough(operation("linear").launch(*arguments), operation("linear").plain(*arguments))


# -- cache and attention -----------------------------------------------------------------------------------------------


@FULL
@pytest.mark.parametrize(("heads", "kv_heads", "size"), [(4, 4, 16), (4, 2, 24), (14, 2, 16), (8, 1, 64), (2, 1, 80)])
@pytest.mark.parametrize("attended", [33, 530])
def test_attention_of_any_shape(interpreted, heads, kv_heads, size, attended):
    """Rows of different lengths, holes in them, one that sees nothing; beyond 512 slots in two launches."""
    stored = waves(2, 5, kv_heads, attended + 1, size, pace=1.7)
    valid = waves(5, attended + 1, pace=3.0) > -0.8
    rows, lengths = torch.tensor([4, 0, 2]), torch.tensor([attended, 3, 0])
    valid[0, :3] = True
    stored[:, 1] = math.nan  # a row that nobody asks for
    at = torch.stack([lengths.clamp(min=1) - 1, lengths, lengths])
    arguments = (waves(3, heads, size), stored, valid, rows, at, attended)
    actual = operation("attend").launch(*arguments)
    assert_equal_enough(actual, operation("attend").plain(*arguments))
    assert not actual[2].any()
    assert operation("attend").launches(*arguments) == (1 if attended <= 512 else 2)


@FULL
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("turn", [True, False])
@pytest.mark.parametrize("shape", [(2, 1, 8), (4, 4, 24), (3, 3, 64)])
def test_heads_go_where_they_belong(interpreted, shape, norm, turn):
    """Normed and rotated or not, and nothing else of the cache is touched."""
    heads, kv_heads, size = shape
    angles = torch.outer(torch.arange(9.0), torch.linspace(0.1, 1, size // 2))
    cos, sin = torch.cat([angles.cos()] * 2, 1), torch.cat([-angles.sin(), angles.sin()], 1)
    weights = (1 + waves(size) / 3, 1 - waves(size) / 3) if norm else (None, None)
    results = []
    for compute in (operation("heads").launch, operation("heads").plain):
        stored = torch.full((2, 3, kv_heads, 9, size), 7.0)
        at = torch.tensor([[8, 0], [5, 2], [8, 1]])
        qkv = waves(2, (heads + 2 * kv_heads) * size)
        q = compute(qkv, *weights, 1e-6, cos if turn else None, sin if turn else None, stored, torch.tensor([1, 2]), at)
        results.append((q, stored))
    assert_equal_enough(results[0][0], results[1][0])
    assert_equal_enough(results[0][1], results[1][1])


def test_places_of_rows_that_fill_up_a_step(interpreted):
    """A row that comes twice is frozen, and stays."""
    outcomes = []
    for compute in (operation("place").launch, operation("place").plain):
        tensors = [
            torch.tensor([3, 0, 7, 2]), torch.tensor([3, 0, 9, 2]), torch.tensor([True, True, True, False]),
            torch.zeros(4, 9, dtype=torch.bool), torch.zeros(4, 9, dtype=torch.int64),
        ]  # fmt: skip
        at = compute(*tensors, torch.tensor([2, 0, 3, 3]), 8)
        outcomes.append((at, *tensors))
    for actual, expected in zip(*outcomes, strict=True):
        assert torch.equal(actual, expected)
    assert outcomes[0][0].tolist() == [[7, 3, 8, 8], [9, 3, 2, 2], [8, 4, 2, 2]]


# -- flows -------------------------------------------------------------------------------------------------------------


@FULL
@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("width", [16, 100, 256])
def test_sum_and_norm(interpreted, width, rms, gate):
    """Of bfloat16 to a float32 norm, as the last one of a network is."""
    arguments = (
        waves(5, width, dtype=torch.bfloat16), waves(5, width, pace=2.0, dtype=torch.bfloat16),
        waves(width, dtype=torch.bfloat16) if gate else None, 1 + waves(width) / 2, None if rms else waves(width), None,
        1e-6, rms,
    )  # fmt: skip
    for actual, expected in zip(
        operation("add_norm").launch(*arguments), operation("add_norm").plain(*arguments), strict=True
    ):
        assert actual.dtype == expected.dtype
        assert_equal_enough(actual, expected, torch.bfloat16)


@FULL
@pytest.mark.parametrize("given", [(), ("shift",), ("residual",), ("silent",), ("shift", "residual", "silent")])
def test_norm_and_mish(interpreted, given):
    """With what is added, and frames that must be silent."""
    each = {"shift": waves(48), "residual": waves(6, 48, pace=2.0), "silent": torch.arange(6) % 2 == 0}
    arguments = (
        waves(6, 48) * 30,
        1 + waves(48) / 2,
        waves(48),
        *(each[n] if n in given else None for n in each),
        1e-5,
    )
    assert_equal_enough(operation("norm_mish").launch(*arguments), operation("norm_mish").plain(*arguments))


@FULL
@pytest.mark.parametrize(("heads", "turned"), [(1, 1), (3, 3), (4, 1)])
@pytest.mark.parametrize("sequences", [1, 3])
def test_rotation_in_place(interpreted, heads, turned, sequences):
    """Of some or all heads, each sequence from its beginning; values stay."""
    angles = torch.outer(torch.arange(9.0), torch.linspace(0.1, 1, 8))
    results = []
    for compute in (operation("rotate").launch, operation("rotate").plain):
        qkv = waves(sequences * 7, 3, heads, 16)
        compute(qkv, angles.cos(), angles.sin(), 7, turned)
        results.append(qkv)
    assert_equal_enough(*results)
    assert torch.equal(results[0][:, 2], waves(sequences * 7, 3, heads, 16)[:, 2])


# -- compiled ----------------------------------------------------------------------------------------------------------


def signatures():
    """The kernels as models launch them: arguments of tensors, constants, options."""
    from realtts.accel.fused.cache import attend_tile
    from realtts.accel.fused.products import tile_of

    half, step = "*bf16", {"NORM": 1, "ACTIVATION": 1, **tile_of(2)}
    sizes = dict.fromkeys(("rows", "width", "inputs"), "i32") | {"eps": "fp32"}
    for rows, weight in ((2, half), (16, half), (2, "*i8"), (16, "*i8"), (2, "*fp8e4nv"), (16, "*fp8e4nv")):
        few = dict.fromkeys(("x", "norm", "residual", "out"), half) | {"weight": weight, **sizes}
        if weight != half:
            few["scale"] = "*fp32"
        yield "product", "product", few, step | tile_of(rows)
    places = dict.fromkeys(("slots", "positions", "rotations", "rows", "out"), "*i64")
    places |= dict.fromkeys(("active", "valid"), "*i1") | dict.fromkeys(("count", "cap", "valid_stride"), "i32")
    yield "cache", "place", places, {"num_warps": 1}
    strides = dict.fromkeys(
        ("count", "key_heads", "size", "kv_stride", "row_stride", "head_stride", "slot_stride"), "i32"
    )
    heads = dict.fromkeys(("qkv", "q_norm", "k_norm", "cache", "out"), half) | {"cos": "*fp32", "sin": "*fp32"}
    heads |= strides | {"rows": "*i64", "at": "*i64", "query_heads": "i32", "eps": "fp32"}
    yield "cache", "heads", heads, {"SIZE": 128, "num_warps": 1}
    attend = dict.fromkeys(("q", "cache", "out"), half) | {"valid": "*i1", "rows": "*i64", "at": "*i64"} | strides
    attend |= {"scale": "fp32", "valid_stride": "i32", "part": "i32"}
    yield "cache", "attend", attend, {"PARTS": 1, **attend_tile(1, 64)}
    yield "cache", "attend", attend | {"partial": "*fp32"}, {"PARTS": 3, **attend_tile(7, 64)}
    merge = {"PARTS": 3, "SHARES": 4, "SIZE": 64, "num_warps": 2}
    yield "cache", "merge", {"partial": "*fp32", "out": half, "size": "i32"}, merge
    rows = dict.fromkeys(("x", "added", "gate", "weight", "bias", "summed", "normed"), half)
    yield "norms", "add_norm", rows | {"silent": "*i1", "width": "i32", "eps": "fp32"}, {"RMS": 0, "WIDTH": 1024}
    rows = dict.fromkeys(("x", "weight", "bias", "shift", "residual", "out"), half)
    yield "norms", "norm_mish", rows | {"silent": "*i1", "width": "i32", "eps": "fp32"}, {"WIDTH": 256}
    turn = dict.fromkeys(("frames", "heads", "half", "frame_stride", "part_stride"), "i32")
    yield "norms", "rotate", dict.fromkeys(("x", "cos", "sin"), half) | turn, {"HALF": 32}
    guide = {"logits": half, "weight": "*fp32", "out": "*fp32", "stops": "*i1", "suppressed": "*i1", "rows": "i32"}
    guide |= {"step": "*i64", "least": "*i64", "tokens": "i32"}
    yield "drawing", "guide", guide, {"UNCONDITIONAL": 0, "TOKENS": 1024}
    draw = dict.fromkeys(("scores_in", "noise", "penalty", "temperature", "rest", "share"), "*fp32")
    draw |= dict.fromkeys(("greedy", "seen", "broken_out"), "*i1") | dict.fromkeys(("rows", "k", "tokens_out"), "*i64")
    draw |= {"tokens": "i32", "seen_stride": "i32"}
    yield "drawing", "draw", draw, {"ORDER": 0o45321, "COUNT": 5, "TOKENS": 16384, "num_warps": 16}


@pytest.fixture(scope="module")
def compilable():
    """Kernels as they are compiled; their modules by name."""
    pytest.importorskip("triton")
    from triton_interpreter import kernels

    with kernels(interpreted=False) as modules:
        yield modules


@pytest.mark.full
@pytest.mark.parametrize("kernel", list(signatures()), ids=lambda kernel: f"{kernel[1]}-{len(kernel[2])}")
def test_kernels_are_compiled_for_a_gpu(compilable, kernel, tmp_path, monkeypatch):
    """For sm_90, to a program of the device: Triton's wheel brings the assembler, and no GPU is needed."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    module, name, signature, constants = kernel
    options = {option: constants[option] for option in constants if option == "num_warps"}
    function = getattr(compilable[module], name)
    names = function.arg_names
    values = {(names.index(each),): constants.get(each) for each in names if each not in signature}
    types = {each: signature.get(each, "constexpr") for each in names}
    made = triton.compile(ASTSource(function, types, values, {}), target=GPUTarget("cuda", 90, 32), options=options)
    assert made.asm["cubin"]
    assert made.metadata.shared <= 100 * 1024, "two programs at once on a multiprocessor"
