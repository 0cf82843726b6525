"""Rungs of realtts-native: proposed before torch's, refused with a reason where they cannot run, and never required."""

import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors.torch")

from realtts import QuantizationUnavailable, RealProvider, Rung, StageFailed  # noqa: E402
from realtts.accel.decoder import Decoder, DecoderConfig, Precision, kernel_choice, rungs  # noqa: E402
from realtts.accel.decoder.weights import LayerWeights  # noqa: E402
from realtts.accel.kernels import choose_kernel, kernels_for, matmul, native  # noqa: E402
from realtts.testing import make_context  # noqa: E402
from realtts_toylm import spec, testing as tools  # noqa: E402

CPU = torch.device("cpu")
INT8 = {"quantization": "int8", "device": "cpu", "threads": 1}


@pytest.fixture(autouse=True)
def _tried_anew():
    """What was found of the kernels of one test is not that of the next."""
    matmul._works.cache_clear()
    native._pool.cache_clear()
    yield
    matmul._works.cache_clear()
    native._pool.cache_clear()


@pytest.fixture
def missing(monkeypatch):
    """An environment without the package."""
    monkeypatch.setitem(sys.modules, "realtts_native", None)


class Weight:
    """The least of a packed weight: it multiplies in float32, and its stored form is a number and the biases."""

    kept: ClassVar[list[Any]] = []

    def __init__(self, weight, bias):
        self._weight, self._bias, self.out_features = weight.float(), bias, len(weight)

    @staticmethod
    def pack(weight, _kind, *, bias=None, parts=1):
        """Keep it as it is."""
        return Weight(weight, bias)

    def dump(self):
        """Return its number in a header, and biases of zero."""
        Weight.kept.append(self._weight)
        return (len(Weight.kept) - 1).to_bytes(64, "little") + bytes(4 * self.out_features)

    @staticmethod
    def load(buffer, offset=0, *, copy=False):
        """Take both."""
        stored = bytes(buffer)
        bias = torch.frombuffer(bytearray(stored[64:]), dtype=torch.float32)
        return Weight(Weight.kept[int.from_bytes(stored[:64], "little")], bias)

    def run(self, x, out, *, pool=None):
        """Multiply."""
        torch.addmm(torch.zeros(1) if self._bias is None else self._bias, x, self._weight.T, out=out)


class Step:
    """A whole step that gives zeros, until it fails."""

    nbytes, calls, lasts = 100, 0, 0

    def __init__(self, layers, norm, **_options):
        pass

    def run(self, x, cache, out, *, rows=None, taps=None, pool=None):
        """Fail when it was called so often."""
        Step.calls += 1
        if Step.calls > Step.lasts:
            raise RuntimeError("a kernel is broken")
        for row in range(len(x)) if rows is None else rows:
            cache.slots[row] += 1
            cache.positions[row] += 1
        out.copy_(x)


class Sampler:
    """A sampler that takes the likeliest token."""

    def __init__(self, vocabulary, order, **_options):
        pass

    def run(self, logits, values, step, out, **_tensors):
        """Draw."""
        out.copy_(logits.argmax(-1))


