"""The helper for graphs on ONNX Runtime, with a runtime of the test's own."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from realtts import ProviderSpec, RealProvider, errors
from realtts.contract.hooks import hookimpl
from realtts.contract.types import Chunk
from realtts.kit.onnx import OnnxGraph, expose_output, onnx_probe, onnx_rungs
from realtts.machine.hardware import resolve_device

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class InvalidProtobuf(Exception):
    """As ONNX Runtime calls it."""


@pytest.fixture
def runtime(monkeypatch):
    """ONNX Runtime with a GPU, whose faults can be chosen; it notes how sessions were opened."""
    module = ModuleType("onnxruntime")
    module.opened, module.faults, module.available, module.silent = [], {}, [CUDA, CPU], False
    module.later = None  # what is available once rungs were proposed

    class Binding:
        def __init__(self):
            self.inputs, self.outputs = {}, []

        def bind_cpu_input(self, name, array):
            self.inputs[name] = array

        def bind_output(self, name, device):
            self.outputs.append(name)

        def copy_outputs_to_cpu(self):
            return [sum(self.inputs.values()) for _ in self.outputs]

    class Session:
        def __init__(self, graph, options, providers):
            module.opened.append((graph, providers, vars(options)))
            if str(providers[0]) in module.faults:
                raise module.faults[providers[0]]
            self.providers = [CPU] if module.silent else providers

        def get_providers(self):
            return self.providers

        def get_inputs(self):
            return [SimpleNamespace(name="a"), SimpleNamespace(name="b")]

        def get_outputs(self):
            return [SimpleNamespace(name="sum"), SimpleNamespace(name="again")]

        def io_binding(self):
            return Binding()

        def run_with_iobinding(self, binding):
            pass

    class Options(SimpleNamespace):
        def add_session_config_entry(self, key, value):
            vars(self).setdefault("entries", {})[key] = value

    module.InferenceSession, module.SessionOptions = Session, Options
    module.get_available_providers = lambda: module.available
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    return module


def context(rung=None, device="auto", threads="auto", devices=("cuda", "cpu")):
    """What the helper reads of one."""
    return SimpleNamespace(
        device="cuda:0" if device == "auto" else device,
        rung=None if rung is None else SimpleNamespace(name=rung),
        settings=SimpleNamespace(device=device, threads=threads),
        spec=SimpleNamespace(name="mine", devices=devices),
    )


def test_a_graph_is_opened_and_run(runtime):
    """Names, threads, provider; outputs in the order in which they are asked for."""
    graph = OnnxGraph.open(b"graph", context("cpu", threads=3))
    assert (graph.inputs, graph.outputs, graph.provider) == (("a", "b"), ("sum", "again"), CPU)
    given, providers, options = runtime.opened[0]
    assert (given, providers, options["intra_op_num_threads"]) == (b"graph", [CPU], 3)
    assert options["entries"] == {"session.intra_op.allow_spinning": "0"}
    ones = np.ones(2, np.float32)
    assert [each.tolist() for each in graph.run({"a": ones, "b": ones})] == [[2, 2], [2, 2]]
    assert len(graph.run({"a": ones}, ["sum"])) == 1


@pytest.mark.parametrize(
    ("threads", "default", "used"), [("auto", 1, 1), ("auto", None, None), (2, 1, 2), (4, None, 4), ("auto", 3, 3)]
)
def test_threads(runtime, threads, default, used):
    """The setting, else what the plugin finds best, else ONNX Runtime's own."""
    OnnxGraph.open(b"graph", context("cpu", threads=threads), threads=default)
    assert runtime.opened[0][2].get("intra_op_num_threads") == used


@pytest.mark.parametrize(
    ("device", "devices", "available", "rungs"),
    [
        ("auto", ("cuda", "cpu"), [CUDA, CPU], ["cuda", "cpu"]),
        ("auto", ("cuda", "cpu"), [CPU], ["cpu"]),
        ("cuda:0", ("cuda", "cpu"), [CPU], ["cuda", "cpu"]),
        ("cpu", ("cuda", "cpu"), [CUDA, CPU], ["cpu"]),
        ("auto", ("cpu",), [CUDA, CPU], ["cpu"]),
    ],
)
def test_rungs(runtime, device, devices, available, rungs):
    """The GPU only where somebody may want it, and the CPU behind it always."""
    runtime.available = available
    assert [rung.name for rung in onnx_rungs(context(device=device, devices=devices))] == rungs


