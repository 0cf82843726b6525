"""The stages of the optimized variant: what is there after each of them, and that the status tells what was done."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import torch
from torch.nn import functional

from realtts.accel.compile import compiled
from realtts.accel.kernels import onednn
from realtts.accel.offload.tensors import walk_tensors
from realtts.accel.weights.tensorfile import Tensors
from realtts.bench import subject as subject_module
from realtts.bench.subject import Subject
from realtts.testing import voice_like
from realtts.testing.device import HostDevice
from realtts.testing.first_times import FirstTimes
from realtts.testing.recording import RecordingGraphs
from realtts_f5 import spec
from realtts_f5.model import OptimizedModel
from realtts_f5.network import Item
from realtts_f5.schedule import times
from realtts_f5.solver import solve
from realtts_f5.states import model_state

STAGES = ["load", "convert_precision", "compile", "warmup"]
MODELS = ["f5-v1-base", pytest.param("e2-base", marks=pytest.mark.full)]
CAST = ("transformer_blocks.0.attn.", "transformer_blocks.0.ff.", "layers.0.", "conv_pos_embed.conv1d.2.")
"""Parts of names of tensors that are cast; modulation, embeddings and ends are float32 on every rung."""


@pytest.fixture
def models(monkeypatch):
    """Every `OptimizedModel` that a `load` makes from now on."""
    made = []
    keep = lambda *arguments, **named: made.append(OptimizedModel(*arguments, **named)) or made[-1]  # noqa: E731
    monkeypatch.setattr("realtts_f5.optimized.OptimizedModel", keep)
    return made


@pytest.fixture
def bring_up(folders, models, monkeypatch):
    """Passes the stages of a rung in this thread, and looks at the model after each: stage -> what was seen."""

    def bring_up(look, model="f5-v1-base", **settings):
        seen = {}

        def hear(event):
            if event.name == "stage.finished":
                seen[event.data["stage"]] = look(models[-1])

        monkeypatch.setattr(subject_module, "_unheard", hear)
        arguments = {"model": folders(model), "device": "cpu", "threads": 1, "strict": True, **settings}
        with Subject(spec, arguments) as subject:
            subject.load()
        return seen

    return bring_up


def elements(thing, dtype):
    """How many numbers of a type an object's tensors have, those that are packed for oneDNN apart."""
    return sum(tensor.numel() for _, tensor in walk_tensors(thing, "cpu") if tensor.dtype == dtype)


def spoken(model):
    """A short mel spectrogram."""
    noise = torch.randn(40, 100, generator=torch.Generator().manual_seed(0))
    item = Item(noise[:10], torch.zeros(4, dtype=torch.int64), 40, noise)
    return solve(model.network, [item], times=times(2, None), guidance=2.0)[0]


@pytest.mark.parametrize("name", MODELS)
def test_parts_are_there_after_their_stage(bring_up, folders, name) -> None:
    """Vocoder and float32 parts after `load`, the cast blocks after `convert_precision`, packed after `compile`."""
    half = torch.bfloat16

    def look(model):
        return {
            "vocoder": (elements(model.vocoder, torch.float32), elements(model.vocoder, half)),
            "network": (elements(model.network, torch.float32), elements(model.network, half)),
            "graphs": model.graphs,
        }

    seen = bring_up(look, name, dtype="bfloat16")
    assert list(seen) == STAGES
    (path,) = folders(name).glob("*.safetensors")
    shapes = model_state(path).shapes
    cast = sum(torch.Size(shape).numel() for tensor, shape in shapes.items() if any(part in tensor for part in CAST))
    loaded, converted, packed, _ = seen.values()
    assert loaded["vocoder"][0] > 0
    assert all(look["vocoder"] == loaded["vocoder"] for look in seen.values())
    assert loaded["vocoder"][1] == loaded["network"][1] == 0
    assert converted["network"][0] == loaded["network"][0] > 0
    assert converted["network"][1] > cast
    assert (packed["network"][1] < converted["network"][1]) is onednn.usable(half, torch.device("cpu"))
    assert all(look["graphs"] is None for look in seen.values())


@pytest.mark.parametrize("name", MODELS)
def test_the_network_computes_once_it_is_converted(bring_up, name) -> None:
    """Packing changes the way, not the result."""
    seen = bring_up(
        lambda model: spoken(model) if model.network.dtype == torch.bfloat16 else None, name, dtype="bfloat16"
    )
    torch.testing.assert_close(seen["compile"], seen["convert_precision"], atol=0.05, rtol=0)
    assert torch.equal(seen["warmup"], seen["compile"])


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_is_read_once(bring_up, folders, monkeypatch, name) -> None:
    """By `load` what stays in float32, by `convert_precision` the rest; nothing is read again later."""
    read = Counter()

    class Counted(Tensors):
        def __getitem__(self, tensor):
            read[tensor] += 1
            return super().__getitem__(tensor)

    def counted(path):
        state = model_state(path)
        return Counted(state, names={tensor: tensor for tensor in state})

    monkeypatch.setattr("realtts_f5.loading.model_state", counted)
    seen = bring_up(lambda _: dict(read), name)
    assert not any(part in tensor for tensor in seen["load"] for part in CAST)
    assert set(seen["load"]) < set(seen["convert_precision"])
    (path,) = folders(name).glob("*.safetensors")
    assert seen["convert_precision"] == {tensor: 1 for tensor in model_state(path) if "inv_freq" not in tensor}
    assert seen["compile"] == seen["warmup"] == seen["convert_precision"]


