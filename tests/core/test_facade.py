"""RealProvider: requests, voices, batches, limits and the status, with the fake provider."""

import gc
import json
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile

import realtts
from realtts import Chunk, RealProvider, Speech, errors
from realtts.testing import fake_spec, faulty


@pytest.fixture
def make():
    """Makes providers that are closed at the end."""
    made = []

    def make(settings=None, **spec):
        provider = RealProvider(fake_spec(**spec), **(settings or {}))
        made.append(provider)
        return provider

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def tts(make):
    """The fake provider."""
    return make()


@pytest.fixture
def recording(tmp_path):
    """A file with a second of sound."""
    path = tmp_path / "speaker.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(24_000) / 10), 24_000)
    return path


def test_speech_carries_everything(tts):
    """Audio, text, marks, seed, provider and metrics."""
    speech = tts.generate("Hello there my friend", seed=9)
    assert isinstance(speech, Speech)
    assert (speech.text, speech.seed, speech.provider) == ("Hello there my friend", 9, "fake")
    assert (speech.sample_rate, speech.duration, speech.finish_reason) == (16_000, pytest.approx(0.4), "stop")
    assert [speech.text[slice(*mark.span)] for mark in speech.marks] == ["Hello", "there", "my", "friend"]
    metrics = speech.metrics
    assert (metrics.tokens, metrics.pieces, metrics.retries) == (4, 1, 0)
    assert metrics.rtf == pytest.approx(metrics.total_s / speech.duration)
    assert set(metrics.stages) == {"load", "convert_precision", "compile", "warmup", "generate"}
    assert set(tts.generate("Hello").metrics.stages) == {"generate"}
    json.dumps(metrics.as_dict())


def test_seed_is_drawn_and_told(tts):
    """Two calls without a seed differ; the told seed repeats the speech."""
    first, second = tts.generate("Hello there"), tts.generate("Hello there")
    assert first.seed != second.seed
    assert not np.array_equal(first.samples, second.samples)
    assert np.array_equal(tts.generate("Hello there", seed=first.seed).samples, first.samples)


@pytest.mark.parametrize("seed", [0, 2**63 - 1, np.int64(5)], ids=str)
def test_seeds_at_the_edges(tts, seed):
    """Any whole number in the range will do, numpy's too."""
    assert tts.generate("Hello", seed=seed).seed == int(seed)


def test_language_is_matched_loosely(tts):
    """Case, underscore and an unknown region do not matter."""
    for given in ("en", "EN", "en-US", "en_gb"):
        tts.generate("Hello", language=given)
    assert np.array_equal(
        tts.generate("Olá", language="PT_BR", seed=1).samples, tts.generate("Olá", language="pt-br", seed=1).samples
    )
    for wrong in ("fr", "", 3):
        with pytest.raises(errors.UnknownLanguage):
            tts.generate("Hello", language=wrong)


def test_speed_stretches_what_the_model_cannot(tts):
    """The length follows the speed exactly, and the marks follow the audio."""
    natural = tts.generate("Hello there my friend", seed=1)
    for speed in (0.25, 0.8, 2.0, 4):
        speech = tts.generate("Hello there my friend", seed=1, speed=speed)
        assert speech.duration == pytest.approx(natural.duration / speed, abs=1e-3)
        assert speech.marks[-1].end == pytest.approx(speech.duration, abs=1e-3)
        assert [mark.span for mark in speech.marks] == [mark.span for mark in natural.marks]


def test_speed_goes_to_a_model_that_can():
    """A provider with the capability gets the number itself."""
    with RealProvider(fake_spec(capabilities={"speed"})) as tts:
        assert tts.generate("Hello there", speed=2.0).duration == pytest.approx(0.2)


def test_loud_audio_is_clipped_and_said(tts):
    """Samples stay within full scale, and a warning counts them."""
    speech = tts.generate("Hello there", loudness=1.5)
    assert np.abs(speech.samples).max() <= 1.0
    assert any("clipped" in warning for warning in speech.warnings)
    assert any("clipped" in warning for warning in list(tts.stream("Hello", loudness=1.5))[-1].warnings)


