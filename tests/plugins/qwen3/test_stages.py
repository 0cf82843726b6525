"""Loading in stages: what each of them adds to the model, and a status that tells what was done."""

from __future__ import annotations

import pytest
import torch

from realtts.accel.kernels import PackedLinear
from realtts.accel.weights.tensorfile import TensorFile
from realtts.contract.spec import Checkpoint
from realtts.provider import facade
from realtts.registry.extensions import Extensions
from realtts.testing import make_context
from realtts.testing.device import HostDevice
from realtts.testing.first_times import FirstTimes
from realtts.testing.recording import RecordingGraphs
from realtts_qwen3 import codec_graphs, engine, network, optimized, plain as plain_module, spec
from realtts_qwen3.upstream import why_not

MODEL = "0.6b-custom-voice"
STAGES = ["load", "convert_precision", "compile", "warmup"]


@pytest.fixture
def context_of(folders):
    """Makes the context of a rung, with a list of the events that were reported."""

    def context(*, dtype="float32", **settings):
        events = []
        checkpoint = Checkpoint("test", path=folders(MODEL))
        settings = {"quantization": "none", "cuda_graphs": False, **settings}
        return make_context(spec, dtype=dtype, checkpoint=checkpoint, report=events.append, **settings), events

    return context


@pytest.fixture
def loaded(make, monkeypatch):
    """Makes a loaded provider, and hands out the model behind it and its status."""
    models = []
    real = optimized.OptimizedModel

    def recorded(*args, **kwargs):
        models.append(real(*args, **kwargs))
        return models[-1]

    monkeypatch.setattr(optimized, "OptimizedModel", recorded)

    def load(**settings):
        provider = make(MODEL, strict=True, **settings)
        provider.load()
        return models[-1], provider.get_provider_status()

    return load


def details(events):
    """What was reported for the status."""
    return {key: value for event in events if event.name == "optimization.details" for key, value in event.data.items()}


def test_each_stage_adds_its_part(context_of) -> None:
    """Embeddings, the codec in the rung's dtype, then everything packed; nothing is reported before that."""
    context, events = context_of(dtype="bfloat16")
    hooks = optimized.Optimized()
    model = hooks.load(context)
    assert model.prompts is not None
    assert model.prompts.codes.first.dtype == torch.bfloat16  # as the file has it
    assert model.prompts.pad.dtype == torch.float32
    assert (model.codec, model.engine) == (None, None)
    hooks.convert_precision(context, model)
    assert model.codec.dtype == torch.bfloat16
    assert model.codec.samples(torch.zeros(1, 16, dtype=torch.int64)).isfinite().all()  # slower than packed
    assert model.engine is None
    assert not details(events)
    hooks.compile(context, model)
    assert model.engine.codec is model.codec
    assert model.engine.talker.prompts is model.prompts
    assert details(events)
    hooks.warmup(context, model)
    hooks.unload(context, model)
    assert (model.prompts, model.codec, model.engine) == (None, None, None)


def test_weights_are_read_in_the_stage_that_finishes_them(context_of, monkeypatch) -> None:
    """Embeddings while loading, the codec's when it is cast, the networks' when they are packed; none in two."""
    read, stage = {name: set() for name in STAGES}, []
    real = TensorFile.__getitem__
    monkeypatch.setattr(TensorFile, "__getitem__", lambda self, name: read[stage[-1]].add(name) or real(self, name))
    context, _ = context_of()
    hooks, model = optimized.Optimized(), None
    for name in STAGES:
        stage.append(name)
        hook = getattr(hooks, name)
        model = hook(context) if name == "load" else hook(context, model) or model
    assert all("_embedding." in name or "text_projection." in name for name in read["load"])
    assert all(name.startswith("decoder.") for name in read["convert_precision"])
    assert all(name.startswith("talker.") for name in read["compile"])
    assert not read["warmup"]
    assert all(read[name] for name in STAGES[:3])
    assert sum(map(len, read.values())) == len(set.union(*read.values()))


@pytest.mark.full  # by default: test_network.test_what_is_warm_needs_no_capture
def test_graphs_are_captured_before_the_warm_up(context_of, monkeypatch) -> None:
    """Those of a request as long as the warm-up; speaking it captures no more."""
    backend = RecordingGraphs()
    monkeypatch.setattr(optimized, "graphs_of", lambda _: backend)
    monkeypatch.setattr(optimized, "_GRAPHED_SLOTS", 24)
    monkeypatch.setattr(engine, "LARGEST", 4)
    context, events = context_of(cuda_graphs=True)
    hooks = optimized.Optimized()
    model = hooks.load(context)
    hooks.convert_precision(context, model)
    assert backend.captures == 0
    hooks.compile(context, model)
    captures = backend.captures
    assert captures >= 5  # frames, a prompt, and pieces of 1, 2 and 4 frames
    assert details(events)["cuda_graphs"] is True
    hooks.warmup(context, model)
    assert backend.captures == captures
    assert backend.replays > 0