@pytest.mark.parametrize(
    ("device", "opened"),
    [
        ("auto", CUDA),
        ("cuda", CUDA),
        ("cuda:0", CUDA),
        ("cuda:1", (CUDA, {"device_id": "1"})),
        ("cuda:12", (CUDA, {"device_id": "12"})),
    ],
)
def test_the_gpu_that_is_named(runtime, monkeypatch, device, opened):
    """A graph is opened on it, and not on the first one."""
    monkeypatch.setattr(runtime.InferenceSession, "get_providers", lambda _: [CUDA])
    OnnxGraph.open(b"graph", context("cuda", device=device))
    assert runtime.opened[0][1] == [opened]


@pytest.mark.parametrize(
    ("setting", "available", "device"),
    [
        ("auto", [CUDA, CPU], "cuda:0"),
        ("auto", [CPU], "cpu"),
        ("cuda", [CUDA, CPU], "cuda:0"),
        ("cuda:1", [CUDA, CPU], "cuda:1"),
        ("cpu", [CUDA, CPU], "cpu"),
        ("cuda", [CPU], "install onnxruntime-gpu"),
        ("cuda:1", [CPU], "install onnxruntime-gpu"),
    ],
)
def test_the_device_without_torch(runtime, monkeypatch, setting, available, device):
    """ONNX Runtime is asked, and torch is not even imported."""
    monkeypatch.setitem(sys.modules, "torch", None)
    runtime.available = available
    if device.startswith("install"):
        with pytest.raises(errors.SettingsError, match="CUDAExecutionProvider") as caught:
            resolve_device(setting, SPEC)
        assert device in caught.value.fix
    else:
        assert resolve_device(setting, SPEC) == device


def test_probe(runtime):
    """What ONNX Runtime as installed does not have is known before a load."""
    assert onnx_probe(context("cuda")) is None
    runtime.available = [CPU]
    assert "onnxruntime-gpu" in onnx_probe(context("cuda"))
    assert onnx_probe(context("cpu")) is None
    assert onnx_probe(context()) is None


class Speaker:
    """A plugin on ONNX Runtime."""

    @hookimpl
    def rungs(self, context):
        rungs, runtime = onnx_rungs(context), sys.modules["onnxruntime"]
        runtime.available = runtime.later or runtime.available
        return rungs

    @hookimpl
    def probe(self, context):
        return onnx_probe(context)

    @hookimpl
    def load(self, context):
        return OnnxGraph.open(b"graph", context)

    @hookimpl
    def generate(self, context, model, request):
        yield Chunk(np.full(2400, 0.1, np.float32), 24000)


SPEC = ProviderSpec(
    name="mine", summary="mine", sample_rates=(24000,), plain=f"{__name__}:Speaker", devices=("cuda", "cpu")
)


@pytest.mark.parametrize("fault", ["raises", "silently on the CPU", "not there"])
def test_a_step_down_to_the_cpu_has_its_reason(runtime, fault):
    """Whatever is wrong with the GPU: the CPU speaks, and the attempt says why."""
    if fault == "raises":
        runtime.faults[CUDA] = RuntimeError("CUDA driver version is insufficient")
    runtime.silent = fault == "silently on the CPU"
    runtime.later = [CPU] if fault == "not there" else None
    with RealProvider(SPEC) as tts:
        assert tts.generate("hello").duration > 0
        status = tts.get_provider_status()
    assert status["rung"] == "cpu"
    (attempt,) = status["attempts"]
    assert attempt["rung"] == "cuda"
    reason = {"raises": "insufficient", "silently on the CPU": f"on {CPU} instead", "not there": "has no CUDA"}[fault]
    assert reason in attempt["message"]


@pytest.mark.parametrize("source", [b"no graph", "file"])
def test_damaged_graphs(runtime, source, tmp_path):
    """Are faults of the file, which no rung can mend."""
    runtime.faults[CPU] = InvalidProtobuf("Protobuf parsing failed")
    graph = tmp_path / "voice.onnx" if source == "file" else source
    with pytest.raises(errors.CheckpointCorrupt, match=r"voice\.onnx|a graph"):
        OnnxGraph.open(graph, context("cpu"))


def test_onnxruntime_is_missing(monkeypatch):
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(errors.MissingExtra, match="onnxruntime") as caught:
        OnnxGraph.open(b"graph", context("cpu"))
    assert "realtts[onnx]" in caught.value.fix


@pytest.mark.parametrize("name", ["durations", "/Cast_32_output_0", "x" * 200])
@pytest.mark.parametrize("element_type", ["float32", "int64"])
def test_an_output_more(name, element_type):
    """The graph's own bytes stay, and the output stands behind them as a message of its own."""
    graph = bytes(range(256)) * 3
    made = expose_output(graph, name, element_type)
    assert made.startswith(graph)
    assert name.encode() in made[len(graph) :]
    with pytest.raises(KeyError):
        expose_output(graph, name, "text")
