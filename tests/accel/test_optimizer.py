"""The generic optimizer: its documented samples run, what it cannot do is said, and models are not patched."""

import functools
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from realtts import AccelError, BufferMisuse, CaptureFailed, SettingsError, VoiceNotFound  # noqa: E402
from realtts.accel.optimizer import AdvancedTTSOptimizer, OptimizationConfig, OptimizedTTSWrapper  # noqa: E402
from realtts.accel.optimizer.graphs import ShapeGraph  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("unchanged", "own_folders"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class YourTTSModel(nn.Module):
    """A small model with a forward pass over tokens and a generate() that uses it."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.stft = nn.Linear(16, 16)
        self.out = nn.Linear(16, 1)
        self.texts = []
        self.modes = []

    @classmethod
    def load(cls, *_):
        """The same weights each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return cls().eval()

    def forward(self, input_ids, attention_mask):
        """(rows, tokens) -> (rows, tokens)."""
        return self.out(self.stft(self.embed(input_ids)) * attention_mask.unsqueeze(-1)).squeeze(-1)

    def generate(self, text, gain=1.0):
        """One sample per letter."""
        self.texts.append(text)
        self.modes.append(torch.is_inference_mode_enabled())
        ids = torch.tensor([[ord(letter) % 50 for letter in text]])
        return self(ids, torch.ones_like(ids)).float()[0].mul(gain).detach().numpy()


INPUTS = {"input_ids": torch.zeros(1, 100, dtype=torch.long), "attention_mask": torch.ones(1, 100, dtype=torch.long)}


@pytest.fixture(autouse=True)
def no_half_precision_hardware(monkeypatch):
    """The same on every machine: a CPU without bfloat16 instructions, unless a test says otherwise."""
    monkeypatch.setattr("realtts.machine.hardware.cpu_features", frozenset)


@pytest.fixture
def bfloat16(monkeypatch):
    """A CPU that multiplies bfloat16."""
    monkeypatch.setattr("realtts.machine.hardware.cpu_features", lambda: frozenset({"avx512_bf16"}))


def given_up(optimizer):
    """Step -> reason."""
    return {step["step"]: step["reason"] for step in optimizer.get_stats()["given_up"]}


def quick(**changes):
    """An optimizer that does not compile."""
    return AdvancedTTSOptimizer(OptimizationConfig(enable_compile=False, **changes))


def test_basic_usage():
    """The first sample of the document."""
    optimizer = AdvancedTTSOptimizer()
    base_model = YourTTSModel.load(...)
    optimized_model = OptimizedTTSWrapper(base_model, optimizer)
    audio = optimized_model.generate("Hello world!")
    assert np.allclose(audio, YourTTSModel.load().generate("Hello world!"), atol=1e-6)
    assert base_model.modes == [True]


def test_custom_configuration():
    """The second sample, with every field of the document."""
    config = OptimizationConfig(
        enable_fp16=True,
        enable_bf16=True,
        enable_flash_attention=True,
        enable_cuda_graphs=True,
        enable_compile=True,
        compile_mode="reduce-overhead",
        pin_memory=True,
        preload_weights=True,
        batch_preprocessing=True,
        use_inference_mode=True,
        num_threads=8,
        preallocate_buffers=True,
    )
    optimizer = AdvancedTTSOptimizer(config=config)
    assert optimizer.get_stats()["config"] == vars(config)
    assert optimizer.config is config


@pytest.mark.full  # by default: test_compile.test_it_really_compiles, and test_basic_usage without a compiler
def test_custom_pipeline():
    """The pipeline of the document, on this machine's device; it compiles."""
    model = YourTTSModel.load()
    optimizer = AdvancedTTSOptimizer()
    optimizer.config.preload_weights = True
    model = optimizer.precision_manager.convert_model(model, "my_model")
    example_inputs = {
        "input_ids": torch.zeros(1, 100, dtype=torch.long, device="cpu"),
        "attention_mask": torch.ones(1, 100, dtype=torch.long, device="cpu"),
    }
    model = optimizer.optimize_model(model, model_name="my_model", example_inputs=example_inputs, skip_compile=False)
    your_inputs = {**example_inputs, "input_ids": torch.arange(100).remainder(50)[None]}
    with torch.inference_mode():
        output = model(**your_inputs)
    assert torch.allclose(output, YourTTSModel.load()(**your_inputs), atol=1e-5)
    stats = optimizer.get_stats()
    compile_step = stats["models"]["my_model"]["compile"]
    assert compile_step["compiled"] or "compiler" in compile_step["reason"]


def test_buffers():
    """The document's use of the pool."""
    optimizer = quick()
    buffer = optimizer.get_buffer(shape=(1, 512, 768), dtype=torch.float16)
    assert (buffer.shape, buffer.dtype) == ((1, 512, 768), torch.float16)
    place = buffer.data_ptr()
    optimizer.return_buffer(buffer)
    assert optimizer.get_buffer((1, 512, 768), torch.float16).data_ptr() == place
    with pytest.raises(BufferMisuse):
        optimizer.return_buffer(buffer)


def test_what_cannot_be_had_is_given_up_with_reason_and_remedy():
    """On a CPU: half precision without instructions, graphs, the package flash_attn."""
    optimizer = quick()
    optimizer.optimize_model(YourTTSModel.load(), "tts", INPUTS)
    stats = optimizer.get_stats()
    assert json.loads(json.dumps(stats)) == stats
    assert "CUDA graphs need a CUDA device" in given_up(optimizer)["cuda_graphs"]
    assert "CUDA" in given_up(optimizer)["flash_attention_2"]
    assert "half-precision" in given_up(optimizer)["precision"]
    assert all(step["fix"] and step["model"] == "tts" for step in stats["given_up"])
    assert stats["models"]["tts"]["cuda_graphs"] == {"captured": False}


def test_hybrid_precision(bfloat16):
    """bfloat16 where the machine has it, float32 for the transform; close to the exact result."""
    optimizer = quick()
    model = YourTTSModel.load()
    optimized = optimizer.optimize_model(model, "tts", INPUTS)
    assert (model.embed.weight.dtype, model.stft.weight.dtype) == (torch.bfloat16, torch.float32)
    assert torch.allclose(optimized(**INPUTS).float(), YourTTSModel.load()(**INPUTS), atol=0.05)
    assert optimizer.get_stats()["models"]["tts"]["precision"]["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    "changes", [{"enable_bf16": False}, {"enable_bf16": False, "enable_fp16": False}], ids=["fp16 only", "neither"]
)
def test_half_precision_can_be_switched_off(bfloat16, changes):
    """float16 is of no use on a CPU."""
    model = YourTTSModel.load()
    quick(**changes).optimize_model(model, "tts")
    assert model.embed.weight.dtype is torch.float32


class Fragile(YourTTSModel):
    """A model that half precision breaks, by an error or by NaN."""

    broken_by = "error"

    def forward(self, input_ids, attention_mask):
        """As before, unless it is not in float32."""
        if self.out.weight.dtype is not torch.float32:
            if self.broken_by == "error":
                raise RuntimeError("not implemented for 'BFloat16'")
            return super().forward(input_ids, attention_mask) * float("nan")
        return super().forward(input_ids, attention_mask)


@pytest.mark.parametrize("broken_by", ["error", "nan"])
def test_unstable_half_precision_goes_back_exactly(bfloat16, broken_by):
    """Every weight as it was, with the reason."""
    model, optimizer = Fragile.load(), quick()
    model.broken_by = broken_by
    optimized = optimizer.optimize_model(model, "tts", INPUTS)
    assert torch.equal(optimized(**INPUTS), YourTTSModel.load()(**INPUTS))
    assert ("BFloat16" if broken_by == "error" else "NaN") in given_up(optimizer)["precision"]


@pytest.mark.parametrize("broken_by", ["error", "nan"])
def test_wrapper_goes_back_too(bfloat16, broken_by):
    """In the first generate(), which speaks again."""
    model, optimizer = Fragile.load(), quick()
    model.broken_by = broken_by
    audio = OptimizedTTSWrapper(model, optimizer).generate("Hello")
    assert np.array_equal(audio, YourTTSModel.load().generate("Hello"))
    assert "precision" in given_up(optimizer)


def test_a_bad_request_does_not_cost_the_precision(bfloat16):
    """The error is the model's own, and half precision stays."""
    model, optimizer = YourTTSModel.load(), quick()
    tts = OptimizedTTSWrapper(model, optimizer)
    with pytest.raises(TypeError):
        tts.generate(5)
    assert model.embed.weight.dtype is torch.bfloat16
    assert "precision" not in given_up(optimizer)
    assert np.isfinite(tts.generate("Hello")).all()


def test_nothing_is_patched():
    """No forward, no method, no class: only weights' types may change."""
    model, optimizer = YourTTSModel.load(), quick()
    before = {name: dict(vars(part)) for name, part in model.named_modules()}
    optimizer.optimize_model(model, "tts", INPUTS)
    OptimizedTTSWrapper(model, optimizer)
    assert {name: dict(vars(part)) for name, part in model.named_modules()} == before


def test_wrapped_models_are_their_own():
    """Attributes and parameters pass through; optimizing twice does not wrap twice."""
    optimizer = quick()
    model = YourTTSModel.load()
    optimized = optimizer.optimize_model(model, "tts")
    assert optimized.texts is model.texts
    assert optimizer.optimize_model(optimized, "tts").base is model
    with pytest.raises(AttributeError):
        _ = optimized.no_such_name
    tts = OptimizedTTSWrapper(model, optimizer)
    assert tts.texts is model.texts
    with pytest.raises(AttributeError):
        _ = tts.no_such_name


def test_wrapper_takes_objects_whose_parts_are_modules(bfloat16):
    """As most text-to-speech packages have them; each part by its name."""

    class Package:
        def __init__(self):
            self.t3, self.sample_rate = YourTTSModel.load(), 24000

        def generate(self, text, **kwargs):
            return self.t3.generate(text, **kwargs)

    optimizer = quick()
    tts = OptimizedTTSWrapper(Package(), optimizer)
    assert tts.generate("Hello", gain=0.0).tolist() == [0.0] * 5
    assert tts.sample_rate == 24000
    assert tts.t3.embed.weight.dtype is torch.bfloat16
    assert "Package.t3" in optimizer.get_stats()["models"]


def test_wrapper_says_what_it_cannot_reach():
    """Compilation and graphs of parts that generate() calls by itself."""
    optimizer = AdvancedTTSOptimizer()
    OptimizedTTSWrapper(YourTTSModel.load(), optimizer)
    assert "without patching" in given_up(optimizer)["compile"]
    assert "without patching" in given_up(optimizer)["cuda_graphs"]


def test_several_texts():
    """A list gives a list."""
    tts = OptimizedTTSWrapper(YourTTSModel.load(), quick())
    assert [len(audio) for audio in tts.generate(["one", "three"])] == [3, 5]


def test_an_object_without_generate_is_refused():
    """With the switch."""
    with pytest.raises(AccelError, match=r"no generate\(\).*REALTTS_OPTIMIZE=false"):
        OptimizedTTSWrapper(nn.Identity(), quick())


calls = []


def embed(path):
    """A function that another process finds by its name."""
    calls.append(path)
    return {"embedding": torch.ones(4)}


@pytest.mark.parametrize("suffix", [".wav", ".bin"])
def test_voice_embeddings_are_made_once_per_content(tmp_path, suffix):
    """Also under another name and in another process; another model has its own."""
    calls.clear()
    for name in ("a", "b"):
        (tmp_path / f"{name}{suffix}").write_bytes(b"voice")
    for optimizer in (quick(), quick()):
        for name in ("a", "b"):
            found = optimizer.get_voice_embedding(str(tmp_path / f"{name}{suffix}"), embed, "chatterbox")
            assert found["embedding"].tolist() == [1.0] * 4
    assert len(calls) == 1
    quick().get_voice_embedding(tmp_path / f"a{suffix}", embed, "piper")
    assert len(calls) == 2
    with pytest.raises(VoiceNotFound, match="cannot be read"):
        quick().get_voice_embedding(tmp_path / "missing.wav", embed, "piper")


class Encoder:
    """A speaker encoder with a method, as packages have them."""

    def __init__(self, value):
        self.value, self.calls = value, 0

    def embed(self, path):
        """Its own value."""
        self.calls += 1
        return torch.full((2,), float(self.value))


def decorated(value):
    """A function with something of its own behind a name that others have too."""

    @functools.wraps(embed)
    def call(path):
        return torch.full((2,), float(value))

    return call


@pytest.mark.parametrize(
    "make",
    [
        lambda value: lambda path: torch.full((2,), float(value)),
        lambda value: Encoder(value).embed,
        lambda value: functools.partial(Encoder.embed, Encoder(value)),
        decorated,
    ],
    ids=["lambda", "method", "partial", "closure"],
)
def test_functions_of_one_name_do_not_share_voices(tmp_path, make):
    """Neither in one process, also when the former is gone, nor from disk."""
    (tmp_path / "a.wav").write_bytes(b"voice")
    optimizer = quick()
    first, second = make(1), make(2)
    for wanted, function in ((1, first), (2, second), (1, first)):
        assert optimizer.get_voice_embedding(tmp_path / "a.wav", function, "tts").tolist() == [wanted] * 2
    for value in range(3, 20):
        assert optimizer.get_voice_embedding(tmp_path / "a.wav", make(value), "tts").tolist() == [value] * 2
    assert quick().get_voice_embedding(tmp_path / "a.wav", second, "tts").tolist() == [2] * 2


def test_a_method_is_asked_once(tmp_path):
    """Although each look at it gives another object."""
    (tmp_path / "a.wav").write_bytes(b"voice")
    encoder, optimizer = Encoder(1), quick()
    for _ in range(3):
        optimizer.get_voice_embedding(tmp_path / "a.wav", encoder.embed, "tts")
    assert encoder.calls == 1


def test_attention_is_chosen_for_the_type_of_the_weights(bfloat16, monkeypatch):
    """Of the cast model, when it is noted and when it runs; a model that goes back has float32's again."""
    asked = []

    def kernels(device, dtype, *_, **__):
        asked.append(dtype)
        return dict.fromkeys(("flash", "efficient", "math", "flash_attention_2"), None)

    monkeypatch.setattr("realtts.accel.attention.kernels", kernels)
    quick().optimize_model(YourTTSModel.load(), "tts", INPUTS)(**INPUTS)
    OptimizedTTSWrapper(YourTTSModel.load(), quick()).generate("Hello")
    assert set(asked) == {torch.bfloat16}
    for speak in (
        lambda model: quick().optimize_model(model, "tts", INPUTS)(**INPUTS),
        lambda model: OptimizedTTSWrapper(model, quick()).generate("Hello"),
    ):
        speak(Fragile.load())
        assert asked[-1] is torch.float32


def test_clear_caches_frees_and_leaves_the_model_usable(tmp_path):
    """Buffers and embeddings are gone."""
    (tmp_path / "a.wav").write_bytes(b"voice")
    optimizer = quick()
    model = optimizer.optimize_model(YourTTSModel.load(), "tts", INPUTS)
    optimizer.return_buffer(optimizer.get_buffer((4,), torch.float32))
    optimizer.get_voice_embedding(tmp_path / "a.wav", lambda path: 1, "tts")
    optimizer.clear_caches()
    stats = optimizer.get_stats()
    assert (stats["buffers"]["idle"], stats["voice_cache"]["entries"]) == (0, 0)
    assert optimizer.get_voice_embedding(tmp_path / "a.wav", lambda path: 2, "tts") == 2
    assert model(**INPUTS).shape == (1, 100)


@pytest.mark.parametrize(
    ("variable", "value", "step", "reason"),
    [
        ("REALTTS_COMPILE", "false", "compile", "switched off"),
        ("REALTTS_OPTIMIZE", "false", "compile", "switched off"),
        ("REALTTS_CUDA_GRAPHS", "false", "cuda_graphs", "switched off"),
        ("REALTTS_DTYPE", "float32", "precision", "dtype='float32' is set"),
    ],
)
def test_settings_win_over_the_configuration(monkeypatch, bfloat16, variable, value, step, reason):  # noqa: PLR0917
    """The kill switches of the rest of realtts work here too."""
    monkeypatch.setenv(variable, value)
    optimizer = AdvancedTTSOptimizer(OptimizationConfig(enable_compile=step == "compile"))
    optimizer.optimize_model(YourTTSModel.load(), "tts", INPUTS)
    assert reason in given_up(optimizer)[step]


def test_threads_and_inference_mode_are_of_the_call_only():
    """The configuration's, inside; the caller's, outside."""
    seen = []

    class Watch(nn.Module):
        def forward(self, x):
            seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))
            return x

    before = torch.get_num_threads()
    quick(num_threads=3).optimize_model(Watch(), "watch")(torch.ones(1))
    quick(num_threads=2, use_inference_mode=False).optimize_model(Watch(), "watch")(torch.ones(1))
    assert seen == [(3, True), (2, False)]
    assert torch.get_num_threads() == before


