"""The ladder: what is tried, in which order, what is recorded, and what comes after a failure."""

import gc
import time
import weakref

import numpy as np
import pytest

from realtts import (
    Chunk,
    Event,
    LadderExhausted,
    ProviderSpec,
    RealProvider,
    Rung,
    SettingsError,
    StageFailed,
    hookimpl,
)
from realtts.errors import InvalidChunk, InvalidOption
from realtts.testing import faults

TONE = (0.1 * np.sin(np.arange(800))).astype(np.float32)
OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})


class Plain:
    """Speaks one tone."""

    @hookimpl
    def load(self, context):
        """Load."""
        return Weights()

    @hookimpl
    def generate(self, context, model, request):
        """Speak."""
        yield Chunk(TONE, 8000)


class Weights:
    """Something that can be seen to go away."""


@pytest.fixture
def ladder(monkeypatch):
    """Makes a provider from an optimized class, with a log of calls."""
    made = []

    def ladder(optimized=None, plain=Plain, spec=None, **settings):
        monkeypatch.setattr(faults, "Plain", plain, raising=False)
        monkeypatch.setattr(faults, "Optimized", optimized, raising=False)
        fields = {
            "name": "sample",
            "summary": "For tests",
            "sample_rates": (8000,),
            "plain": f"{faults.__name__}:Plain",
            "optimized": f"{faults.__name__}:Optimized" if optimized else None,
        }
        provider = RealProvider(ProviderSpec(**{**fields, **(spec or {})}), **settings)
        made.append(provider)
        return provider

    yield ladder
    for provider in made:
        provider.close()


def attempts(provider):
    """What was given up, in short."""
    return [(a["rung"], a["stage"]) for a in provider.get_provider_status()["attempts"]]


def failing(calls=None, **errors):
    """An optimized class with three rungs; each stage raises for the rungs named."""

    class Optimized:
        """Three rungs."""

        @hookimpl
        def rungs(self, context):
            """From fastest to plainest."""
            return [
                Rung("graphs", {"dtype": "bfloat16", "cuda_graphs": True}),
                Rung("bf16", {"dtype": "bfloat16", "cuda_graphs": False}),
                Rung("fp32", {"dtype": "float32"}),
            ]

        @hookimpl
        def probe(self, context):
            """Refuse some."""
            return errors.get("probe", {}).get(context.rung.name)

        @hookimpl
        def load(self, context):
            """Load or fail."""
            self.note("load", context)
            return Weights()

        @hookimpl
        def convert_precision(self, context, model):
            """Convert or fail."""
            self.note("convert_precision", context)

        @hookimpl
        def compile(self, context, model):
            """Compile or fail, and say what was captured."""
            self.note("compile", context)
            captured = context.settings.cuda_graphs is True
            context.report(Event("optimization.details", data={"cuda_graphs": captured}))

        @hookimpl
        def warmup(self, context, model):
            """Warm up or fail."""
            self.note("warmup", context)

        @hookimpl
        def generate(self, context, model, request):
            """Speak or fail."""
            self.note("generate", context)
            yield Chunk(TONE, 8000)

        @hookimpl
        def unload(self, context, model):
            """Unload."""
            self.note("unload", context)

        def note(self, stage, context):
            if calls is not None:
                calls.append((stage, context.rung.name, context.dtype, context.settings.cuda_graphs))
            error = errors.get(stage, {}).get(context.rung.name)
            if error is not None:
                raise error

    return Optimized


def test_fastest_rung_that_works_is_taken(ladder):
    """Each rung changes the settings that its hooks see, and passes every stage in order."""
    calls = []
    provider = ladder(failing(calls)).load()
    status = provider.get_provider_status()
    assert (status["variant"], status["rung"], status["attempts"]) == ("optimized", "graphs", [])
    assert status["optimization_details"]["cuda_graphs"] is True
    assert [call[0] for call in calls] == ["load", "convert_precision", "compile", "warmup"]
    assert calls[0] == ("load", "graphs", "bfloat16", True)
    assert list(status["timings"]) == ["load", "convert_precision", "compile", "warmup"]


