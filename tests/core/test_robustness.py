"""What goes wrong elsewhere stays there: threads, plugins that misbehave, and input that nobody expects."""

import asyncio
import gc
import multiprocessing
import os
import sys
import threading
import time
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import realtts
from realtts import Chunk, Mark, RealProvider, Rung, VoiceInfo, errors, hookimpl
from realtts.testing import fake_spec, faulty

TONE = (0.1 * np.sin(np.arange(800))).astype(np.float32)


class Weights:
    """Something that can be seen to go away."""


class Plain:
    """Speaks a tone per request."""

    @hookimpl
    def load(self, context):
        """Load."""
        return Weights()

    @hookimpl
    def generate(self, context, model, request):
        """Speak."""
        yield Chunk(TONE, 8000)


@pytest.fixture
def make(make_provider):
    """Makes providers from classes; of their own accord they speak a tone."""

    def make(plain=Plain, optimized=None, spec=None, **settings):
        return make_provider(plain, optimized, spec, **settings)

    return make


def generating(function, base=Plain):
    """A class whose generate is the function of the request."""

    class Speaking(base):
        """Speaks as told."""

        @hookimpl
        def generate(self, context, model, request):
            """Speak."""
            yield from function(request)

    return Speaking


class TestLadder:
    """The record tells the truth, request after request."""

    def test_missing_variant_never_runs_under_its_name(self, make):
        """Not after an unload, not after an idle one: what cannot be imported is plain, and said to be."""
        tts = make(optimized="no_such_module:Fast")
        for _ in range(3):
            tts.generate("Hello")
            status = tts.get_provider_status()
            assert (status["variant"], status["optimization_enabled"]) == ("plain", False)
            assert [attempt["exception"] for attempt in status["attempts"]] == ["ModuleNotFoundError"]
            tts.unload()

    def test_variant_that_was_installed_meanwhile_is_found(self, make, monkeypatch):
        """An unload asks again."""
        tts = make(optimized="installed_later:Fast")
        assert tts.load().get_provider_status()["variant"] == "plain"
        module = types.ModuleType("installed_later")
        module.Fast = type("Fast", (), {"warmup": hookimpl(lambda self, context, model: None)})
        module.Fast.warmup.__name__ = "warmup"
        monkeypatch.setitem(sys.modules, "installed_later", module)
        tts.unload()
        assert tts.load().get_provider_status()["variant"] == "optimized"

    def test_strict_never_steps_down_later_either(self):
        """Every request meets the same rung and the same error."""
        with RealProvider(faulty(fake_spec(), "warmup"), strict=True) as tts:
            for _ in range(3):
                with pytest.raises(errors.StageFailed, match="warmup"):
                    tts.generate("Hello")
            assert len(tts.get_provider_status()["attempts"]) == 1
        with RealProvider(fake_spec(optimized="no_such_module:X"), strict=True) as tts:
            for _ in range(2):
                with pytest.raises(errors.StageFailed, match="no_such_module"):
                    tts.generate("Hello")

    def test_attempts_do_not_pile_up(self, make):
        """A text that cannot be spoken, again and again, is one record."""

        def picky(request):
            raise RuntimeError("cannot say it")
            yield

        tts = make(generating(picky))
        for _ in range(20):
            with pytest.raises(errors.LadderExhausted) as caught:
                tts.generate("Hello")
        assert len(tts.get_provider_status()["attempts"]) == 1
        assert "cannot say it" in str(caught.value.__cause__)

    @pytest.mark.parametrize("keep", ["cause", "context"])
    def test_dead_rung_is_freed_however_its_exception_was_raised(self, make, keep):
        """A chain of exceptions holds frames too; the caller may keep the error without keeping the model."""
        models, alive = [], []

        class Optimized:
            """Fails with a chain."""

            @hookimpl
            def load(self, context):
                """Load."""
                model = Weights()
                models.append(weakref.ref(model))
                return model

            @hookimpl
            def warmup(self, context, model):
                """Fail while handling a failure, with the model in the inner frame."""

                def inner(kept):
                    raise ValueError(f"inner {kept is not None}")

                try:
                    inner(model)
                except ValueError as error:
                    if keep == "cause":
                        raise RuntimeError("outer") from error
                    raise RuntimeError("outer")  # noqa: B904 - the implicit chain is the case

        class Watching(Plain):
            """Looks when it is loaded."""

            @hookimpl
            def load(self, context):
                """Look."""
                gc.collect()
                alive.append(models[0]() is not None)
                return Weights()

        make(Watching, Optimized).generate("Hello")
        assert alive == [False]
        with pytest.raises(errors.StageFailed) as caught:
            make(Watching, Optimized, strict=True).generate("Hello")
        gc.collect()
        assert models[-1]() is None
        assert caught.value.__cause__ is not None

    def test_rung_on_a_device_that_is_not_there(self, make):
        """Is given up like one whose probe refuses."""

        class Optimized:
            """Wants a GPU first."""

            @hookimpl
            def rungs(self, context):
                """Propose."""
                return [Rung("gpu", {"device": "cuda"}), Rung("cpu", {"device": "cpu"})]

        tts = make(optimized=Optimized)
        status = tts.load().get_provider_status()
        assert status["rung"] == "cpu"
        assert [(attempt["rung"], attempt["stage"]) for attempt in status["attempts"]] == [("gpu", "probe")]

    @pytest.mark.parametrize("stage", ["load", "convert_precision", "compile", "warmup"])
    @pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
    def test_unload_is_called_once_for_every_load(self, make, stage, error):
        """Whatever leaves a stage; a model of None is a model."""
        calls = []

        class Optimized:
            """Fails at one stage."""

            @hookimpl
            def load(self, context):
                """Load or fail."""
                if stage == "load":
                    raise error("load")
                calls.append("load")

            @hookimpl
            def unload(self, context, model):
                """Count."""
                calls.append("unload")

        if stage != "load":

            def fail(self, context, model):
                raise error(stage)

            setattr(Optimized, stage, hookimpl(fail))
            getattr(Optimized, stage).__name__ = stage
        tts = make(optimized=Optimized)
        if error in {RuntimeError, SystemExit}:
            tts.generate("Hello")
        else:
            with pytest.raises(error):
                tts.generate("Hello")
        assert calls == ([] if stage == "load" else ["load", "unload"])

    def test_exits_at_import_and_construction(self, make, monkeypatch):
        """A plugin that calls sys.exit() ends nothing but itself."""

        class Exits(Plain):
            """Exits."""

            def __init__(self):
                raise SystemExit(3)

        with pytest.raises(errors.InvalidPlugin, match="SystemExit"):
            make(Exits).load()

    def test_unloaded_is_told_when_something_was(self, make, monkeypatch):
        """Not for a provider that never loaded."""
        told = []
        tts = make()
        monkeypatch.setattr(tts._ladder, "_forward", lambda event: told.append(event.name))
        tts.unload()
        tts.load()
        tts.unload()
        tts.unload()
        assert told.count("unloaded") == 1