def test_a_captured_shape_is_recognized():
    """Only calls of that form are replayed; results are the caller's own."""
    graphs = pytest.importorskip("realtts.testing.recording")
    graph = ShapeGraph(lambda x: {"twice": x * 2, "list": [x]}, {"x": torch.ones(3)}, graphs.RecordingGraphs())
    assert graph.fits((), {"x": torch.zeros(3)})
    assert not graph.fits((torch.zeros(3),), {})
    assert not graph.fits((), {"x": torch.zeros(4)})
    assert not graph.fits((), {"x": torch.zeros(3, dtype=torch.float64)})
    assert not graph.fits((), {"x": torch.zeros(3), "y": 1})
    first = graph({"x": torch.full((3,), 2.0)})
    second = graph({"x": torch.full((3,), 5.0)})
    assert first["twice"].tolist() == [4.0] * 3
    assert second["twice"].tolist() == [10.0] * 3
    assert second["list"][0].tolist() == [5.0] * 3


def test_who_has_a_graph_has_captured_it():
    """Not only meant to; what cannot be captured raises where it is made, and nowhere later."""
    graphs = pytest.importorskip("realtts.testing.recording")
    backend = graphs.RecordingGraphs()
    ShapeGraph(lambda x: x * 2, {"x": torch.ones(3)}, backend)
    assert backend.captures == 1
    for fault in (lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x.nonzero(), lambda x: 1 / 0):
        with pytest.raises(CaptureFailed, match="cuda_graphs=False"):
            ShapeGraph(fault, {"x": torch.ones(3)}, graphs.RecordingGraphs())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_graph_on_cuda():
    """The forward pass is captured for the example's shapes, and other shapes still run."""
    optimizer = AdvancedTTSOptimizer()
    model = YourTTSModel.load().cuda()
    inputs = {name: tensor.cuda() for name, tensor in INPUTS.items()}
    optimized = optimizer.optimize_model(model, "tts", inputs)
    assert optimizer.get_stats()["models"]["tts"]["cuda_graphs"] == {"captured": True}
    assert torch.allclose(optimized(**inputs).float().cpu(), YourTTSModel.load()(**INPUTS), atol=0.05)
    assert optimized(inputs["input_ids"][:, :50], inputs["attention_mask"][:, :50]).shape == (1, 50)


@pytest.mark.parametrize("count", [0, -1, "many"])
def test_an_impossible_number_of_threads_is_a_settings_error(count):
    """When the model is called."""
    model = quick(num_threads=count).optimize_model(YourTTSModel.load(), "tts")
    with pytest.raises(SettingsError, match="from 1 to 1024"):
        model(**INPUTS)