def test_each_failure_closes_its_rung_and_is_recorded(ladder):
    """Different stages fail on different rungs; each rung begins with a load and ends with its unload."""
    calls = []
    provider = ladder(
        failing(
            calls,
            compile={"graphs": RuntimeError("CUDA error while stream is capturing")},
            load={"bf16": OutOfMemoryError("CUDA out of memory")},
            generate={"fp32": ValueError("expected scalar type Float but found Half")},
        )
    )
    assert provider.generate("Hello").duration == pytest.approx(0.1)
    status = provider.get_provider_status()
    assert (status["variant"], status["rung"]) == ("plain", "plain")
    assert attempts(provider) == [("graphs", "compile"), ("bf16", "load"), ("fp32", "generate")]
    graphs, bf16, fp32 = status["attempts"]
    assert "cuda_graphs=False" in graphs["remedy"]
    assert bf16["exception"] == "torch.OutOfMemoryError"
    assert bf16["retryable"] is True
    assert "cpu_offload" in bf16["remedy"]
    assert "float32" in fp32["remedy"]
    assert all("Traceback" in attempt["traceback"] for attempt in status["attempts"])
    assert [call[:2] for call in calls] == [
        ("load", "graphs"), ("convert_precision", "graphs"), ("compile", "graphs"), ("unload", "graphs"),
        ("load", "bf16"),
        ("load", "fp32"), ("convert_precision", "fp32"), ("compile", "fp32"), ("warmup", "fp32"),
        ("generate", "fp32"), ("unload", "fp32"),
    ]  # fmt: skip


def test_probe_closes_a_rung_before_its_load(ladder):
    """The reason is recorded, and nothing was loaded for it."""
    calls = []
    provider = ladder(failing(calls, probe={"graphs": "there is no CUDA device"})).load()
    (attempt,) = provider.get_provider_status()["attempts"]
    assert (attempt["stage"], attempt["exception"], attempt["message"]) == (
        "probe", "Unavailable", "there is no CUDA device",
    )  # fmt: skip
    assert ("load", "graphs") not in [call[:2] for call in calls]


def test_failing_probe_and_rungs_hooks_are_recorded(ladder):
    """A hook that raises while the plan is made costs its rung, not the program."""

    class Broken:
        """Both hooks raise."""

        @hookimpl
        def probe(self, context):
            """Raise."""
            raise RuntimeError("probing failed")

    class NoPlan:
        """Cannot even propose."""

        @hookimpl
        def rungs(self, context):
            """Raise."""
            raise RuntimeError("planning failed")

    assert attempts(ladder(Broken).load()) == [("optimized", "probe")]
    assert attempts(ladder(NoPlan).load()) == [("optimized", "rungs")]


def test_strict_raises_the_first_failure(ladder):
    """With the provider's exception as the cause, and the attempts on the error."""
    provider = ladder(failing(warmup={"graphs": RuntimeError("no kernels")}), strict=True)
    with pytest.raises(StageFailed, match=r"warmup.*no kernels") as caught:
        provider.generate("Hello")
    assert str(caught.value.__cause__) == "no kernels"
    assert caught.value.attempts[0].stage == "warmup"
    assert provider.get_provider_status()["state"] == "failed"


def test_strict_applies_to_probes_too(ladder):
    """A step down is a step down."""
    with pytest.raises(StageFailed, match="no device"):
        ladder(failing(probe={"graphs": "no device"}), strict=True).load()


def test_exhausted_ladder_says_everything(ladder):
    """The error carries all attempts; asking again does not try the dead rungs again."""
    dead = RuntimeError("dead")
    calls = []
    optimized = failing(calls, load={"graphs": dead, "bf16": dead, "fp32": dead})

    class Dead(Plain):
        """Plain fails too."""

        @hookimpl
        def load(self, context):
            """Raise."""
            raise dead

    provider = ladder(optimized, plain=Dead)
    for _ in range(2):
        with pytest.raises(LadderExhausted, match="4 given up") as caught:
            provider.generate("Hello")
        assert len(caught.value.attempts) == 4
    assert len(calls) == 3


def test_retryable_rungs_are_tried_again_when_nothing_is_left(ladder):
    """After an out-of-memory error the same rung may work later."""
    errors = [OutOfMemoryError("CUDA out of memory")]

    class Sometimes(Plain):
        """Fails once."""

        @hookimpl
        def load(self, context):
            """Raise once."""
            if errors:
                raise errors.pop()
            return Weights()

    provider = ladder(plain=Sometimes)
    with pytest.raises(LadderExhausted):
        provider.load()
    assert provider.generate("Hello").duration > 0


def test_unload_opens_every_rung_again(ladder):
    """An explicit unload forgets attempts; the next load begins at the top."""
    errors = {"graphs": RuntimeError("first time only")}
    provider = ladder(failing(load=errors)).load()
    assert provider.get_provider_status()["rung"] == "bf16"
    errors.clear()
    provider.unload()
    assert attempts(provider) == []
    assert provider.load().get_provider_status()["rung"] == "graphs"