class TestCancellation:
    """Ends the work, and costs no rung."""

    def test_provider_that_raises_when_it_is_cancelled(self, make):
        """Whatever it does then is no failure of the rung."""

        def touchy(request):
            while not request.cancelled():
                time.sleep(0.005)
                yield Chunk(TONE, 8000)
            raise RuntimeError("interrupted")

        tts = make(optimized=generating(touchy), stream_buffer=2)
        with ThreadPoolExecutor(1) as pool:
            whole = pool.submit(tts.generate, "word " * 100)
            while tts.get_provider_status()["state"] != "generating":
                time.sleep(0.002)
            time.sleep(0.05)
            tts.cancel()
            assert whole.result().finish_reason == "cancelled"
        stream = tts.stream("word " * 100)
        next(stream)
        tts.cancel()
        assert list(stream)[-1].finish_reason == "cancelled"
        assert tts.get_provider_status()["attempts"] == []

    def test_provider_that_does_not_listen(self, make):
        """Is left at its next chunk; the provider can be closed."""

        def deaf(request):
            while True:
                time.sleep(0.002)
                yield Chunk(TONE, 8000)

        tts = make(generating(deaf), spec={"max_seconds_per_char": 1e9})
        with ThreadPoolExecutor(1) as pool:
            whole = pool.submit(tts.generate, "Hello")
            while tts.get_provider_status()["state"] != "generating":
                time.sleep(0.002)
            tts.cancel()
            assert whole.result(timeout=10).finish_reason == "cancelled"
        stream = tts.stream("Hello")
        next(stream)
        tts.cancel()
        assert list(stream)[-1].finish_reason == "cancelled"
        stream = tts.stream("Hello")
        next(stream)
        tts.close(timeout_s=10)
        assert tts.get_provider_status()["state"] == "closed"

    def test_batch_that_does_not_listen(self, make):
        """A runaway row is stopped by the core, and the batch is left when all of its rows are."""

        class Optimized:
            """Two rows without an end."""

            @hookimpl
            def generate_batch(self, context, model, requests):
                """Go on."""
                while True:
                    yield 0, Chunk(np.tile(TONE, 50), 8000)
                    yield np.int64(1), Chunk(np.tile(TONE, 50), 8000)

        tts = make(optimized=Optimized, retry_runaway=False)
        assert [speech.finish_reason for speech in tts.generate_batch(["One", "Two"])] == ["length", "length"]

    def test_provider_that_yields_nothing_for_ever(self, make):
        """Empty chunks are no audio: they meet a cap."""

        def hollow(request):
            while True:
                yield Chunk(np.zeros(0, np.float32), 8000)

        tts = make(optimized=generating(hollow))
        assert tts.generate("Hello").duration == pytest.approx(0.1)
        assert tts.get_provider_status()["attempts"][0]["stage"] == "generate"

    def test_provider_generators_end_in_their_own_thread(self, make, monkeypatch):
        """Also when an extension fails in the middle of a stream, whose error the caller keeps."""
        from realtts.provider import facade
        from realtts.registry.extensions import Extensions

        ended = []

        def speak(request):
            try:
                for _ in range(5):
                    yield Chunk(TONE, 8000)
            finally:
                ended.append(threading.current_thread().name)

        class Fails:
            """Fails at the second chunk."""

            calls = 0

            def process_audio(self, chunk, request):
                """Fail."""
                self.calls += 1
                if self.calls == 2:
                    raise ValueError("spoiled")
                return chunk

        monkeypatch.setattr(facade, "discover_extensions", lambda: Extensions({"fails": Fails()}))
        tts = make(generating(speak))
        with pytest.raises(errors.ExtensionError) as caught:
            list(tts.stream("Hello"))
        assert ended == ["realtts-sample"]
        assert caught.value


