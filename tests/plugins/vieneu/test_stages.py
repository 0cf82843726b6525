"""Stages of the optimized variant: what exists after each of them, and the status, key by key, against the facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from realtts.accel.attention import kernels
from realtts.contract.spec import Checkpoint
from realtts.registry.extensions import Extensions
from realtts.testing import make_context
from realtts.testing.first_times import FirstTimes
from realtts.testing.recording import RecordingGraphs
from realtts_vieneu import model as model_module, optimized, spec
from realtts_vieneu.optimized import Optimized

EXACT = {"dtype": "float32", "quantization": "none"}
STAGES = ["load", "convert_precision", "compile", "warmup"]
ERRORS = {"fp32": (0, 1e-5), "bf16": (1e-5, 0.02), "int8": (1e-3, 0.05)}
"""Weights -> least and greatest relative error of a product with them."""


@pytest.fixture
def models(monkeypatch):
    """The models that are loaded while the test runs."""
    loaded, make = [], optimized.OptimizedModel

    def watched(*args):
        loaded.append(make(*args))
        return loaded[-1]

    monkeypatch.setattr(optimized, "OptimizedModel", watched)
    return loaded


@pytest.fixture
def recorded(monkeypatch):
    """A backend in the place of CUDA's, whatever the settings say."""
    backend = RecordingGraphs()
    for module in (optimized, model_module):
        monkeypatch.setattr(module, "graphs_of", lambda _: backend)
    return backend


def context_of(folder, report=lambda _: None, **settings):
    """A context of the exact rung."""
    return make_context(spec, checkpoint=Checkpoint("test", path=folder), report=report, **EXACT, **settings)


def dtypes_of(codec):
    """Types of the products between the codec's first and last layer, laid out."""
    body = codec._body
    layers = [getattr(layer, f"_{part}") for layer in body._layers for part in ("qkv", "out", "up", "down")]
    convolutions = [conv._product for net in (*body._before, *body._after) for conv in net._convs]
    return {product.weight.dtype for product in (*layers, *convolutions)}


def test_nothing_is_met_for_the_first_time_after_the_warm_up(make, recorded, monkeypatch) -> None:
    """Sentences of any length up to the longest, and streams: no capture, no cache but of a voice's prefix."""
    monkeypatch.setattr("realtts_vieneu.codec._LONGEST", 64)
    with FirstTimes(recorded).watching() as first:
        tts = make(dtype="float32", quantization="none", strict=True, max_batch=1, force_tokens_per_char=2.0)
        tts.load()
        before = first.mark()
        for text in ("Ừ.", "Xin chào.", "Vâng, đúng rồi.", "Ồ."):
            tts.generate(text, seed=1)
            with tts.stream(text, seed=2) as stream:
                assert list(stream)
            assert (first.mark()[0], first.mark()[2]) == (before[0], before[2])
            assert all(rows == 1 for rows, _ in first.caches[before[1] :]), "a voice's prefix alone"


def test_each_stage_is_told_when_it_has_finished(make, monkeypatch) -> None:
    """By an event, in order, on the first rung."""
    events = []

    class Listener:
        def on_event(self, event):
            events.append(event)

    monkeypatch.setattr("realtts.provider.facade.discover_extensions", lambda: Extensions({"listener": Listener()}))
    tts = make(**EXACT, strict=True)
    tts.load()
    finished = [event.data for event in events if event.name == "stage.finished"]
    assert [data["stage"] for data in finished] == STAGES
    assert {(data["rung"], data["variant"]) for data in finished} == {("fp32", "optimized")}
    assert list(tts.get_provider_status()["timings"]) == STAGES


def test_parts_exist_after_their_stage(folders, monkeypatch) -> None:
    """The embedding is read by load, the codec by convert_precision; layers, head and what is laid out come last."""
    hooks, events = Optimized(), []
    context = context_of(folders("v2"), events.append)
    loaded = hooks.load(context)
    engine = loaded.engine
    assert engine.embedding.drawn.dtype == torch.bfloat16  # the file's, in float32 too
    assert set(loaded.weights.presets.voices) == {"Lan", "Minh"}
    with pytest.raises(AssertionError, match="not converted"):
        _ = engine.codec
    hooks.convert_precision(context, loaded)
    with pytest.raises(AssertionError, match="not packed"):
        engine.codec.samples(torch.arange(3))
    with pytest.raises(AssertionError, match="not packed"):
        _ = engine.lm
    rows, read = engine.embedding.drawn, []
    monkeypatch.setattr("realtts_vieneu.network.output_rows", lambda *args: read.append(args))
    assert "optimization.details" not in [event.name for event in events]
    hooks.compile(context, loaded)
    assert (engine.embedding, read) == (None, [])  # taken, not read again
    assert engine.lm.outputs.kind == "full"
    assert engine.lm.head.out_features == len(rows)
    assert dtypes_of(engine.codec) == {torch.float32}
    assert [event.name for event in events].count("optimization.details") == 1
    hooks.warmup(context, loaded)
    hooks.unload(context, loaded)
    assert loaded.engine is None