class TestLongText:
    """A provider that takes short texts: the core splits, joins and keeps track."""

    TEXT = "This is the first sentence. Here is the second one. And this is the third.\n\nA new paragraph begins here."

    def test_pieces_are_joined_with_pauses(self, make):
        """Every word is spoken, pauses separate sentences and paragraphs, and marks span the original."""
        speech = make(max_chars=30).generate(self.TEXT, seed=1)
        words = self.TEXT.split()
        assert [self.TEXT[slice(*mark.span)] for mark in speech.marks] == words
        assert speech.metrics.pieces == 4
        pauses = 2 * 0.15 + 0.45
        assert speech.duration == pytest.approx(0.1 * len(words) + pauses, abs=1e-3)
        assert speech.marks[-1].end == pytest.approx(speech.duration, abs=1e-3)

    def test_no_clicks_at_the_seams(self, make):
        """The largest step between samples is that of the tones themselves."""
        speech = make(max_chars=30).generate(self.TEXT, seed=1)
        single = make().generate(self.TEXT, seed=1)
        assert np.abs(np.diff(speech.samples)).max() <= np.abs(np.diff(single.samples)).max() * 1.05

    def test_pieces_share_batches(self, make):
        """The optimized variant decodes pieces together, with the same result as one by one."""
        together = make(max_chars=30).generate(self.TEXT, seed=1)
        alone = make({"optimize": False}, max_chars=30).generate(self.TEXT, seed=1)
        assert np.array_equal(together.samples, alone.samples)
        small = make(max_chars=30, batch_size=2).generate(self.TEXT, seed=1)
        assert np.array_equal(small.samples, alone.samples)

    def test_pieces_have_seeds_of_their_own(self, make):
        """The first piece has the caller's seed, so that a short text is unaffected; the others are derived."""
        speech = make(max_chars=30).generate("Same words here now. Same words here now.", seed=3)
        half = int(0.4 * 16_000) - 160
        first, second = speech.samples[:half], speech.samples[-half:]
        assert not np.allclose(first, second[: len(first)])

    def test_a_failure_between_pieces_costs_nothing_but_time(self):
        """What had not ended is spoken on the lower rung, with the same seeds."""
        spec = fake_spec(max_chars=30)
        with RealProvider(faulty(spec, "generate", after=3)) as failing, RealProvider(spec, optimize=False) as plain:
            speech = failing.generate(self.TEXT, seed=1)
            assert failing.get_provider_status()["variant"] == "plain"
            assert np.array_equal(speech.samples, plain.generate(self.TEXT, seed=1).samples)

    def test_ends_that_have_nothing_to_say(self, make):
        """Pieces of punctuation alone are left out."""
        speech = make(max_chars=20).generate("Hello there my friend. ... !!! ... And good night to you.")
        assert speech.finish_reason == "stop"