@pytest.fixture
def fake(monkeypatch):
    """A package that works for some steps: set ``Step.lasts``."""
    library = SimpleNamespace(
        usable=lambda: None,
        instruction_set=lambda: "made up",
        LAYOUT=0,
        Pool=lambda threads: SimpleNamespace(threads=threads),
        Weight=Weight,
        Step=Step,
        Sampler=Sampler,
        SamplingValues=SimpleNamespace,
        Buffer=lambda array: array,
        Layer=lambda **parts: parts,
        Cache=lambda kv, **parts: SimpleNamespace(kv=kv, **parts),
        Taps=lambda heads, output: (heads, output),
    )
    monkeypatch.setitem(sys.modules, "realtts_native", library)
    Step.calls, Step.lasts = 0, 10**9
    return library


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small random checkpoint."""
    folder = tmp_path_factory.mktemp("tiny")
    tools.write_random_checkpoint(folder)
    return str(folder)


def layers_of(config, count=2):
    """Random layers of the Llama family."""
    generator = torch.Generator().manual_seed(0)

    def matrix(*shape):
        return torch.randn(*shape, generator=generator) / shape[1] ** 0.5

    width = config.hidden_size
    return [
        LayerWeights(
            input_norm=torch.ones(width),
            qkv=matrix((config.heads + 2 * config.kv_heads) * config.head_dim, width),
            out=matrix(width, config.heads * config.head_dim),
            mlp_norm=torch.ones(width),
            gate_up=matrix(2 * config.mlp_size, width),
            down=matrix(width, config.mlp_size),
        )
        for _ in range(count)
    ]


CONFIG = DecoderConfig(2, 32, 2, 2, 16, 64)


# -- why not ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pip", "command"), [(True, "pip install realtts-native"), (False, "uv pip install --python")])
def test_a_missing_package_is_told_with_the_command(missing, monkeypatch, pip, command):
    """That of the environment: those that uv makes have no pip."""
    monkeypatch.setattr("realtts.machine.installer.installs_with_pip", lambda: pip)
    monkeypatch.setattr("realtts.accel.kernels.native.installs_with_pip", lambda: pip)
    reason = native.why_unusable()
    assert reason.startswith("realtts-native is not installed: ")
    assert command in reason
    assert reason.endswith("realtts-native")


@pytest.mark.parametrize(
    ("library", "told"),
    [
        (SimpleNamespace(usable=lambda: "this CPU has no AVX2"), "cannot run here: this CPU has no AVX2"),
        (SimpleNamespace(), "cannot be imported"),
        (SimpleNamespace(usable=lambda: 1 / 0), "cannot be imported (division by zero)"),
    ],
)
def test_a_library_that_cannot_run_is_told(monkeypatch, library, told):
    """Missing instructions, and a package of another version."""
    monkeypatch.setitem(sys.modules, "realtts_native", library)
    assert told in native.why_unusable()
    assert not native.usable()
    assert matmul.native_kernels("int8", CPU) == ()


def test_torchs_kernels_are_torchs(fake):
    """Whoever does not ask for the package's does not get them."""
    for precision in native.KINDS:
        assert {kernel.library for kernel in kernels_for(precision, CPU)} == {"torch"}
        assert choose_kernel([torch.ones(32, 32)], precision).library == "torch"
    assert choose_kernel([torch.ones(32, 32)], "int4", native=True).name == "native"


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_precisions_that_the_package_lacks(fake, precision):
    """Are told as such."""
    with pytest.raises(QuantizationUnavailable, match=f"no {precision} kernel"):
        choose_kernel([torch.ones(32, 32)], precision, native=True)


# -- rungs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "installed", "expected"),
    [
        ({}, False, ["native-int8", "int8", "fp32"]),
        ({}, True, ["native-int8", "int8", "fp32"]),
        ({"native": False}, True, ["int8", "fp32"]),
        ({"native": True}, False, ["native-int8", "int8", "fp32"]),
        ({"strict": True}, False, ["int8", "fp32"]),
        ({"strict": True}, True, ["native-int8", "int8", "fp32"]),
        ({"strict": True, "native": True}, False, ["native-int8", "int8", "fp32"]),
    ],
)
def test_who_proposes_them(monkeypatch, settings, installed, expected):
    """Strict, which never steps down, passes over what is not installed unless that was asked for."""
    monkeypatch.setattr(native, "usable", lambda: installed)
    context = make_context(quantization="int8", **settings)
    assert [rung.name for rung in rungs.decoder_rungs(context)] == expected


def test_what_a_rung_means():
    """The precision says whose kernels; a rung that does not say so has torch's, whatever the setting."""

    def precision(native_setting, **rung):
        context = make_context(quantization="int8", native=native_setting, rung=Rung("x", rung))
        return rungs.precision_of(context)

    assert precision("auto", native="auto").native == "auto"
    assert precision(True, native=True).native is True
    assert precision(False, native=False).native is False
    assert precision("auto").native is False
    assert precision(True).native is False
    assert rungs.precision_of(make_context(quantization="int8")).native is False


@pytest.mark.parametrize("native_setting", ["auto", True])
def test_the_probe_says_why_not(missing, native_setting):
    """Of the rung that it is about, and of no other."""
    for rung in rungs.decoder_rungs(make_context(quantization="int4", native=native_setting)):
        context = make_context(quantization="int4", native=rung.settings.get("native", "auto"), rung=rung)
        reason = rungs.why_no_native(context)
        assert (reason is not None) is (rung.name == "native-int4")
        assert reason is None or "install" in reason