def test_idle_unload_keeps_what_was_learnt(ladder):
    """After an idle spell nothing is loaded, and a rung that cannot work is not tried again."""
    calls = []
    provider = ladder(failing(calls, load={"graphs": RuntimeError("never")}), idle_unload_s=0.05).load()
    deadline = time.monotonic() + 10
    while provider.get_provider_status()["state"] != "unloaded" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert provider.get_provider_status()["state"] == "unloaded"
    assert attempts(provider) == [("graphs", "load")]
    provider.generate("Hello")
    assert [call[1] for call in calls if call[0] == "load"] == ["graphs", "bf16", "bf16"]


def test_input_errors_of_a_stage_pass(ladder):
    """The caller's mistake that only the model can see: raised as it is, no rung is given up, loading or speaking."""

    class Picky(Plain):
        """Refuses."""

        @hookimpl
        def generate(self, context, model, request):
            """Refuse."""
            raise InvalidOption("the voice has no such style", who="sample", fix="choose another")
            yield

    class Unset(Plain):
        """Refuses to load."""

        @hookimpl
        def load(self, context):
            """Refuse."""
            raise SettingsError("needs a folder", who="sample", fix="give one")

    provider = ladder(Picky)
    for _ in range(2):
        with pytest.raises(InvalidOption, match="no such style"):
            provider.generate("Hello")
    assert attempts(provider) == []
    with pytest.raises(SettingsError, match="folder"):
        ladder(Unset).load()


def test_a_plugin_that_exits_does_not_end_the_program(ladder):
    """sys.exit() in a stage is a failure like another."""
    provider = ladder(failing(load={"graphs": SystemExit(1)}, generate={"bf16": SystemExit(2)}))
    provider.generate("Hello")
    assert attempts(provider) == [("graphs", "load"), ("bf16", "generate")]


def test_failing_unload_is_logged_and_the_model_is_freed(ladder, caplog):
    """The reference goes whatever the hook does."""
    models = []

    class Clingy(Plain):
        """Cannot let go."""

        @hookimpl
        def load(self, context):
            """Load."""
            model = Weights()
            models.append(weakref.ref(model))
            return model

        @hookimpl
        def unload(self, context, model):
            """Fail."""
            raise RuntimeError("cannot let go")

    provider = ladder(plain=Clingy).load()
    provider.unload()
    gc.collect()
    assert models[0]() is None
    assert "cannot let go" in caplog.text


@pytest.mark.parametrize("stage", ["convert_precision", "compile", "warmup", "generate"])
def test_dead_rung_is_freed_before_the_next_is_loaded(ladder, stage):
    """The traceback of the failure does not keep the model alive."""
    alive = []
    models = []

    class Optimized:
        """Fails at one stage, with the model in a frame of the traceback."""

        @hookimpl
        def load(self, context):
            """Load."""
            model = Weights()
            models.append(weakref.ref(model))
            return model

    def fail(self, context, model):
        kept = model  # the frame holds it, as frames of a forward pass hold tensors
        raise RuntimeError(f"failed with {kept is not None}")

    def fail_speaking(self, context, model, request):
        kept = model
        raise RuntimeError(f"failed with {kept is not None}")
        yield

    setattr(Optimized, stage, hookimpl(fail_speaking if stage == "generate" else fail))

    class Watching(Plain):
        """Looks when it is loaded."""

        @hookimpl
        def load(self, context):
            """Look."""
            gc.collect()
            alive.append(models[0]() is not None)
            return Weights()

    provider = ladder(Optimized, plain=Watching)
    provider.generate("Hello")
    assert alive == [False]


BAD_AUDIO = {
    "nan": np.full(800, np.nan, np.float32),
    "infinity": np.full(800, np.inf, np.float32),
    "float64": TONE.astype(np.float64),
    "int16": np.ones(800, np.int16),
    "stereo": np.ones((2, 400), np.float32),
    "list": [0.1] * 800,
    "silence": np.zeros(800, np.float32),
    "empty": np.zeros(0, np.float32),
}


@pytest.mark.parametrize("case", BAD_AUDIO, ids=str)
def test_bad_audio_is_a_failure_of_generate(ladder, case):
    """It never reaches the caller: the plain variant speaks instead, and the record says why."""

    class Optimized:
        """Yields rubbish."""

        @hookimpl
        def generate(self, context, model, request):
            """Yield it."""
            yield Chunk(BAD_AUDIO[case], 8000)

    provider = ladder(Optimized)
    assert np.array_equal(provider.generate("Hello").samples, TONE)
    assert attempts(provider) == [("optimized", "generate")]
    (attempt,) = provider.get_provider_status()["attempts"]
    assert attempt["exception"].endswith("InvalidChunk")