class TestSilence:
    """One silent piece of many is told; a silent text is refused."""

    def test_one_silent_piece(self, make):
        """The rest is spoken, no rung is given up, and a warning names the piece."""

        def speak(request):
            silent = "second" in request.text
            yield Chunk(np.zeros(800, np.float32) if silent else TONE, 8000)

        tts = make(optimized=generating(speak), spec={"max_chars": 24})
        speech = tts.generate("This is the first one. This is the second one. This is the third one.")
        assert speech.metrics.pieces == 3
        assert any("silent" in warning for warning in speech.warnings)
        assert tts.get_provider_status()["attempts"] == []


class TestThread:
    """Nothing ends the provider's thread while somebody needs it."""

    def test_two_readers_of_one_stream(self):
        """Each chunk goes to one of them."""
        with RealProvider(fake_spec()) as tts:
            for _ in range(30):
                stream = tts.stream("one two three four")
                with ThreadPoolExecutor(2) as pool:
                    parts = [pool.submit(lambda s=stream: sum(chunk.duration for chunk in s)) for _ in range(2)]
                    assert sum(part.result(timeout=20) for part in parts) == pytest.approx(0.4)
            assert tts.generate("Hello").duration > 0

    @pytest.mark.parametrize("name", ["idle_unload_s", "queue_timeout_s", "stream_stall_s"])
    def test_times_that_no_timer_can_count(self, name):
        """Are refused as settings."""
        with pytest.raises(errors.SettingsError, match=name):
            RealProvider(fake_spec(), **{name: 1e10})
        with RealProvider(fake_spec(), **{name: 30 * 86_400}) as tts:
            assert tts.generate("Hello").duration > 0

    def test_unload_that_raises_anything(self, make):
        """At an idle unload there is nobody to tell: it is logged, and the next request is served."""

        class Bad(Plain):
            """Raises what is no Exception."""

            @hookimpl
            def unload(self, context, model):
                """Raise."""
                raise asyncio.CancelledError

        tts = make(Bad, idle_unload_s=0.02).load()
        deadline = time.monotonic() + 10
        while tts.get_provider_status()["state"] != "unloaded" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert tts.generate("Hello").duration > 0

    def test_no_thread_to_be_had(self, monkeypatch):
        """A typed error, and a later call works."""
        tts = RealProvider(fake_spec())

        def fail(self):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", fail)
            with pytest.raises(errors.Busy, match="can't start new thread"):
                tts.generate("Hello")
        assert tts.generate("Hello").duration > 0
        tts.close()

    def test_closing_while_others_ask(self):
        """Every caller gets a speech or a typed error, whoever wins."""

        def ask(tts):
            try:
                return tts.generate("Hello").finish_reason
            except errors.ProviderClosed:
                return "closed"

        for _ in range(60):
            tts = RealProvider(fake_spec())
            with ThreadPoolExecutor(4) as pool:
                answers = [pool.submit(ask, tts) for _ in range(8)]
                tts.close()
                assert {answer.result(timeout=20) for answer in answers} <= {"stop", "cancelled", "closed"}

    def test_numbers_of_ended_threads_mean_nothing(self):
        """A stream that another thread began does not block a new thread that got its number."""
        with RealProvider(fake_spec(), stream_buffer=1, stream_stall_s=0.05) as tts:
            kept = []
            reader = threading.Thread(target=lambda: kept.append(next(tts.stream("word " * 50))))
            reader.start()
            reader.join()
            results = []
            other = threading.Thread(target=lambda: results.append(tts.generate("Hello")))
            other.start()
            other.join(timeout=20)
            assert results[0].duration > 0

    @pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_fork_while_the_status_is_asked(self):
        """The child may inherit a held lock: it must not need it."""
        tts = RealProvider(fake_spec()).load()
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                tts.get_provider_status()

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            for _ in range(10):
                reader, writer = multiprocessing.Pipe(duplex=False)
                pid = os.fork()
                if pid == 0:
                    tts.get_provider_status()
                    tts.close()
                    writer.send("done")
                    os._exit(0)
                assert reader.poll(20)
                os.waitpid(pid, 0)
        finally:
            stop.set()
            asking.join()
            tts.close()