# -- the choice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "chosen"),
    [
        ([1.0, 2.0], [2.0, 4.0], True),
        ([2.0, 4.0], [1.0, 2.0], False),
        ([1.1, 2.0], [1.0, 9.0], True),
        ([2.0, 2.0], [1.0, 2.1], False),
        ([1.0], [1.01], True),
    ],
)
def test_whole_steps_decide(fake, monkeypatch, ours, theirs, chosen):
    """Each number of rows by its share; torch's that are faster close the rung with the reason, unless asked for."""
    times = {"native": ours, "torch": theirs}
    monkeypatch.setattr(kernel_choice, "_seconds", lambda decoder, rows: times[decoder.kernel.library])
    monkeypatch.setattr(kernel_choice, "autotune", lambda question, choices, measure, device: measure())  # not kept
    precision, rows = Precision("int8", torch.float32, native="auto"), tuple(range(1, 1 + len(ours)))
    build = {"rows": rows, "precision": precision}
    if chosen:
        assert Decoder(CONFIG, layers_of(CONFIG), torch.ones(32), **build).kernel.name == "native"
    else:
        with pytest.raises(QuantizationUnavailable, match=r"torch's int8 steps .* are faster"):
            Decoder(CONFIG, layers_of(CONFIG), torch.ones(32), **build)
    forced = Precision("int8", torch.float32, native=True)
    assert Decoder(CONFIG, layers_of(CONFIG), torch.ones(32), rows=rows, precision=forced).kernel.name == "native"


def test_the_measurement_runs_both(fake):
    """With prompts and steps of every number of rows, at the positions of a request."""
    forced = Precision("int8", torch.float32, native=True)
    decoder = Decoder(CONFIG, layers_of(CONFIG), torch.ones(32), rows=(1,), precision="int8")
    ours = Decoder(CONFIG, layers_of(CONFIG), torch.ones(32), rows=(1,), precision=forced)
    for each in (decoder, ours):
        seconds = kernel_choice._seconds(each, (2, 1, 2))
        assert len(seconds) == 2
        assert all(second > 0 for second in seconds)


# -- the ladder -------------------------------------------------------------------------------------------------------


def test_without_the_package_torch_speaks(missing, tiny):
    """And the status says what is lacking."""
    with RealProvider(spec, model=tiny, **INT8) as tts:
        assert tts.generate("Hello.", seed=1).duration > 0
        status = tts.get_provider_status()
    assert status["rung"] == "int8"
    (attempt,) = status["attempts"]
    assert (attempt["rung"], attempt["stage"]) == ("native-int8", "probe")
    assert "realtts-native is not installed" in attempt["message"]
    assert "install" in attempt["message"]


@pytest.mark.parametrize(("settings", "rung"), [({"native": False}, "int8"), ({"strict": True}, "int8")])
def test_nothing_is_lacking_where_nothing_was_wanted(missing, tiny, settings, rung):
    """Switched off, or strict."""
    with RealProvider(spec, model=tiny, **INT8, **settings) as tts:
        tts.load()
        status = tts.get_provider_status()
    assert (status["rung"], status["attempts"]) == (rung, [])


def test_strict_raises_where_it_was_asked_for(missing, tiny):
    """By name."""
    with (
        RealProvider(spec, model=tiny, **INT8, native=True, strict=True) as tts,
        pytest.raises(StageFailed, match="not installed"),
    ):
        tts.load()


@pytest.mark.parametrize(("lasts", "stage"), [(0, "warmup"), (1, "generate")])
def test_a_step_that_fails_steps_down(fake, tiny, lasts, stage):
    """While loading or speaking: torch's kernels speak the request, and the attempt says which setting spares it."""
    if stage == "warmup":
        Step.lasts = lasts
    with RealProvider(spec, model=tiny, native=True, **INT8) as tts:
        tts.load()
        Step.lasts = Step.calls + lasts
        heard = tts.generate("Hello there.", seed=1)
        status = tts.get_provider_status()
    with RealProvider(spec, model=tiny, native=False, **INT8) as tts:
        expected = tts.generate("Hello there.", seed=1)
    assert (heard.samples == expected.samples).all()
    assert status["rung"] == "int8"
    (attempt,) = status["attempts"]
    assert (attempt["rung"], attempt["stage"]) == ("native-int8", stage)
    assert "a kernel is broken" in attempt["message"]
    assert "REALTTS_NATIVE=off" in attempt["remedy"]


def test_the_status_shows_the_facts(fake, tiny):
    """Kernel, weights, threads, instructions."""
    with RealProvider(spec, model=tiny, native=True, **INT8) as tts:
        tts.load()
        status = tts.get_provider_status()
    details = status["optimization_details"]
    expected = {"kernel": "native", "weights": "int8", "quantization": "int8", "threads": 1, "instructions": "made up"}
    assert {name: details[name] for name in expected} == expected
    assert (status["rung"], status["attempts"]) == ("native-int8", [])
