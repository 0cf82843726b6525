"""The stages of the optimized variant: what each of them reads and builds, and that the status tells facts."""

from __future__ import annotations

import functools
import itertools

import pytest
import torch
from tiers import by_default
from torch.utils._python_dispatch import TorchDispatchMode

from realtts.accel.offload.tensors import walk_tensors
from realtts.accel.precision import name_of
from realtts.accel.weights.tensorfile import TensorFile
from realtts.contract.hooks import STAGES
from realtts.registry.extensions import Extensions
from realtts.testing.device import HostDevice
from realtts.testing.first_times import FirstTimes
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox import codec, optimized, rows, weights
from realtts_chatterbox.engine import utterance_of
from realtts_chatterbox.model import short

LOADING = STAGES[:-1]
EXACT = {"dtype": "float32", "quantization": "none"}


@pytest.fixture
def after(monkeypatch):
    """Calls a function with stage, context and model after each stage of the optimized variant, inside the stage."""

    def watch(look):
        for stage in LOADING:
            hook = getattr(optimized.Optimized, stage)

            def watched(self, context, model=None, *, _stage=stage, _hook=hook):
                result = _hook(self, context) if _stage == "load" else _hook(self, context, model)
                look(_stage, context, result if _stage == "load" else model)
                return result

            monkeypatch.setattr(optimized.Optimized, stage, functools.wraps(hook)(watched))

    return watch


@pytest.fixture
def events(monkeypatch):
    """Every event of the providers that are made."""
    seen = []
    listener = type("Listener", (), {"on_event": lambda self, event: seen.append(event)})()
    monkeypatch.setattr("realtts.provider.facade.discover_extensions", lambda: Extensions({"listener": listener}))
    return seen


@pytest.fixture
def graphs(monkeypatch):
    """A recorder of graphs, in place of CUDA's; few are captured."""
    backend = RecordingGraphs()
    monkeypatch.setattr(optimized, "graphs_of", lambda _: backend)
    monkeypatch.setattr(codec, "_GRAPHED_TOKENS", 10)
    monkeypatch.setattr(codec, "_LONGEST_VOICE", 50)
    monkeypatch.setattr(rows, "SLOTS", 128)
    return backend


def parts(model):
    """Which parts of a model exist."""
    there = {"encoder": model.codec.flow._encoder, "vocoder": model.codec.vocoder, "voice": model.weights.builtin}
    there["embeddings"] = getattr(model.engine.t3._body, "_speech", None)
    there["estimator"] = model.codec.flow._estimator
    there["decoder"] = getattr(model.engine.t3._body, "decoder", None)
    there["head"] = getattr(model.engine.t3._body, "head", None)
    return {name for name, part in there.items() if part is not None}


@pytest.mark.parametrize("kind", ["english", pytest.param("turbo", marks=pytest.mark.full)])
def test_each_stage_builds_its_parts(make, after, events, graphs, kind):
    """Float32 parts in `load`, the estimator in `convert_precision`, T3 and graphs in `compile`, nothing later."""
    built, captures = {}, {}

    def look(stage, context, model):
        built[stage], captures[stage] = parts(model), graphs.captures

    after(look)
    make(kind, **EXACT, strict=True).load()
    finished = [event.data["stage"] for event in events if event.name == "stage.finished"]
    assert finished == list(built) == list(LOADING)
    new = [later - earlier for earlier, later in itertools.pairwise([set(), *built.values()])]
    assert new == [{"encoder", "vocoder", "voice", "embeddings"}, {"estimator"}, {"decoder", "head"}, set()]
    assert captures["load"] == captures["convert_precision"] == 0
    assert captures["compile"] == captures["warmup"] > 0


@pytest.mark.full
@pytest.mark.parametrize(("kind", "attention"), [("english", "auto"), ("turbo", "auto"), ("english", "sdpa")])
def test_nothing_is_met_for_the_first_time_after_the_warm_up(make, graphs, monkeypatch, kind, attention):
    """Speech of any length up to the longest, and streams: no capture, no cache, no new shape of attention.

    Nor without guidance.
    """
    monkeypatch.setattr(codec, "_GRAPHED_TOKENS", 45)
    if kind == "turbo":
        monkeypatch.setattr(rows, "SLOTS", 512)
    with FirstTimes(graphs).watching() as first:
        tts = make(kind, **EXACT, attention=attention, strict=True, force_tokens_per_char=3.0)
        tts.load()
        before = first.mark()
        for number, text in enumerate(("Hm.", "Hello.", "Yes, indeed.", "Oh.")):
            unguided = {"cfg_weight": 0.0} if kind == "english" and number % 2 else {}
            tts.generate(text, seed=1, **unguided)
            with tts.stream(text, seed=2) as stream:
                assert list(stream)
            new_caches = first.caches[before[1] :]
            assert all(slots <= 384 for _, slots in new_caches), "a voice's prefix alone, once"
            assert len(new_caches) <= 1
            assert (first.mark()[0], first.mark()[2]) == (before[0], before[2])
        tts.generate("Hello there, again.", seed=1)  # longer than the longest: the flow is solved without graphs
        assert first.mark()[0] == before[0]


