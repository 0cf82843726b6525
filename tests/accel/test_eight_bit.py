"""Weights of eight bits for CUDA: rounding, few and many rows, and how far a decoder is from float32 with them.

The kernel's plain form runs here, and torch's own product is emulated where this build has none for the CPU.
"""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from families import HIDDEN, build  # noqa: E402

from realtts import QuantizationUnavailable  # noqa: E402
from realtts.accel.decoder import Precision  # noqa: E402
from realtts.accel.kernels import KERNELS, choice, choose_kernel, eight_bit, matmul  # noqa: E402
from realtts.accel.kernels.rounding import quantize_fp8  # noqa: E402

BY_NAME = {kernel.name: kernel for kernel in KERNELS if kernel.precision in {"int8", "fp8"} and kernel.device == "cuda"}
ERRORS = {"int8_triton": 0.012, "fp8_triton": 0.035, "fp8_scaled": 0.055}
"""Relative errors of products that are allowed: of rounded weights, and of activations where they are rounded."""


def random(*shape, seed=0):
    """The same numbers each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def scaled_mm(monkeypatch):
    """``torch._scaled_mm`` by its meaning: products of the values, times the scales of rows and outputs."""

    def emulated(a, b, *, scale_a, scale_b, out_dtype):
        assert a.dtype == b.dtype == torch.float8_e4m3fn
        assert a.shape[1] % 16 == b.shape[1] % 16 == 0, "as the device wants them"
        assert a.is_contiguous()
        assert b.T.is_contiguous()
        assert scale_a.shape == (len(a), 1)
        assert scale_b.shape == (1, b.shape[1])
        assert scale_a.dtype == scale_b.dtype == torch.float32
        return (a.float() @ b.float() * scale_a * scale_b).to(out_dtype)

    monkeypatch.setattr(torch, "_scaled_mm", emulated)


@pytest.mark.parametrize("rows", [1, 2, 16, 17, 130])
@pytest.mark.parametrize(("outputs", "inputs"), [(64, 64), (50, 96), (97, 130), (256, 32), (8, 16)])
@pytest.mark.parametrize("name", list(ERRORS))
def test_products_are_as_near_as_the_type_allows(name, rows, outputs, inputs):
    """Of shapes that are no multiples of anything, with and without a bias, for few rows and for many."""
    weight, x = random(outputs, inputs), random(rows, inputs, seed=1)
    bias = random(outputs, seed=2) if outputs % 2 else None
    actual = BY_NAME[name].run(BY_NAME[name].pack(weight, bias), x)
    expected = torch.nn.functional.linear(x, weight, bias)
    assert actual.shape == expected.shape
    many = "fp8_scaled" if name == "fp8_triton" and rows > 16 else name  # where activations are rounded, too
    assert float((actual.float() - expected).norm() / expected.norm()) < ERRORS[many]


@pytest.mark.parametrize("name", list(ERRORS))
def test_a_loud_row_does_not_cost_its_neighbours(name):
    """Each row has a scale of its own, or none."""
    weight, x = random(32, 64), random(20, 64, seed=1)
    packed = BY_NAME[name].pack(weight, None)
    alone = BY_NAME[name].run(packed, x)
    x[3] *= 1e4
    beside = BY_NAME[name].run(packed, x)
    kept = [row for row in range(20) if row != 3]
    assert torch.equal(alone[kept], beside[kept])


def test_rounding_to_float8():
    """The largest value of an output is the type's largest; zeros stay zeros; what is not finite is refused."""
    weight = random(9, 40)
    weight[4] = 0
    values, scale = quantize_fp8(weight)
    assert values.dtype == torch.float8_e4m3fn
    largest = values.float().abs().amax(1)
    assert largest[[0, 1, 2, 3, 5]].tolist() == [448.0] * 5
    assert not values[4].float().any()
    assert float((values.float() * scale[:, None] - weight).norm() / weight.norm()) < 0.03
    weight[2, 2] = float("nan")
    with pytest.raises(QuantizationUnavailable, match="not finite"):
        quantize_fp8(weight)


@pytest.mark.parametrize("name", list(ERRORS))
@pytest.mark.parametrize("fused", [False, True])
def test_a_decoder_reads_what_float32_reads(monkeypatch, name, fused):
    """Teacher-forced: the states along given inputs, read as a prompt and step by step, plain and fused."""
    kernel = replace(BY_NAME[name], device="cpu", usable=lambda: True)
    monkeypatch.setattr(matmul, "KERNELS", (*(k for k in KERNELS if k.device == "cpu"), kernel))
    family, inputs = build("qwen3"), random(2, 24, HIDDEN)
    exact = family.decoder()
    rounded = family.decoder(precision=Precision(kernel.precision, torch.float32), kernel=name)
    assert rounded.kernel.name == name
    if fused:
        rounded.fuse()
        assert rounded.fused.products
    cache, states = rounded.new_cache(2, 32), []
    states = [rounded.step(inputs[:, at], cache) for at in range(24)]
    expected = exact.prefill(inputs, exact.new_cache(2, 32), every=True)
    error = (torch.stack(states, 1) - expected).norm() / expected.norm()
    assert float(error) < 6 * ERRORS[name]


@pytest.mark.parametrize(
    ("faster", "other"), [("int8_triton", "int8_weight_only"), ("int8_weight_only", "int8_triton")]
)
def test_the_faster_one_is_chosen_by_measurement(monkeypatch, faster, other):
    """Not by its name: whichever takes less time on the weights at hand."""
    kernels = [replace(BY_NAME[name], device="cpu", usable=lambda: True) for name in (faster, other)]
    monkeypatch.setattr(matmul, "KERNELS", tuple(kernels))
    monkeypatch.setattr(
        choice, "_seconds", lambda kernel, _sample, rows: dict.fromkeys(rows, 1.0 + (kernel.name == other))
    )
    weights = [random(32, 64 + len(faster))]  # another question than that of the other way round
    assert choose_kernel(weights, "int8").name == faster


def test_float8_is_for_devices_that_multiply_it():
    """A device without it has no kernel of that precision, and the next rung is tried."""
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    assert not eight_bit.has_float8()
    with pytest.raises(QuantizationUnavailable, match="fp8"):
        choose_kernel([random(16, 16)], "fp8")