class TestRunaway:
    """A model that finds no end."""

    def test_is_stopped_and_retried_with_another_seed(self, tts):
        """The retry speaks, and the caller is told."""
        speech = tts.generate("Hello there", seed=5, runaway_seeds=[5])
        assert speech.duration == pytest.approx(0.2)
        assert (speech.finish_reason, speech.metrics.retries, speech.seed) == ("stop", 1, 5)
        assert "spoken again" in speech.warnings[0]

    def test_is_cut_when_the_retry_runs_away_too(self, tts):
        """The audio is in proportion to the text, the reason is `length`, and the warning says so."""
        speech = tts.generate("Hello there", runaway=True)
        assert speech.finish_reason == "length"
        assert speech.duration == pytest.approx(5 + len("Hello there"), abs=0.2)
        assert "was cut" in speech.warnings[-1]

    def test_is_not_retried_when_that_is_forbidden(self, make):
        """retry_runaway=False."""
        speech = make({"retry_runaway": False}).generate("Hello there", seed=5, runaway_seeds=[5])
        assert (speech.finish_reason, speech.metrics.retries) == ("length", 0)

    def test_is_cut_in_a_stream(self, tts):
        """A stream cannot take audio back: it ends, and its last chunk says why."""
        chunks = list(tts.stream("Hello there", runaway=True))
        assert chunks[-1].finish_reason == "length"
        assert any("was cut" in warning for warning in chunks[-1].warnings)
        assert sum(chunk.duration for chunk in chunks) < 17

    def test_harms_no_other_row_of_its_batch(self, tts):
        """The others are as they are alone."""
        texts = ["Hello there", "And good night", "Once more"]
        batch = tts.generate_batch(texts, seed=5, runaway=True)
        assert [speech.finish_reason for speech in batch] == ["length"] * 3
        mixed = tts.generate_batch(texts, seed=5, runaway_seeds=[5])
        assert [speech.duration for speech in mixed] == pytest.approx([0.2, 0.3, 0.2])

    def test_ending_too_early_is_retried_too(self, make):
        """Audio that is too short for its text is spoken again; a second time it stands, as a stream's does."""
        tts = make(min_seconds_per_char=0.02)
        speech = tts.generate("Hello there, my friend", seed=5, hasty_seeds=[5])
        assert (speech.duration, speech.metrics.retries) == (pytest.approx(0.4), 1)
        assert "ended too early (0.10 s) and was spoken again" in speech.warnings[0]
        always = tts.generate("Hellotherehowareyou", seed=5)
        assert (always.duration, always.finish_reason, always.metrics.retries) == (pytest.approx(0.1), "stop", 1)
        assert always.warnings[-1].endswith("ended too early (0.10 s)")
        *_, last = tts.stream("Hello there, my friend", seed=5, hasty_seeds=[5])
        assert "ended too early" in last.warnings[0]
        assert tts.generate("Hi. - - - - - - -", seed=5).warnings == ()
        limited = tts.generate("Hello there, my friend", seed=5, hasty_seeds=[5], max_new_tokens=9)
        assert (limited.warnings, limited.metrics.retries) == ((), 0)

    def test_asking_for_a_length_is_no_runaway(self, tts):
        """Reaching the caller's own limit is what was asked for: no retry, no warning."""
        speech = tts.generate("one two three four", max_new_tokens=2)
        assert (speech.duration, speech.finish_reason) == (pytest.approx(0.2), "length")
        assert (speech.warnings, speech.metrics.retries) == ((), 0)


class TestSilence:
    """A model that says nothing."""

    def test_is_never_called_success(self, tts):
        """Every rung is tried; then it is an error."""
        with pytest.raises(errors.LadderExhausted, match="silent"):
            tts.generate("Hello", silent=True)


