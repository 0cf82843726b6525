"""Every kernel multiplies within its precision, whatever stands in the other rows; the fastest is chosen."""

import time

import pytest

torch = pytest.importorskip("torch")
from realtts import QuantizationUnavailable  # noqa: E402
from realtts.accel.kernels import (  # noqa: E402
    KERNELS,
    Dense,
    DenseLayers,
    Kernel,
    PackedLinear,
    choice,
    choose_kernel,
    kernels_for,
    onednn,
)

linear = torch.nn.functional.linear

pytestmark = pytest.mark.usefixtures("unchanged")

PRECISIONS = ("fp32", "bf16", "fp16", "int8", "int4")
CPU = torch.device("cpu")
WITHIN = {"fp32": 1e-6, "bf16": 4e-3, "fp16": 5e-4, "int8": 0.015, "int4": 0.13}
"""Relative error with normally distributed weights and inputs; found were 6e-7, 3e-3, 4e-4, 0.012 and 0.10."""
SIZES = [(64, 64), (256, 1024), (97, 160), (1001, 256), (512, 4096)]


def normal(*shape, seed=0):
    """Normally distributed numbers from a generator of their own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def kernels_of_this_machine():
    """Those of the CPU, and of CUDA where there is a GPU."""
    marks = {"cpu": [], "cuda": [pytest.mark.gpu]}
    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    return [
        pytest.param(k, id=f"{k.device}-{k.precision}-{k.name}", marks=marks[k.device])
        for k in KERNELS
        if k.device in devices
    ]


@pytest.fixture(params=kernels_of_this_machine())
def kernel(request):
    """Each kernel that works here."""
    if not request.param.works():
        pytest.skip("does not work with this torch")
    return request.param


def packed_product(kernel, weight, bias=None):
    """A function that multiplies by the kernel, as float32 on the CPU."""
    device = kernel.device

    def multiply(x):
        with torch.inference_mode():
            return kernel.run(packed, x.to(device)).float().cpu()

    with torch.inference_mode():
        packed = kernel.pack(weight.to(device), None if bias is None else bias.to(device))
    return multiply


def product(kernel, weight, bias, x):
    """By the kernel, as float32 on the CPU."""
    return packed_product(kernel, weight, bias)(x)


# -- kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_is_served_on_the_cpu(precision):
    """By at least one kernel."""
    found = kernels_for(precision, CPU)
    assert found
    assert all((kernel.precision, kernel.device) == (precision, "cpu") for kernel in found)


@pytest.mark.parametrize(("outputs", "inputs"), SIZES)
def test_products_are_within_the_precision(kernel, outputs, inputs):
    """Sizes of real layers and odd ones: outputs no multiple of 16, with a bias that the error must not hide."""
    weight, bias = normal(outputs, inputs) / inputs**0.5, normal(outputs, seed=1)
    without, with_bias = packed_product(kernel, weight), packed_product(kernel, weight, bias)
    for rows in (1, 2, 3, 16, 130):
        x = normal(rows, inputs, seed=2)
        plain, expected = without(x), linear(x.double(), weight.double())
        assert plain.shape == (rows, outputs)
        # One product of few numbers scatters around what many show.
        limit = WITHIN[kernel.precision] * (1 if rows * outputs > 500 else 2)
        assert (plain - expected).norm() / expected.norm() < limit, rows
        biased = with_bias(x)
        assert (biased - (plain + bias)).abs().max() <= 0.02 * biased.abs().max(), rows


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (17, 33), (5, 31), (3, 100)])
def test_odd_inputs_work_or_are_refused(kernel, outputs, inputs):
    """Int4 works in groups of 32 and says so; everything else takes any size."""
    if kernel.precision == "int4":
        with pytest.raises(QuantizationUnavailable, match=rf'has {inputs}.*quantization="none"'):
            kernel.pack(torch.ones(outputs, inputs, device=kernel.device), None)
        return
    found = product(kernel, torch.ones(outputs, inputs), torch.ones(outputs), torch.ones(2, inputs))
    assert torch.allclose(found, torch.full((2, outputs), inputs + 1.0), rtol=0.01)


@pytest.mark.parametrize("rows", [2, 3, 16])
def test_a_row_does_not_depend_on_what_its_neighbours_hold(kernel, rows):
    """Bit for bit: eight times louder, deafening, silent, or broken."""
    multiply, x = packed_product(kernel, normal(97, 160)), normal(rows, 160, seed=2)
    expected = multiply(x)
    for neighbours in (8.0, 1e4, 0.0, float("inf"), float("nan")):
        among = x.clone()
        among[1:] *= neighbours
        assert torch.equal(multiply(among)[0], expected[0]), neighbours
        last = x.clone()
        last[:-1] *= neighbours
        assert torch.equal(multiply(last)[-1], expected[-1]), neighbours


def test_a_row_among_many_is_a_row_alone(kernel):
    """Up to the order of summation, which a product of another size may change: one rounding of the kernel's type."""
    multiply = packed_product(kernel, normal(256, 1024) / 32)
    exact = {"fp32": 1e-6, "bf16": 2e-3, "fp16": 5e-4, "int8": 2e-3, "int4": 2e-3}[kernel.precision]
    for rows in (2, 16, 130):
        x = normal(rows, 1024, seed=2)
        alone, among = multiply(x[:1])[0], multiply(x)[0]
        assert (among - alone).norm() <= exact * alone.norm(), rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("layout", ["rows", "columns", "slice", "none"])