@pytest.mark.parametrize(
    ("yielded", "what"),
    [
        (TONE, "ndarray"),
        (Chunk(TONE, 44100), "44100"),
        (Chunk(TONE, 16000), "changed"),
        (None, "NoneType"),
    ],
    ids=["array", "unknown rate", "changed rate", "nothing"],
)
def test_what_generate_yields_is_checked(ladder, yielded, what):
    """Type and rate, chunk by chunk."""

    class Optimized:
        """The second chunk is wrong."""

        @hookimpl
        def generate(self, context, model, request):
            """Yield."""
            yield Chunk(TONE, 8000)
            yield yielded

    provider = ladder(Optimized, spec={"sample_rates": (8000, 16000)}, strict=True)
    with pytest.raises(StageFailed, match=what) as caught:
        provider.generate("Hello")
    assert isinstance(caught.value.__cause__, InvalidChunk)
    assert caught.value.__cause__.fix


@pytest.mark.parametrize("item", [Chunk(TONE, 8000), (5, Chunk(TONE, 8000)), ("0", Chunk(TONE, 8000))], ids=repr)
def test_what_generate_batch_yields_is_checked(ladder, item):
    """A pair with an index inside the batch; otherwise the plain variant speaks one by one."""

    class Optimized:
        """A batch with a wrong item."""

        @hookimpl
        def generate_batch(self, context, model, requests):
            """Yield."""
            yield 0, Chunk(TONE, 8000)
            yield item

    provider = ladder(Optimized)
    speeches = provider.generate_batch(["One", "Two"])
    assert [speech.duration for speech in speeches] == pytest.approx([0.1, 0.1])
    assert attempts(provider) == [("optimized", "generate")]


def test_generate_that_returns_nothing_iterable(ladder):
    """A plain return is a failure that is reported, not a crash."""

    class Optimized:
        """Forgot to yield."""

        @hookimpl
        def generate(self, context, model, request):
            """Return."""
            return

    provider = ladder(Optimized)
    assert provider.generate("Hello").duration > 0
    assert attempts(provider) == [("optimized", "generate")]


def test_stream_steps_down_before_the_first_chunk_only(ladder):
    """Audio that the caller holds cannot be taken back: then the error is raised, and the next request is served."""

    class Late:
        """Fails after one chunk."""

        @hookimpl
        def generate(self, context, model, request):
            """Fail late."""
            if request.text == "late":
                yield Chunk(TONE, 8000)
            raise RuntimeError("broke in the middle")

    provider = ladder(Late)
    stream = provider.stream("late")
    assert next(stream).duration == pytest.approx(0.1)
    with pytest.raises(StageFailed, match="after audio had been delivered"):
        next(stream)
    assert attempts(provider) == [("optimized", "generate")]
    assert sum(chunk.duration for chunk in provider.stream("late")) == pytest.approx(0.1)
    early = ladder(Late)
    assert sum(chunk.duration for chunk in early.stream("early")) == pytest.approx(0.1)
    assert attempts(early) == [("optimized", "generate")]


def test_whole_speech_is_retried_in_the_middle(ladder):
    """generate() has handed out nothing until it returns: a late failure costs nothing but time."""

    class Late:
        """Fails after one chunk."""

        @hookimpl
        def generate(self, context, model, request):
            """Fail late."""
            yield Chunk(TONE * 2, 8000)
            raise RuntimeError("broke in the middle")

    provider = ladder(Late)
    speech = provider.generate("Hello")
    assert np.array_equal(speech.samples, TONE)
    assert speech.metrics.retries == 1


def test_details_can_be_reported(ladder):
    """What only the plugin knows appears in the status, and goes with its rung."""

    class Optimized:
        """Reports."""

        @hookimpl
        def load(self, context):
            """Report."""
            context.report(Event("optimization.details", data={"attention": "flash", "kv": "int8"}))
            return Weights()

    provider = ladder(Optimized)
    assert provider.get_provider_status()["optimization_details"]["device"] is None
    details = provider.load().get_provider_status()["optimization_details"]
    assert (details["attention"], details["kv"], details["device"]) == ("flash", "int8", "cpu")


@pytest.mark.parametrize("variant", ["optimized", "plain"])
def test_status_claims_nothing_that_was_only_asked_for(ladder, variant):
    """Settings are no facts: a plugin that compiles, captures, quantizes and moves nothing never shows that it did."""
    asked = {"compile": True, "cuda_graphs": True, "quantization": "int8", "attention": "flash", "cpu_offload": True}

    class Optimized:
        """Does nothing beside speaking."""

        @hookimpl
        def generate(self, context, model, request):
            """Speak."""
            yield Chunk(TONE, 8000)

    status = ladder(Optimized, optimize=variant == "optimized", **asked).load().get_provider_status()
    assert status["variant"] == variant
    details = status["optimization_details"]
    done = {"compile": False, "cuda_graphs": False, "attention": None, "quantization": "none", "offload": False}
    assert {name: details[name] for name in done} == done