class TestVoices:
    """Samples, then a file, then a saved name, then a built-in voice."""

    def test_every_way_to_give_a_recording(self, tts, recording):
        """File, path, voice_path, tuple and Voice are the same voice."""
        samples, rate = soundfile.read(recording, dtype="float32")
        expected = tts.generate("Hello", voice=str(recording), seed=1).samples
        for voice in (recording, (samples, rate), realtts.Voice(samples, rate)):
            assert np.array_equal(tts.generate("Hello", voice=voice, seed=1).samples, expected)
        assert np.array_equal(tts.generate("Hello", voice_path=recording, seed=1).samples, expected)
        assert not np.array_equal(tts.generate("Hello", seed=1).samples, expected)

    def test_words_of_the_recording_matter(self, tts, recording):
        """They are part of the voice."""
        spoken = tts.generate("Hello", voice=recording, reference_text="La la la", seed=1)
        assert not np.array_equal(spoken.samples, tts.generate("Hello", voice=recording, seed=1).samples)

    def test_saved_voice(self, make, recording, tmp_path):
        """A saved name works as the file does, with its words, and is listed."""
        from realtts.voices import VoiceStore

        VoiceStore(tmp_path / "data" / "voices").add("Anna", recording, text="La la la")
        tts = make({"data_dir": tmp_path / "data"})
        saved = tts.generate("Hello", voice="Anna", seed=1)
        assert saved.duration > 0
        assert "Anna" in [voice.id for voice in tts.voices()]
        assert np.array_equal(saved.samples, tts.generate("Hello", voice="Anna", seed=1).samples)

    def test_built_in_voice(self, tts):
        """An id of the model's own list; another is an error that names the closest."""
        assert not np.array_equal(
            tts.generate("Hello", voice="low", seed=1).samples, tts.generate("Hello", voice="high", seed=1).samples
        )
        with pytest.raises(errors.VoiceNotFound, match="did you mean 'high'"):
            tts.generate("Hello", voice="hihg")
        assert [voice.id for voice in tts.voices()][:2] == ["low", "high"]

    def test_file_wins_over_built_in(self, tts, recording, monkeypatch):
        """Where a file has the name of a built-in voice, the file is meant."""
        monkeypatch.chdir(recording.parent)
        recording.rename("low")
        by_file = tts.generate("Hello", voice="low", seed=1)
        Path("low").unlink()
        assert not np.array_equal(by_file.samples, tts.generate("Hello", voice="low", seed=1).samples)

    def test_provider_that_cannot_clone(self, make, recording):
        """A recording is refused; a built-in voice is found although a file has its name."""
        tts = make(capabilities={"voices"})
        for voice in (recording, str(recording), soundfile.read(recording)):
            with pytest.raises(errors.VoiceUnsupported, match="cannot clone"):
                tts.generate("Hello", voice=voice)
        assert tts.generate("Hello", voice="low").duration > 0
        with pytest.raises(errors.VoiceUnsupported):
            make(capabilities=set()).generate("Hello", voice="low")

    def test_provider_that_needs_the_words(self, make, recording):
        """reference_text is required by some."""
        tts = make(reference_text="required")
        for blank in (None, "", "  "):
            with pytest.raises(errors.VoiceUnsupported, match="words"):
                tts.generate("Hello", voice=recording, reference_text=blank)
        assert make().generate("Hello", voice=recording, reference_text="").duration > 0
        assert tts.generate("Hello", voice=recording, reference_text="La la").duration > 0

    def test_words_without_a_recording(self, tts):
        """Are a mistake."""
        with pytest.raises(errors.VoiceUnsupported, match="without a recording"):
            tts.generate("Hello", reference_text="La la")

    @pytest.mark.parametrize("voice", ["nowhere/anna.wav", "anna.flac", "."], ids=str)
    def test_paths_that_lead_nowhere(self, tts, voice):
        """Are found before anything is loaded."""
        with pytest.raises(errors.VoiceError):
            tts.generate("Hello", voice=voice)
        assert tts.get_provider_status()["state"] == "unloaded"

    @pytest.mark.parametrize("seconds", [0.1, 90], ids=str)
    def test_recordings_of_the_wrong_length(self, tts, seconds):
        """The spec says what the model can use."""
        samples = 0.3 * np.sin(np.arange(int(seconds * 8000)) / 10)
        with pytest.raises(errors.VoiceUnsuitable):
            tts.generate("Hello", voice=(samples.astype(np.float32), 8000))


class TestBatch:
    """Several texts in one turn."""

    def test_equals_single_requests(self, tts):
        """In order, with one seed for all, each as it is alone."""
        texts = ["One two three", "Four", "Five six"]
        batch = tts.generate_batch(texts)
        assert len({speech.seed for speech in batch}) == 1
        for text, speech in zip(texts, batch, strict=True):
            assert np.array_equal(tts.generate(text, seed=batch[0].seed).samples, speech.samples)

    def test_names_the_text_that_is_wrong(self, tts):
        """Nothing is spoken."""
        with pytest.raises(errors.BlankText, match=r"texts\[1\]"):
            tts.generate_batch(["Fine", " "])
        assert tts.get_provider_status()["state"] == "unloaded"

    def test_edges(self, tts):
        """An empty list is an empty list; a string is a mistake."""
        assert tts.generate_batch([]) == []
        with pytest.raises(errors.InvalidOption, match="one string"):
            tts.generate_batch("Hello")