BAD_CHUNKS = {
    "marks none": {"marks": None},
    "marks of strings": {"marks": ("x",)},
    "mark outside the text": {"marks": (Mark(0, 1, (0, 99)),)},
    "mark not a number": {"marks": (Mark(float("nan"), 1, (0, 1)),)},
    "tokens none": {"tokens": None},
    "tokens negative": {"tokens": -1},
    "finish reason": {"finish_reason": "eos"},
    "warnings string": {"warnings": "clip"},
    "rate float": {"sample_rate": 8000.0},
}


@pytest.mark.parametrize("case", BAD_CHUNKS, ids=str)
def test_every_field_of_a_chunk_is_checked(make, case):
    """A wrong one costs the rung; the caller gets plain's audio."""
    chunk = Chunk(**{"samples": TONE, "sample_rate": 8000, **BAD_CHUNKS[case]})
    tts = make(optimized=generating(lambda request: iter([chunk])))
    assert tts.generate("Hello").duration == pytest.approx(0.1)
    (attempt,) = tts.get_provider_status()["attempts"]
    assert attempt["exception"].endswith("InvalidChunk")
    assert "Fix:" not in attempt["message"]


def test_voices_must_be_voice_infos(make):
    """Strings are a fault of the plugin, named as such."""

    class Bad(Plain):
        """Returns names."""

        @hookimpl
        def voices(self, context, model):
            """Names."""
            return ["anna"]

    with pytest.raises(errors.LadderExhausted, match="voices returned str"):
        make(Bad, spec={"capabilities": {"voices"}}).voices()
    assert VoiceInfo("x")


