"""What the benchmark does for providers on torch: rates measured with torch, and profiles."""

import json
import time

import pytest

torch = pytest.importorskip("torch")

from realtts import Chunk, OutputError, Settings, hookimpl  # noqa: E402
from realtts.accel import kernels as linear  # noqa: E402
from realtts.accel.kernels import Kernel  # noqa: E402
from realtts.bench import Text, Workload, floor, run_bench  # noqa: E402
from realtts.bench.floor import measure_floor  # noqa: E402
from realtts.bench.peak import PeakMemory  # noqa: E402
from realtts.bench.profiling import check_profile, write_profiles  # noqa: E402
from realtts.contract.timing import timed  # noqa: E402
from realtts.settings_sources import cache_dir  # noqa: E402
from realtts.testing import fake_spec, faults  # noqa: E402


class Products:
    """A model that is a matrix."""

    @hookimpl
    def load(self, context):
        """A constant matrix."""
        return torch.full((256, 256), 1e-3)

    @hookimpl
    def generate(self, context, model, request):
        """A product per word."""
        for _ in request.text.split():
            with timed(context, "decode", steps=1, bytes=model.nbytes, flops=2 * model.numel() * 256):
                samples = (model @ model).flatten()[:1600] + 0.1
            yield Chunk(samples.numpy(), 16_000, tokens=1)


@pytest.fixture
def spec(monkeypatch):
    """A provider on torch."""
    monkeypatch.setattr(faults, "Products", Products, raising=False)
    return fake_spec(
        plain=f"{faults.__name__}:Products",
        optimized=f"{faults.__name__}:Products",
        torch=True,
        capabilities=(),
        options=None,
    )


def test_rates_are_measured_with_torch(spec):
    """With the threads of the settings, which are restored, and for the types that the device multiplies."""
    before = torch.get_num_threads()
    rates = measure_floor(spec, "cpu", Settings(threads=1))
    assert rates["method"].endswith("1 threads")
    assert rates["bytes_per_s"] > 1e8
    assert {"float32", "bfloat16", "int8"} == rates["flops_per_s"].keys()
    assert torch.get_num_threads() == before


def test_the_rate_of_a_type_is_that_of_its_fastest_kernel(spec, monkeypatch):
    """Torch's own product is not always the fastest; weights alone in int8 are multiplied in bfloat16."""
    seconds = {"slow": 4.0, "fast": 1.0, "half": 2.0, "rows": 8.0}
    kernels = {"fp32": ("slow", "fast", "slow"), "bf16": ("half",), "int8": ("rows",)}
    clock = [0.0]

    def kernel(name, precision):
        def run(_weight, x):
            clock[0] += seconds[name]
            return x

        return Kernel(name, precision, "cpu", lambda weight, _: weight, run)

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    known = tuple(kernel(name, precision) for precision, names in kernels.items() for name in names)
    monkeypatch.setattr(linear, "kernels_for", lambda precision, _: [k for k in known if k.precision == precision])
    monkeypatch.setattr(floor, "_affordable", lambda: 1 << 20)
    monkeypatch.setattr(torch.Tensor, "sum", lambda _: clock.__setitem__(0, clock[0] + 1))
    rates = measure_floor(spec, "cpu", Settings(threads=1))["flops_per_s"]
    assert rates["float32"] == 2 * rates["bfloat16"] == 2 * rates["int8"] > 0


def test_a_kernel_that_fails_has_no_rate(spec, monkeypatch):
    """The record is not lost with it: another kernel is timed, or the type has no rate."""

    def fail(_weight, _x):
        raise torch.OutOfMemoryError("no room")

    known = [Kernel("fails", "fp32", "cpu", lambda weight, _: weight, fail)]
    monkeypatch.setattr(linear, "kernels_for", lambda precision, _: [k for k in known if k.precision == precision])
    monkeypatch.setattr(floor, "_affordable", lambda: 1 << 20)
    assert measure_floor(spec, "cpu", Settings(threads=1))["flops_per_s"] == {}


def test_a_record_of_a_provider_on_torch(spec):
    """The version of torch is in it, and stages have floors."""
    record = run_bench(spec, Workload((Text("one two"),), repeats=1))
    assert record["machine"]["versions"]["torch"] == torch.__version__
    assert record["variants"]["optimized"]["stages"]["decode"]["distance"] > 0


def test_profiles(spec, tmp_path):
    """A trace and a table of operators per variant, of the work in the model."""
    folder = tmp_path / "made" / "here"
    workload = Workload((Text("one two three"),))
    files = write_profiles(spec, workload, folder, variants=("plain", "optimized"), settings={})
    assert [path.name for path in files] == [
        "plain.trace.json", "plain.operators.txt", "optimized.trace.json", "optimized.operators.txt",
    ]  # fmt: skip
    events = json.loads((folder / "plain.trace.json").read_text())["traceEvents"]
    assert any(event.get("name") == "aten::mm" for event in events)
    assert "aten::mm" in (folder / "optimized.operators.txt").read_text()


def test_a_profile_needs_a_folder_that_can_be_written(spec, tmp_path, monkeypatch):
    """Found before anything is timed, whether it can be made or not."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        check_profile(spec, tmp_path / "file")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(OutputError, match="nothing can be written"):
        check_profile(spec, tmp_path / "locked")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_peak_of_the_device():
    """What torch had allocated at most; rates of the device."""
    torch.zeros(1, device="cuda")
    with PeakMemory() as peak:
        block = torch.zeros(64 << 20, dtype=torch.uint8, device="cuda")
        del block
    assert peak.device_peak >= 64 << 20
    rates = measure_floor(fake_spec(torch=True, devices=("cuda", "cpu")), "cuda:0", Settings())
    assert {"float32", "tf32", "bfloat16", "float16", "int8"} == rates["flops_per_s"].keys()


def test_the_bandwidth_is_measured_once(monkeypatch):
    """Reports of one machine have one floor; what is damaged, or of other threads, is measured again."""
    spec, blocks = fake_spec(torch=True), iter(range(1 << 20, 1 << 21))
    monkeypatch.setattr(floor, "_affordable", lambda: next(blocks))
    monkeypatch.setattr(floor, "_BANDWIDTH_S", 0.0)
    monkeypatch.setattr(floor, "_product_rates", lambda *_: {})
    first = measure_floor(spec, "cpu", Settings(threads=1))
    assert [measure_floor(spec, "cpu", Settings(threads=1)) for _ in range(3)] == [first] * 3
    assert first["bandwidth_measured"]
    folder = cache_dir() / "bandwidth"
    count = len(list(folder.iterdir()))
    measure_floor(spec, "cpu", Settings(threads=2))
    assert len(list(folder.iterdir())) == count + 1
    for damage in (
        b"",
        b"{}",
        b'{"question": "", "bytes_per_s": 1.0, "measured": ""}',
        b"[1]",
        b'{"bytes_per_s": "x"}',
    ):
        for path in folder.iterdir():
            path.write_bytes(damage)
        assert measure_floor(spec, "cpu", Settings(threads=1))["bytes_per_s"] > 1e6