def test_context_tells_everything(ladder):
    """Every field is there, and the plain variant always runs in float32."""
    seen = []

    class Curious(Plain):
        """Looks around."""

        @hookimpl
        def load(self, context):
            """Look."""
            seen.append(context)
            return Weights()

    ladder(plain=Curious, dtype="bfloat16").load()
    (context,) = seen
    assert (context.spec.name, context.variant, context.device, context.dtype) == ("sample", "plain", "cpu", "float32")
    assert context.rung == Rung("plain")
    assert context.checkpoint is None
    assert context.settings.dtype == "bfloat16"
    assert context.log.name == "realtts.sample"
    assert context.voice_cache.get_or_compute("key", lambda: 1) == 1
    context.report(Event("mine"))


def test_voices_hook_that_fails_costs_the_rung(ladder):
    """Like any other failure of the model."""

    class Optimized:
        """Cannot list."""

        @hookimpl
        def voices(self, context, model):
            """Fail."""
            raise RuntimeError("no list")

    provider = ladder(Optimized, spec={"capabilities": {"voices"}})
    with pytest.raises(ValueError, match="no file, saved voice or built-in voice 'anna'"):
        provider.generate("Hello", voice="anna")
    assert attempts(provider) == [("optimized", "voices")]


def test_lower_rung_may_have_another_rate(ladder):
    """The pieces of one speech have one rate, whatever the rungs speak at."""

    class Optimized:
        """Speaks the first piece only."""

        @hookimpl
        def generate(self, context, model, request):
            """Speak at 16 kHz."""
            if "second" in request.text:
                raise RuntimeError("tired")
            yield Chunk(np.repeat(TONE, 2), 16000)

    provider = ladder(Optimized, spec={"sample_rates": (16000, 8000), "max_chars": 24})
    speech = provider.generate("This is the first one. This is the second one.")
    assert speech.sample_rate == 16000
    assert speech.metrics.pieces == 2
    assert speech.duration == pytest.approx(0.1 + 0.15 + 0.1, abs=0.002)


@pytest.mark.parametrize("error", [OutOfMemoryError("CUDA out of memory"), MemoryError()], ids=["device", "host"])
def test_failure_that_may_pass_is_tried_once_per_request(ladder, error):
    """A rung that runs out of memory on every request ends each one with an error, not in a loop."""
    calls = []

    class Hungry(Plain):
        """Never has enough."""

        @hookimpl
        def generate(self, context, model, request):
            """Raise."""
            calls.append(request.text)
            raise error
            yield

    provider = ladder(plain=Hungry)
    for _ in range(2):
        with pytest.raises(LadderExhausted):
            provider.generate("Hello")
        with pytest.raises(LadderExhausted):
            list(provider.stream("Hello"))
    assert len(calls) == 4


def test_one_text_that_cannot_be_spoken_costs_no_other(ladder):
    """Plain fails for one text; the next request is served by it."""

    class Picky(Plain):
        """Cannot say everything."""

        @hookimpl
        def generate(self, context, model, request):
            """Speak or fail."""
            if request.text == "bad":
                raise RuntimeError("index out of range")
            yield Chunk(TONE, 8000)

    provider = ladder(plain=Picky)
    with pytest.raises(LadderExhausted, match="index out of range"):
        provider.generate("bad")
    assert provider.generate("good").duration == pytest.approx(0.1)
    (attempt,) = provider.get_provider_status()["attempts"]
    assert "optimize=False" not in attempt["remedy"]


def test_voices_that_no_rung_can_list(ladder):
    """A typed error, like any other failure."""

    class Mute(Plain):
        """Cannot list."""

        @hookimpl
        def voices(self, context, model):
            """Fail."""
            raise RuntimeError("no list")

    provider = ladder(plain=Mute, spec={"capabilities": {"voices"}})
    with pytest.raises(LadderExhausted, match="no list"):
        provider.voices()


def test_refused_probe_is_no_warning(ladder, caplog):
    """Hardware that is not there is normal; a failure is worth a line."""
    ladder(failing(probe={"graphs": "no device"}, load={"bf16": RuntimeError("broken")})).load()
    levels = {record.levelname for record in caplog.records if "no device" in record.message}
    assert "WARNING" not in levels
    assert any(record.levelname == "WARNING" and "broken" in record.message for record in caplog.records)