def test_status_is_json_whatever_a_plugin_reports(make):
    """And a report of something that is no event harms nobody."""
    import json

    class Chatty(Plain):
        """Reports oddly."""

        @hookimpl
        def load(self, context):
            """Report."""
            context.report(realtts.Event("optimization.details", data={"dtype": np.float32}))
            context.report("not an event")
            return Weights()

    details = make(Chatty).load().get_provider_status()["optimization_details"]
    assert "float32" in json.dumps(details["dtype"])


class TestRegistration:
    """Faults that pluggy would let through."""

    def refused(self, make, match, **members):
        """The class with these members is refused."""
        cls = type("Odd", (Plain,), members)
        with pytest.raises(errors.InvalidPlugin, match=match):
            make(cls).load()

    def test_two_methods_for_one_hook(self, make):
        """Exactly one implementation runs."""

        @hookimpl(specname="load")
        def fetch(self, context):
            """A second load."""

        self.refused(make, "second load|is a second", fetch=fetch)

    def test_forgotten_self(self, make):
        """The instance would arrive as the context."""

        @hookimpl
        def warmup(context, model):
            """No self."""

        self.refused(make, "has no self", warmup=warmup)

    def test_instance_that_cannot_be_hashed(self, make):
        """A dataclass with equality, say."""
        self.refused(make, "cannot be registered", __eq__=lambda self, other: self is other, __hash__=None)

    def test_private_names_count(self, make):
        """They are registered by pluggy, so they are checked."""

        @hookimpl
        def _warmpu(self, context, model):
            """Misspelt and private."""

        self.refused(make, "no hook", _warmpu=_warmpu)

    def test_decorator_above_staticmethod(self, make):
        """The order that pluggy does not see."""
        self.refused(make, "directly above def", warmup=hookimpl(staticmethod(lambda context, model: None)))

    def test_hook_set_on_the_instance(self, make):
        """Is registered by pluggy without our checks: refused."""

        def init(self):
            self.warmup = hookimpl(lambda context, model: None)

        self.refused(make, "set on the instance", __init__=init)


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rates": 24000}, {"sample_rates": (8000, "16000")}, {"capabilities": None}, {"capabilities": "clone"},
        {"languages": None}, {"languages": "en"}, {"batch_size": "8"}, {"batch_size": 0}, {"reference_seconds": 5},
        {"reference_seconds": (5, 1)}, {"devices": "cpu"}, {"devices": ("gpu",)}, {"checkpoints": ("x",)},
        {"max_seconds_per_char": "1"}, {"summary": None}, {"environment": None}, {"api": "1"}, {"torch": "yes"},
        {"max_chars": "50"}, {"licence": None},
    ],
    ids=str,
)  # fmt: skip
def test_fields_of_a_spec_have_types(change):
    """Each wrong one is named when the spec is made."""
    with pytest.raises(errors.InvalidPlugin, match=next(iter(change))):
        fake_spec(**change)