def test_inputs_of_any_type_and_layout_are_taken(kernel, dtype, layout):
    """And left as they are."""
    weight = normal(64, 128)
    x = {
        "rows": normal(6, 128),
        "columns": normal(128, 6).t(),
        "slice": normal(6, 300)[:, 3:259:2],
        "none": normal(0, 128),
    }[layout].to(dtype)
    before = x.clone()
    found = product(kernel, weight, None, x)
    assert torch.allclose(found, product(kernel, weight, None, before.contiguous()), atol=1e-4)
    assert torch.equal(x, before)
    assert found.shape == (len(x), 64)


def test_packing_and_running_leave_the_weight_alone(kernel):
    """It belongs to the caller."""
    weight = normal(64, 128)
    before = weight.clone()
    x = normal(2, 128, seed=2).to(kernel.device)
    packed = kernel.pack(weight.to(kernel.device), None)
    kernel.run(packed, x)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, AttributeError, TypeError])
def test_a_kernel_that_raises_does_not_work(error):
    """Whatever a torch without it raises."""

    def pack(weight, bias):
        raise error("removed")

    assert not Kernel(f"gone-{error.__name__}", "int8", "cpu", pack, lambda packed, x: x).works()


def test_a_kernel_that_gives_wrong_numbers_does_not_work():
    """It is compared, not only called."""
    assert not Kernel("zeros", "int8", "cpu", lambda w, b: w, lambda w, x: torch.zeros(len(x), len(w))).works()
    assert not Kernel("nan", "int8", "cpu", lambda w, b: w, lambda w, x: linear(x, w) * float("nan")).works()


def test_where_the_deprecated_tensors_are_gone_others_serve(monkeypatch):
    """Torch means to remove per-channel quantized tensors, on which one int8 kernel relies."""

    def removed(*_):
        raise AttributeError("removed")

    gone = next(k for k in KERNELS if k.name == "int8_rows")
    assert "int8_rows" in {k.name for k in KERNELS}
    substitute = Kernel("int8_rows", "int8", "cpu", removed, gone.run)
    monkeypatch.setattr("realtts.accel.kernels.matmul.KERNELS", tuple(substitute if k is gone else k for k in KERNELS))
    assert "int8_rows" not in [k.name for k in kernels_for("int8", CPU)]
    assert choose_kernel([normal(64, 64)], "int8")


@pytest.mark.parametrize("shape", [(128, 64), (258, 64), (64, 192), (200, 720), (512, 1536), (1024, 3072)])
def test_rows_of_a_steady_kernel_are_the_same_beside_any_number(shape):
    """Bit for bit, alone too; and in float32 such a kernel is the one that is taken."""
    generator = torch.Generator().manual_seed(shape[0])
    weight, x = torch.randn(shape, generator=generator), torch.randn(24, shape[1], generator=generator)
    steady = [kernel for precision in PRECISIONS for kernel in kernels_for(precision, CPU) if kernel.steady]
    for kernel in steady:
        if kernel.precision == "int4" and shape[1] % 32:
            continue
        packed = kernel.pack(weight, None)
        whole = kernel.run(packed, x)
        for rows in (1, 2, 3, 5, 8, 17):
            for begin in (0, 24 - rows):
                part = kernel.run(packed, x[begin : begin + rows])
                assert torch.equal(part, whole[begin : begin + rows]), (kernel.name, rows)
    if any(kernel.precision == "fp32" for kernel in steady):
        assert choose_kernel([weight], "fp32").steady