class TestCheckpoint:
    """model= is a name, a folder or a hub id."""

    CHOICES = (
        realtts.Checkpoint(name="base", source="someone/base", licence="MIT"),
        realtts.Checkpoint(name="large", source="someone/large"),
    )

    def test_is_resolved_at_once(self, make, tmp_path):
        """Default, name, folder and hub id; anything else names the closest."""

        def chosen(model=None):
            provider = RealProvider(fake_spec(checkpoints=self.CHOICES), model=model)
            return provider.get_provider_status()["checkpoint"]

        assert chosen()["name"] == "base"
        assert chosen("large")["source"] == "someone/large"
        assert chosen(tmp_path)["path"] == str(tmp_path)
        assert chosen("another/model")["source"] == "another/model"
        for wrong in ("lage", "./lage", ""):
            with pytest.raises(errors.UnknownCheckpoint):
                chosen(wrong)
        with pytest.raises(errors.UnknownCheckpoint, match="did you mean 'large'"):
            chosen("lage")

    def test_provider_without_checkpoints(self, make):
        """Has nothing to choose."""
        assert make().get_provider_status()["checkpoint"] is None
        with pytest.raises(errors.UnknownCheckpoint, match="fake"):
            RealProvider(fake_spec(), model="large")


class TestOptions:
    """The provider's own."""

    def test_names_and_ranges(self, tts):
        """Unknown names offer the closest, values say what is allowed."""
        with pytest.raises(errors.UnknownOption, match="did you mean 'loudness'"):
            tts.generate("Hello", loudnes=0.3)
        with pytest.raises(errors.InvalidOption, match=r"loudness is 0") as caught:
            tts.generate("Hello", loudness=0)
        assert "Peak of the tones" in caught.value.fix
        with pytest.raises(errors.InvalidOption, match="nan"):
            tts.generate("Hello", loudness=float("nan"))

    def test_provider_without_options(self):
        """Says that it has none; ssml is only for those that read it."""
        with RealProvider(fake_spec(options=None)) as tts:
            assert tts.generate("Hello").duration > 0
            with pytest.raises(errors.UnknownOption, match="none"):
                tts.generate("Hello", loudness=0.2)

    @pytest.mark.parametrize("options", ["no_such_module:Options", "realtts.synthesis.speech:Chunk"], ids=str)
    def test_wrong_import_path(self, options):
        """Is a fault of the plugin, named as such."""
        with pytest.raises(errors.InvalidPlugin, match="options"):
            RealProvider(fake_spec(options=options)).generate("Hello")


def test_isolation_is_refused_while_there_is_none():
    """Asking for it is a typed error; the other values run in process."""
    with pytest.raises(errors.IsolationError):
        RealProvider(fake_spec(), isolation="always")
    with RealProvider(fake_spec(), isolation="never") as tts:
        assert tts.get_provider_status()["isolation"] == "in-process"


def test_device_that_is_not_there():
    """Asked for by keyword it is an error; from the environment it does not forbid what cannot use it."""
    with RealProvider(fake_spec(), device="cuda") as tts, pytest.raises(errors.SettingsError, match="cannot run on"):
        tts.load()


def test_device_from_the_environment_is_a_wish(monkeypatch):
    """REALTTS_DEVICE=cuda for the other providers does not stop a CPU-only one."""
    monkeypatch.setenv("REALTTS_DEVICE", "cuda")
    with RealProvider(fake_spec()) as tts:
        assert tts.load().get_provider_status()["optimization_details"]["device"] == "cpu"