def test_every_tensor_is_read_once(folders) -> None:
    """Of all stages together; those of the codec's encoder, which only cloning needs, not at all."""
    hooks, context = Optimized(), context_of(folders("v2"))
    loaded, read = hooks.load(context), []

    class Counted(dict):
        def __getitem__(self, name):
            read.append(name)
            return super().__getitem__(name)

    weights = loaded.weights
    states = [{name: state[name] for name in state} for state in (weights.model_state, weights.codec_state)]
    counted = replace(weights, model_state=Counted(states[0]), codec_state=Counted(states[1]))
    loaded.engine._weights = counted
    hooks.convert_precision(context, loaded)
    assert {name.partition(".")[0] for name in read} == {"acoustic_decoder", "quantizer"}
    hooks.compile(context, loaded)
    decoding = [name for name in states[1] if name.startswith(("acoustic_decoder.", "quantizer.project_out."))]
    layers = [name for name in states[0] if name != "model.embed_tokens.weight"]  # which load has read
    assert sorted(read) == sorted([*decoding, *layers])


@pytest.mark.full  # by default: test_the_status_tells_of_graphs_that_there_are
def test_graphs_are_captured_by_compile(folders, recorded) -> None:
    """For any number of sentences; the warm-up replays."""
    hooks, context = Optimized(), context_of(folders("v2"), max_batch=2)
    loaded = hooks.load(context)
    hooks.convert_precision(context, loaded)
    assert recorded.captures == 0
    hooks.compile(context, loaded)
    captures = recorded.captures
    assert captures >= len(loaded.engine.lm.rows.loop.queue.graphs) > 4
    hooks.warmup(context, loaded)
    assert recorded.captures == captures
    assert recorded.replays > 0


@pytest.mark.parametrize(
    "settings",
    [
        {**EXACT, "compile": True, "cpu_offload": True},
        {"dtype": "bfloat16", "quantization": "none", "attention": "auto"},
        {"quantization": "int8"},
    ],
    ids=["fp32", "bf16", "int8"],
)
def test_the_status_is_what_was_done(make, models, settings) -> None:
    """Key by key: settings that have no effect here, compiling and offloading, are not told as if they had."""
    tts = make(**settings, strict=True)
    tts.load()
    details, engine = tts.get_provider_status()["optimization_details"], models[0].engine
    assert engine is models[-1].engine
    facts = {
        "device": str(engine.lm.decoder.device),
        "compile": False,
        "fused": engine.lm.decoder.fused is not None,
        "cuda_graphs": bool(engine.lm.rows.loop.queue.graphs),
        "quantization": "int8" if details["weights"] == "int8" else "none",
        "offload": engine.turns.offloaded,
        "kernel": engine.lm.head.kernel.name,
        "weights": engine.lm.head.kernel.precision,
        "kv_dtype": str(engine.lm.decoder.new_cache(1, 128).dtype).removeprefix("torch."),
        "head": "full" if engine.lm.head.out_features == engine.lm.outputs.vocabulary else "speech",
        "codec_device": str(engine.codec.device),
        "codec_dtype": next(str(dtype).removeprefix("torch.") for dtype in dtypes_of(engine.codec)),
    }
    facts["dtype"] = facts["codec_dtype"]
    assert {name: details[name] for name in facts} == facts
    assert details.keys() == {*facts, "attention", "attention_kernel"}
    assert details["attention_kernel"] in {"flash", "math"}
    decoder = engine.lm.decoder
    assert kernels("cpu", decoder.kv_dtype, decoder.config.head_dim, masked=True)[details["attention"]] is None
    # What is told of the weights is true of the products with them.
    rows = engine.lm._network.embedding.drawn.float()
    x = torch.randn(2, rows.shape[1], generator=torch.Generator().manual_seed(0))
    expected = functional.linear(x, rows)
    error = (engine.lm.head(x).float() - expected).norm() / expected.norm()
    least, greatest = ERRORS[details["weights"]]
    assert least <= error <= greatest


def test_the_status_tells_of_graphs_that_there_are(make, models, recorded) -> None:
    """Whatever the setting says."""
    tts = make(**EXACT, cuda_graphs=False, strict=True, max_batch=1)
    tts.load()
    engine = models[0].engine
    assert engine.lm.graphed
    assert tts.get_provider_status()["optimization_details"]["cuda_graphs"] is True
    assert recorded.captures > 0


def test_plain_compiles_and_quantizes_nothing(make, plugin) -> None:
    """And its status says so, whatever was asked for."""
    tts = make(used=replace(plugin, optimized=None), compile=True, quantization="int8", cpu_offload=True)
    tts.load()
    details = tts.get_provider_status()["optimization_details"]
    assert (details["compile"], details["quantization"], details["offload"]) == (False, "none", False)
    assert (details["dtype"], details["cuda_graphs"]) == ("float32", False)