@pytest.mark.full
def test_nothing_is_met_for_the_first_time_after_the_warm_up(make, monkeypatch) -> None:
    """Speech of any length, and streams: no capture, no cache but of a voice's prefix, no new shape of attention."""
    backend = RecordingGraphs()
    monkeypatch.setattr(optimized, "graphs_of", lambda _: backend)
    monkeypatch.setattr(network, "_SLOTS", 128)
    monkeypatch.setattr(optimized, "_GRAPHED_SLOTS", 128)
    monkeypatch.setattr(engine, "LARGEST", 4)
    monkeypatch.setattr(codec_graphs, "LARGEST", 4)
    with FirstTimes(backend).watching() as first:
        tts = make(MODEL, dtype="float32", quantization="none", strict=True, max_batch=1, force_tokens_per_char=0.5)
        tts.load()
        before = first.mark()
        for text in ("Hm.", "Hello there.", "Yes, of course it is.", "Oh.", "Well, who knows?"):
            if len(text) % 2:
                tts.generate(text, seed=1)
            else:
                with tts.stream(text, seed=2) as stream:
                    assert list(stream)
            assert (first.mark()[0], first.mark()[2]) == (before[0], before[2])
            assert all(rows == 1 for rows, _ in first.caches[before[1] :]), "a voice's prefix alone"


def test_every_stage_is_told(make, monkeypatch) -> None:
    """By an event when it has finished, in their order, and in the status with its seconds."""
    events = []

    class Listener:
        def on_event(self, event):
            events.append(event)

    monkeypatch.setattr(facade, "discover_extensions", lambda: Extensions({"listener": Listener()}))
    provider = make(MODEL, dtype="float32", quantization="none", strict=True)
    provider.load()
    assert [event.data["stage"] for event in events if event.name == "stage.finished"] == STAGES
    assert list(provider.get_provider_status()["timings"]) == STAGES


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"dtype": "float32", "quantization": "none", "compile": True}, id="fp32", marks=pytest.mark.full),
        pytest.param({"dtype": "bfloat16", "quantization": "none", "attention": "math"}, id="bf16"),
        pytest.param({"dtype": "float32", "quantization": "int8", "attention": "sdpa"}, id="int8"),
    ],
)
def test_the_status_tells_facts(loaded, settings) -> None:
    """Each key is compared with the loaded model, and none of them repeats a setting that had no effect."""
    model, status = loaded(**settings)
    shown, codec, turns = dict(status["optimization_details"]), model.engine.codec, model.engine.turns
    decoder, linears = model.engine.talker.decoder, packed_of(model.engine.talker)
    quantized = {linear.kernel.precision for linear in linears} == {"int8"}
    assert shown.pop("device") == decoder.device.type
    assert shown.pop("dtype") == shown.pop("codec_dtype") == name_of(codec.start().buffer)
    assert shown.pop("weights") == {linear.kernel.precision for linear in linears}.pop()
    assert shown.pop("kernel") == {linear.kernel.name for linear in linears}.pop()
    assert shown.pop("quantization") == ("int8" if quantized else "none")
    assert shown.pop("kv_dtype") == name_of(decoder.new_cache(1, 1).layer(0))
    assert shown.pop("compile") is False  # torch.compile is never called, whatever was asked for
    assert shown.pop("fused") is (decoder.fused is not None) is False
    assert shown.pop("cuda_graphs") is False
    assert shown.pop("offload") is turns.offloaded is False
    assert shown.pop("attention") == settings.get("attention", "flash")
    assert shown.pop("attention_kernel") == ("math" if settings.get("attention") == "math" else "flash")
    assert not shown, "a key of the status without a test"


def test_the_status_tells_of_offloading(loaded, monkeypatch) -> None:
    """Weights move, and so there are no graphs."""
    device = HostDevice()
    monkeypatch.setattr(optimized, "device_sharing", lambda _: device.turns())
    model, status = loaded(dtype="float32", quantization="none")
    shown = status["optimization_details"]
    assert shown["offload"] is model.engine.turns.offloaded is True
    assert device.copies > 0
    assert shown["cuda_graphs"] is False
    assert "cpu_offload" in shown["no_cuda_graphs"]


@pytest.mark.parametrize("without", [False, pytest.param(True, id="ported")])
def test_the_plain_variant_tells_facts(plain, monkeypatch, without) -> None:
    """Whose networks speak, and by which attention; nothing is quantized, captured or compiled."""
    if without:
        monkeypatch.setattr(plain_module, "why_not", lambda: "qwen_tts is not installed")
    elif why_not() is not None:
        pytest.skip(str(why_not()))
    provider = plain(attention="math", compile=True)
    provider.load()
    shown = provider.get_provider_status()["optimization_details"]
    assert shown["networks"] == ("realtts-qwen3" if without else "qwen-tts")
    assert shown["attention"] == "sdpa"
    assert shown["quantization"] == "none"
    assert not any(shown[name] for name in ("compile", "cuda_graphs", "offload"))


def packed_of(talker):
    """The packed layers of the talker and its predictor."""
    packed, waiting, seen = [], [talker], set()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, (str, int, float, type, torch.Tensor)):
            continue
        seen.add(id(thing))
        if isinstance(thing, PackedLinear):
            packed.append(thing)
        elif isinstance(thing, (list, tuple)):
            waiting += thing
        elif hasattr(thing, "__dict__"):
            waiting += vars(thing).values()
    return packed


def name_of(tensor):
    """The name of its dtype."""
    return str(tensor.dtype).removeprefix("torch.")