@pytest.mark.parametrize("settings", by_default({"float32": EXACT, "int8": {"quantization": "int8"}}, "int8"))
def test_a_tensor_is_read_once(make, after, monkeypatch, settings):
    """In the stage that finishes it; what only voices need is not read."""
    reads = []

    class Counted(TensorFile):
        def __getitem__(self, name):
            reads.append(name)
            return super().__getitem__(name)

    monkeypatch.setattr(weights, "read_state", Counted)
    by_stage = {}

    def look(stage, context, model):
        by_stage[stage] = list(reads)
        reads.clear()

    after(look)
    make(**settings, strict=True).load()
    every = [name for names in by_stage.values() for name in names]
    assert len(every) == len(set(every))
    assert not by_stage["warmup"]
    assert all(name.startswith(("tfmr.", "speech_head.")) for name in by_stage["compile"])
    assert all(name.startswith("flow.decoder.estimator.") for name in by_stage["convert_precision"])
    assert {name.partition(".")[0] for name in by_stage["load"]} >= {"flow", "mel2wav", "text_emb", "cond_enc"}
    assert not any(name.startswith(("tokenizer.", "speaker_encoder.")) for name in every)


class Attention(TorchDispatchMode):
    """Tells which attention ran inside it; what runs must be in inference mode."""

    def __init__(self):
        super().__init__()
        self._torchs, self._flash = False, False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.overloadpacket is torch.ops.aten.scaled_dot_product_attention:
            self._torchs = True
            with self:  # its parts tell which kernel torch has chosen
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        self._flash = self._flash or "flash_attention" in func.name()
        return func(*args, **kwargs)

    @property
    def kernel(self):
        """As the status names it."""
        return "own" if not self._torchs else "flash" if self._flash else "math"


def facts(context, model, device, graphs):
    """What the status should tell, read off the model itself."""
    t3, of_sound, (ask, voice) = model.engine.t3, model.codec, short(context, model.weights)
    of_t3, of_codec = Attention(), Attention()
    with torch.inference_mode(), model.turns.use("t3"), of_t3:
        assert list(t3.decode([utterance_of(ask, voice)]))
    with torch.inference_mode(), model.turns.use("codec"), of_codec:
        assert list(of_sound.spoken(context, [1, 2], ask, voice))
    linears = [linear for layer in t3.decoder.layers for linear in layer.linears] + [t3._body.head]
    (kernel,) = {linear.kernel.name for linear in linears}
    (precision,) = {linear.kernel.precision for linear in linears}
    flow_dtype = name_of(of_sound.flow.estimator._blocks[0][0]._qkv.dtype)
    devices = {tensor.device.type for part in (t3, of_sound) for _, tensor in walk_tensors(part, "cpu")}
    return {
        "device": devices.pop(),
        "dtype": flow_dtype,
        "flow_dtype": flow_dtype,
        "weights": precision,
        "kernel": kernel,
        "quantization": "none" if precision in {"fp32", "bf16", "fp16"} else precision,
        "kv_dtype": name_of(t3.decoder.new_cache(1, 8).layer(0).dtype),
        "compile": False,  # or the test would have failed in `torch.compile`
        "fused": t3.decoder.fused is not None,
        "cuda_graphs": graphs.captures > 0 if graphs else False,
        "attention": of_codec.kernel,
        "t3_attention": of_t3.kernel,
        "offload": device.copies > 0,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {**EXACT, "attention": "math"},
        {"quantization": "int8", "compile": True, "cuda_graphs": "auto"},
        {**EXACT, "cpu_offload": True},
    ],
    ids=["float32", "int8", "offload"],
)
def test_the_status_tells_facts(make, after, monkeypatch, settings):
    """Whatever was set: each key of the details is what the finished model is and does."""
    device, expected = HostDevice(), {}
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("something is compiled"))
    if settings.get("cpu_offload"):
        turns = device.turns()
        monkeypatch.setattr(optimized, "device_sharing", lambda _: turns)

    def look(stage, context, model):
        if stage == "warmup":
            expected.update(facts(context, model, device, None))

    after(look)
    tts = make(**settings, strict=True)
    tts.load()
    details = tts.get_provider_status()["optimization_details"]
    reasons = {name for name in details if name.startswith("no_")}
    assert reasons == ({"no_cuda_graphs"} if settings.get("cpu_offload") else set())
    assert details.pop("attention_kernel", expected["attention"]) == expected["attention"], "torch's own answer"
    assert {name: value for name, value in details.items() if name not in reasons} == expected


def test_the_status_tells_of_graphs(make, after, graphs):
    """That they were captured, although the setting leaves it open; and padded attention is torch's, under a mask."""
    expected = {}

    def look(stage, context, model):
        if stage == "warmup":
            expected.update(facts(context, model, HostDevice(), graphs))

    after(look)
    tts = make(**EXACT, strict=True)
    tts.load()
    details = tts.get_provider_status()["optimization_details"]
    assert details["cuda_graphs"] is expected["cuda_graphs"] is True
    assert details["attention"] != "own"
    names = ("dtype", "weights", "quantization", "kernel", "compile", "offload")
    assert {name: details[name] for name in names} == {name: expected[name] for name in names}