def test_spec_for_another_contract_is_refused_directly_too():
    """Not only through its entry point."""
    with pytest.raises(errors.InvalidPlugin, match="contract 2"):
        RealProvider(fake_spec(api=2))


class TestInput:
    """Whatever is passed, the error is one of ours."""

    LONG = "x" * 5000

    @pytest.mark.parametrize(
        "arguments",
        [
            {"voice": LONG},
            {"voice": Path(LONG)},
            {"voice": "a\0b"},
            {"voice": b"voice.wav"},
            {"voice": 5},
            {"voice": ("a", "b", "c")},
            {"voice": type("P", (os.PathLike,), {"__fspath__": lambda self: b"x.wav"})()},
            {"reference_text": 5},
            {"reference_text": "a\0b", "voice": "low"},
            {"reference_text": "words", "voice": "low"},
            {"speed": 10**400},
            {"speed": "fast"},
            {"speed": True},
            {"seed": 1.5},
            {"seed": 10**400},
            {"language": "\ud800"},
            {"loudness": type("R", (), {"__repr__": lambda self: 1 / 0})()},
        ],
        ids=[
            "long name",
            "long path",
            "nul",
            "bytes",
            "number",
            "triple",
            "bytes path",
            "words number",
            "words nul",
            "words without recording",
            "speed huge",
            "speed text",
            "speed bool",
            "seed float",
            "seed huge",
            "language",
            "unprintable",
        ],
    )
    def test_of_generate(self, arguments):
        """Before any work."""
        with RealProvider(fake_spec()) as tts:
            with pytest.raises(errors.InputError):
                tts.generate("Hello", **arguments)
            assert tts.get_provider_status()["state"] == "unloaded"

    @pytest.mark.parametrize("texts", [None, 5, "Hello"], ids=str)
    def test_of_generate_batch(self, texts):
        """A list of strings is wanted."""
        with RealProvider(fake_spec()) as tts, pytest.raises(errors.InvalidOption, match="texts"):
            tts.generate_batch(texts)

    @pytest.mark.parametrize("model", ["a" * 5000, "~no-such-user/model", "a\0b"], ids=["long", "user", "nul"])
    def test_of_model(self, model):
        """No path, no name."""
        with pytest.raises(errors.UnknownCheckpoint):
            RealProvider(fake_spec(), model=model)

    def test_of_settings(self, monkeypatch):
        """Objects that are none, and paths that cannot be."""
        with pytest.raises(errors.SettingsError, match="dict"):
            RealProvider(fake_spec(), settings={"strict": True})
        with RealProvider(fake_spec(), data_dir="~no-such-user/x") as tts, pytest.raises(errors.SettingsError):
            tts.generate("Hello", voice="anna")
        for named in ("~no-such-user/realtts.toml", "x" * 5000):
            monkeypatch.setenv("REALTTS_CONFIG", named)
            with pytest.raises(errors.SettingsError):
                RealProvider(fake_spec())


def test_damaged_distribution_stops_no_other(tmp_path, monkeypatch, caplog):
    """Neither unparsable entry points nor missing metadata."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "sound_plugin.py").write_text("from realtts.testing import fake_spec\nspec = fake_spec(name='sound')\n")
    for name, metadata, points in (
        ("damaged", "Metadata-Version: 2.1\nName: damaged\nVersion: 1\n", "[realtts.providers]\nno equals sign\n"),
        ("empty", "", "[realtts.providers]\nempty = no_such_module:spec\n"),
        (
            "sound",
            "Metadata-Version: 2.1\nName: sound\nVersion: 1\n",
            "[realtts.providers]\nsound = sound_plugin:spec\n",
        ),
    ):
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(metadata)
        (info / "entry_points.txt").write_text(points)
    listed = {entry.name: entry for entry in realtts.installed()}
    assert listed["sound"].error is None
    assert RealProvider("sound").spec.name == "sound"