# -- the choice -------------------------------------------------------------------------------------------------------


def fake(name, seconds):
    """A kernel whose products are right and cost what it says, on the clock of the test."""
    return Kernel(name, "fp32", "cpu", lambda w, b: (w, b), lambda p, x: _costing(seconds(len(x)), linear(x, *p)))


class _Clock:
    now = 0.0


def _costing(seconds, value):
    _Clock.now += seconds
    return value


@pytest.fixture
def among(monkeypatch, own_folders):
    """Choose among fake kernels, on a clock that only they move."""
    monkeypatch.setattr(time, "perf_counter", lambda: _Clock.now)

    def choose(*kernels, rows=(2,), **options):
        monkeypatch.setattr(choice, "kernels_for", lambda *_: kernels)
        return choose_kernel([torch.ones(8, 8)] * 3, "fp32", rows=rows, **options)

    return choose


def test_one_candidate_is_not_measured(monkeypatch):
    """It is neither packed nor run."""

    def never(*_):
        pytest.fail("measured")

    only = Kernel("only", "fp32", "cpu", never, never)
    monkeypatch.setattr(choice, "kernels_for", lambda *_: (only,))
    assert choose_kernel([torch.ones(8, 8)], "fp32", rows=(1, 2, 8)) is only


def test_a_named_kernel_is_not_measured(among):
    """However slow."""
    slow, fast = fake("slow", lambda _: 9.0), fake("fast", lambda _: 1.0)
    before = _Clock.now
    assert among(slow, fast, kernel="slow") is slow
    assert _Clock.now == before


def test_the_fastest_serves_all(among):
    """For few rows and for many."""
    assert among(fake("slow", lambda _: 2.0), fake("fast", lambda _: 1.0)).name == "fast"


def test_steps_count_more_than_the_prefill(among):
    """One request is one prefill and hundreds of steps; a prefill that is worse beyond measure counts all the same."""
    steps = fake("steps", lambda rows: 1.0 if rows < 128 else 50.0)
    prefill = fake("prefill", lambda rows: 2.0 if rows < 128 else 10.0)
    assert among(prefill, steps) is steps
    hopeless = fake("hopeless", lambda rows: 1.0 if rows < 128 else 500.0)
    assert among(prefill, hopeless) is prefill


def test_one_kernel_for_all_numbers_of_rows(among):
    """A row must not round differently beside more neighbours; each number of rows counts by its share."""
    one = fake("one", lambda rows: 1.0 * rows)
    many = fake("many", lambda rows: 3.0 + 0.1 * rows)
    assert among(one, many, rows=(1,)) is one
    assert among(one, many, rows=(8, 1, 8)) is many


def test_the_answer_is_kept(among, own_folders):
    """Asked again, by another process too, nothing is measured; other rows and other kernels are another question."""
    slow, fast = fake("slow", lambda _: 2.0), fake("fast", lambda _: 1.0)
    assert among(slow, fast) is fast
    before = _Clock.now
    assert among(slow, fast) is fast
    assert _Clock.now == before
    among(slow, fast, rows=(3,))
    assert _Clock.now > before
    assert among(slow, fake("other", lambda _: 1.0)).name == "other"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"question": 1, "answer": "fast"}'])
def test_a_damaged_answer_is_measured_again(among, own_folders, content):
    """Whatever is in the file."""
    slow, fast = fake("slow", lambda _: 2.0), fake("fast", lambda _: 1.0)
    among(slow, fast)
    (path,) = (own_folders / "data" / "cache" / "autotune").iterdir()
    path.write_text(content)
    before = _Clock.now
    assert among(slow, fast) is fast
    assert _Clock.now > before


def test_an_answer_that_cannot_be_kept(among, own_folders):
    """A cache folder that is a file: chosen all the same."""
    (own_folders / "data").write_text("")
    assert among(fake("slow", lambda _: 2.0), fake("fast", lambda _: 1.0)).name == "fast"