def test_graphs_are_captured_when_it_compiles(bring_up, monkeypatch) -> None:
    """One for each padded length up to the longest chunk, and none by the warm-up."""
    backend = RecordingGraphs()
    monkeypatch.setattr("realtts_f5.model.graphs_of", lambda _: backend)
    seen = bring_up(lambda model: (backend.captures, model.graphs and model.graphs.captures))
    assert list(seen.items()) == [
        ("load", (0, None)),
        ("convert_precision", (0, None)),
        ("compile", (3, 3)),
        ("warmup", (3, 3)),
    ]


def test_nothing_is_met_for_the_first_time_after_the_warm_up(make, monkeypatch) -> None:
    """Chunks of any length up to the longest, one by one: no capture, no cache, no new shape of attention."""
    backend = RecordingGraphs()
    monkeypatch.setattr("realtts_f5.model.graphs_of", lambda _: backend)
    monkeypatch.setattr("realtts_f5.model.LONGEST_FRAMES", 256)
    with FirstTimes(backend).watching() as first:
        tts = make(dtype="float32", strict=True)
        tts.load()
        before = first.mark()
        assert before[0] == 4
        said = {"voice": voice_like(1), "reference_text": "Well, these words.", "nfe_step": 4, "seed": 1}
        for text in ("Hm.", "Hello there.", "Yes, of course it is.", "No."):
            tts.generate(text, **said)
            with tts.stream(text, **said) as stream:
                assert list(stream)
            assert first.mark() == before
        tts.generate("Yes. " * 20, **said)  # longer than the longest, in several chunks: without graphs
        assert first.mark()[:2] == before[:2]


def _no_backend(*_: object) -> None:
    raise RuntimeError("no compiler here")


CASES = {
    "float32": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
    "torch's attention": {"attention": "sdpa", "dtype": "float32"},
    "quantization refused": {"quantization": "int8", "dtype": "float32"},
    "compiled": {"compile": True, "dtype": "float32", "backend": "eager"},
    "not compiled": {"compile": True, "dtype": "float32", "backend": _no_backend},
    "graphs": {"dtype": "float32", "graphs": True},
    "offloaded": {"dtype": "float32", "offloaded": True},
}


@pytest.mark.parametrize("case", CASES)
def test_the_status_tells_what_was_done(make, models, monkeypatch, case) -> None:
    """Each key of `optimization_details` is a fact: of the weights, the kernels that were called, the graphs there."""
    settings = dict(CASES[case])
    backend = settings.pop("backend", "inductor")
    monkeypatch.setattr("realtts_f5.model.compiled", functools.partial(compiled, backend=backend))
    if settings.pop("graphs", False):
        graphs = RecordingGraphs()
        monkeypatch.setattr("realtts_f5.model.graphs_of", lambda _: graphs)
    if settings.pop("offloaded", False):
        device = HostDevice()
        turns = device.turns()
        monkeypatch.setattr("realtts_f5.optimized.device_sharing", lambda _: turns)
    calls, torchs = [], functional.scaled_dot_product_attention
    counted = lambda *arguments, **named: calls.append(1) or torchs(*arguments, **named)  # noqa: E731
    monkeypatch.setattr(functional, "scaled_dot_product_attention", counted)

    tts = make(**settings)
    tts.generate("Hello there.", voice=voice_like(2), reference_text="These are the words.", nfe_step=4)
    status = tts.get_provider_status()
    details, model = status["optimization_details"], models[-1]
    parts = ("_backbone._blocks", "_backbone._products")  # the blocks' dense layers are met in either
    blocks = {tensor.dtype for name, tensor in walk_tensors(model.network, "cpu") if name.startswith(parts)}
    assert status["variant"] == "optimized"
    assert blocks == {getattr(torch, details["dtype"])}
    assert details["device"] == model.vocoder.device.type == "cpu"
    assert details["compile"] is (bool(model.pieces) and all(piece.graphs > 0 for piece in model.pieces))
    assert details["compile"] is (case == "compiled")
    assert ("no compiler here" in details.get("no_compile", "")) is (case == "not compiled")
    assert details["cuda_graphs"] is (model.graphs is not None and model.graphs.captures > 0)
    assert details["cuda_graphs"] is (case == "graphs")
    assert (details["attention"] == "own") is (not calls)
    assert details["offload"] is model.turns.offloaded is (case == "offloaded")
    assert ("cpu_offload" in details.get("no_cuda_graphs", "")) is (case == "offloaded")
    assert details["quantization"] == "none"
    assert not any(tensor.dtype == torch.int8 for _, tensor in walk_tensors(model.network, "cpu"))
    assert details.keys() - {"no_compile", "no_cuda_graphs", "no_attention", "attention_kernel"} == {
        "device", "dtype", "compile", "cuda_graphs", "attention", "quantization", "offload", "fused",
    }  # fmt: skip
    assert details["fused"] is model.network.joined is False, "fused operations are for CUDA"