def test_dropped_provider_ends_its_thread():
    """Without close(): the last reference is enough."""
    tts = RealProvider(fake_spec()).load()
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("realtts-fake") == 1
    ladder = weakref.ref(tts._ladder)
    del tts
    gc.collect()
    assert not any(thread.name == "realtts-fake" for thread in threading.enumerate())
    gc.collect()
    assert ladder() is None


def test_a_provider_knows_whether_somebody_listens(monkeypatch):
    """Only the requests of a stream say so."""
    seen = []

    class Listening:
        @realtts.hookimpl
        def load(self):
            return object()

        @realtts.hookimpl
        def generate(self, request):
            seen.append(request.streaming)
            yield Chunk(np.full(800, 0.1, np.float32), 16_000)

    monkeypatch.setattr("realtts.testing.faults.Listening", Listening, raising=False)
    with RealProvider(fake_spec(plain="realtts.testing.faults:Listening", optimized=None, options=None)) as watched:
        list(watched.stream("Hello"))
        watched.generate("Hello")
    assert seen == [True, False]


def test_stream_keeps_its_provider():
    """A stream of a provider that nobody else refers to is spoken to its end."""
    stream = RealProvider(fake_spec()).stream("Hello there")
    gc.collect()
    assert sum(chunk.duration for chunk in stream) == pytest.approx(0.2)


def test_repr_and_spec(tts):
    """For people at a prompt."""
    assert repr(tts) == "RealProvider('fake', state='unloaded')"


def test_state_and_rung_are_those_of_the_status(make):
    """Before and after a load, while it speaks, unloaded again, failed, and closed."""

    def seen(tts):
        status = tts.get_provider_status()
        assert (tts.state, tts.rung) == (status["state"], status["rung"])
        return tts.state, tts.rung is not None

    tts = make()
    assert seen(tts) == ("unloaded", False)
    assert seen(tts.load()) == ("ready", True)
    with tts.stream("alpha beta gamma", delay_s=0.01) as stream:
        next(stream)
        assert seen(tts)[1]
    tts.unload()
    assert seen(tts) == ("unloaded", False)
    tts.close()
    assert seen(tts) == ("closed", False)
    with RealProvider(faulty(fake_spec(), "load"), strict=True) as broken:
        with pytest.raises(errors.RealTTSError):
            broken.load()
        assert seen(broken) == ("failed", False)
    assert tts.spec.name == "fake"


def test_speech_saves_and_plays(tts, tmp_path):
    """To a file, to subtitles and in a notebook."""
    speech = tts.generate("Hello there my friend")
    speech.save(tmp_path / "hello.wav")
    samples, rate = soundfile.read(tmp_path / "hello.wav")
    assert (len(samples), rate) == (len(speech.samples), speech.sample_rate)
    assert "Hello there my friend" in speech.srt()
    assert speech.vtt().startswith("WEBVTT")
    assert speech._repr_html_().startswith("<audio controls")


def test_ten_line_provider_runs_as_printed(monkeypatch):
    """The smallest provider of the design: one class with load and generate, in one file with its spec."""
    import sys
    import types

    source = """
import numpy as np
from realtts import Chunk, ProviderSpec, hookimpl

class Beep:
    @hookimpl
    def load(self, context): return object()
    @hookimpl
    def generate(self, context, model, request):
        for _ in request.text.split():
            if request.cancelled(): return
            yield Chunk(np.full(2400, 0.1, np.float32), 24000)

spec = ProviderSpec(name="beep", summary="One beep per word", sample_rates=(24000,), plain="beep:Beep")
"""
    module = types.ModuleType("beep")
    exec(source, module.__dict__)  # the module is written here so that the printed lines stay as they are
    monkeypatch.setitem(sys.modules, "beep", module)
    with RealProvider(module.spec) as tts:
        speech = tts.generate("Hello there my friend")
        assert (speech.duration, speech.sample_rate) == (pytest.approx(0.4), 24000)
        assert isinstance(next(tts.stream("Hello")), Chunk)