def test_nothing_that_works_is_an_error_with_the_switch():
    """The switch is the one that helps: quantization for integers, the type for floats."""
    with pytest.raises(QuantizationUnavailable, match=r'no int8 kernel .nothing. works on cpu.*quantization="none"'):
        choose_kernel([torch.ones(8, 8)], "int8", kernel="nothing")
    with pytest.raises(QuantizationUnavailable, match=r"no bf16 kernel works on meta.*REALTTS_DTYPE=float32"):
        choose_kernel([torch.ones(8, 8, device="meta")], "bf16")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_measured_kernel_works(precision):
    """Real kernels and real clocks: whichever is chosen, the product is right for every number of rows."""
    weight, bias = normal(96, 256) / 16, normal(96, seed=1)
    packed = PackedLinear(weight, bias, choose_kernel([weight], precision, rows=(1, 2, 16)))
    for rows in (1, 2, 5, 16, 200):
        x = normal(rows, 256, seed=rows)
        expected = linear(x, weight, bias)
        assert (packed(x).float() - expected).norm() < 2 * WITHIN[precision] * expected.norm()
    assert (packed.out_features, packed.in_features) == (96, 256)


@pytest.mark.parametrize(("precision", "expected"), [("fp32", 4096), ("bf16", 2048), ("int8", 1024), ("int4", 512)])
def test_bytes_read_are_those_of_the_weights(precision, expected):
    """For the floor of a step's time."""
    kernel = choose_kernel([torch.ones(32, 32)], precision, kernel=kernels_for(precision, CPU)[0].name)
    assert PackedLinear(torch.ones(32, 32), None, kernel).bytes_read == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_dense_layer_over_frames(dtype):
    """Rows and frames stay apart; the type of the result is that of the product."""
    weight, bias = normal(24, 32) / 6, normal(24, seed=1)
    x = normal(6, 32, seed=2)
    expected = linear(x, weight, bias).view(2, 3, 24)
    layer = Dense(weight, bias, dtype)
    for stage in ("cast", "packed", "packed again"):
        y = layer(x.view(2, 3, 32))
        assert y.dtype == dtype, stage
        assert (y.float() - expected).norm() < 0.01 * expected.norm(), stage
        layer.pack()
    assert Dense(weight, None, dtype)(x[None]).shape == (1, 6, 24)


@pytest.mark.parametrize("enabled", [True, False], ids=["oneDNN", "without"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_dense_layer_is_followed_by_gelu(dtype, enabled, monkeypatch):
    """With oneDNN, without it, and before it is packed, when the weights are as they were."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", enabled)
    weight, bias, x = normal(24, 32), normal(24, seed=1), normal(6, 32, seed=2)
    expected = torch.nn.functional.gelu(linear(x, weight, bias), approximate="tanh")
    layer = Dense(weight, bias, dtype, gelu=True)
    assert torch.equal(layer.pair[0], weight.to(dtype))
    assert torch.equal(layer.pair[1], bias.to(dtype))
    for _ in ("cast", "packed"):
        assert (layer(x).float() - expected).norm() < 0.01 * expected.norm()
        layer.pack()


@pytest.mark.parametrize("shape", [(24, 32, 1), (24, 32, 7), (24, 1, 32), (1, 32, 5), (24, 32, 2)])
def test_a_dense_layer_does_not_keep_what_its_weight_was_cut_from(shape):
    """A part of a convolution's kernel, say, whose whole could not be freed before the layer is packed."""
    whole = normal(*shape)
    cut = whole.transpose(0, 1)[:, :, 0].t()
    layer = Dense(cut, None, torch.float32)
    assert layer.weight.untyped_storage().nbytes() == cut.numel() * 4
    assert torch.equal(layer.weight, cut)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dense_layers_are_packed_together(dtype, monkeypatch):
    """One after the other, each once, in the type that it asked for, and with the results of before."""
    packed, pack = [], onednn.packed
    monkeypatch.setattr(onednn, "packed", lambda weight: packed.append(weight.dtype) or pack(weight))
    network = DenseLayers(dtype)
    x = normal(5, 32, seed=3)
    layers = [
        network.add(normal(24, 32, seed=1) / 6, normal(24, seed=2)),
        network.add(normal(16, 32, seed=4) / 6),
        network.add(normal(24, 32, seed=5) / 6, dtype=torch.float32),
        network.add(normal(8, 32, seed=6) / 6, gelu=True),
    ]
    before = [layer(x) for layer in layers]
    assert packed == []
    network.pack()
    network.pack()
    expected = [layer.weight.dtype for layer in layers if onednn.usable(layer.weight.dtype, CPU)]
    assert packed == expected
    assert [y.dtype for y in before] == [dtype, dtype, torch.float32, dtype]
    for layer, y in zip(layers, before, strict=True):
        assert (layer(x).float() - y.float()).norm() <= 0.01 * y.float().norm()
