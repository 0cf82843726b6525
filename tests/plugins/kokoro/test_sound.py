"""What is heard: words in their places, equal samples from equal requests, and an end at once when it is cancelled."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sounding import median_ms, offsets_alone, offsets_inside

from realtts import errors
from realtts.kit.onnx import OnnxGraph, RunCancelled
from realtts_kokoro.network import RATE

SENTENCES = (
    "Hello there.",
    "The rain had stopped, but nobody went out.",
    "Who would have thought that?",
    "Bring the ladder, the lamp and the long rope!",
    "Although the harbour was full, the last boat found a place beside the old wall.",
)


@pytest.mark.parametrize("text", SENTENCES)
def test_every_word_has_a_mark(say, text) -> None:
    """In order, in its place of the text and of the audio."""
    chunks = list(say.stream(text))
    marks = [mark for chunk in chunks for mark in chunk.marks]
    assert [text[slice(*mark.span)] for mark in marks] == [word.strip(",.?!") for word in text.split()]
    seconds = sum(chunk.duration for chunk in chunks)
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        assert 0 <= mark.start < mark.end <= (seconds if after is None else after.start + 1e-9)


def test_sentences_are_chunks_with_their_marks(say) -> None:
    """No chunk tells of what a later one says."""
    seconds = 0.0
    chunks = list(say.stream(" ".join(SENTENCES)))
    assert len(chunks) == len(SENTENCES)
    for chunk in chunks:
        assert all(seconds <= mark.start <= mark.end <= seconds + chunk.duration + 1e-9 for mark in chunk.marks)
        seconds += chunk.duration


def test_clauses_are_heard_sooner(say) -> None:
    """In chunks of their own, with the same words."""
    whole, parts = (list(say.stream(SENTENCES[-1], split=split)) for split in ("sentence", "clause"))
    assert len(parts) == 2
    assert parts[0].duration < whole[0].duration
    spans = [[mark.span for chunk in chunks for mark in chunk.marks] for chunks in (whole, parts)]
    assert spans[0] == spans[1]


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 1.5, 2.0])
def test_speed(say, speed) -> None:
    """Lengths are divided by it, up to the frames."""
    assert len(say.samples(SENTENCES[-1], speed=speed)) / len(say.samples(SENTENCES[-1])) == pytest.approx(
        1 / speed, rel=0.2
    )


def test_voices_differ_and_blends_lie_between(say) -> None:
    """A blend is the weighted sum of the styles; equal blends are equal, however they are written."""
    styles = say.model.voices.styles
    one, other = styles("af_heart"), styles("af_sky")
    assert not np.array_equal(one, other)
    for written in ("af_heart:0.6,af_sky:0.4", "af_heart:3,af_sky:2", " af_sky:40 , af_heart:60"):
        assert np.allclose(styles(written), 0.6 * one + 0.4 * other, atol=1e-6)
    assert np.allclose(styles("af_heart,af_sky"), (one + other) / 2, atol=1e-6)
    assert np.array_equal(styles("af_heart:2"), one)


@pytest.mark.parametrize("voice", ["af_heart", "Heart", "AF-HEART", "heart:1,sky:2", "af_sky:0.5,Lewis:0.5"])
def test_voices_by_name(tts, voice) -> None:
    """By id or short name, alone and in blends."""
    assert tts.generate("Hello.", voice=voice, language="en").duration > 0.2


@pytest.mark.parametrize(
    "voice", ["af_hart", "af_heart:0.5,af_nobody:0.5", "af_heart:-1,af_sky:2", "af_heart:x,af_sky", "af_heart:1,,"]
)
def test_voices_that_do_not_exist(tts, voice) -> None:
    """Are refused, alone and in blends, and so are shares that are none."""
    with pytest.raises(errors.VoiceNotFound):
        tts.generate("Hello.", voice=voice)


@pytest.mark.parametrize(
    ("language", "voice"),
    [("en-gb", "bm_lewis"), ("es", "ef_dora"), ("ja", "jf_alpha"), ("zh", "zf_xiaobei"), (None, "af_heart")],
)
def test_the_default_voice_of_a_language(say, language, voice) -> None:
    """The first one of it that is there; a language without any is an error that names those that there are."""
    assert say.model.voices.default(language) == voice
    with pytest.raises(errors.VoiceNotFound, match="af_heart"):
        say.model.voices.default("it")


def test_cancelling_between_and_before(say) -> None:
    """It is asked before each phrase; nothing comes after that."""
    for asked in range(3):
        answers = iter([False] * asked)
        chunks = list(say.stream(" ".join(SENTENCES), cancelled=lambda answers=answers: next(answers, True)))
        assert len(chunks) <= asked


def test_cancelling_inside_a_sentence(say, monkeypatch) -> None:
    """While the graph runs: no chunk comes of it."""
    asked = threading.Event()

    def run(*_, cancelled, **__):
        assert not cancelled()
        asked.set()
        raise RunCancelled

    monkeypatch.setattr(type(say.model.network._graph), "run", run)
    assert list(say.stream(SENTENCES[-1])) == []
    assert asked.is_set()


class EndlessSession:
    """A session of ONNX Runtime whose run ends only when it is told to."""

    def io_binding(self):
        """Return what binds nothing."""
        return self

    def run_with_iobinding(self, _, options=None) -> None:
        """Run until the end is asked for."""
        while not options.terminate:
            time.sleep(0.001)
        raise RuntimeError("Exiting due to terminate flag")


def test_a_run_is_told_to_end() -> None:
    """By another thread, once the request is cancelled; any other error of the run stays what it is."""
    asked = iter([False, False])
    with pytest.raises(RunCancelled):
        OnnxGraph(EndlessSession(), (), (), "CPU").run({}, cancelled=lambda: next(asked, True))
    with pytest.raises(AttributeError):
        OnnxGraph(object(), (), (), "CPU").run({}, cancelled=lambda: True)


def test_eight_threads_at_once(say) -> None:
    """Give what one gives, of several voices."""
    voices = ["af_heart", "af_sky", "bm_lewis", "af_heart:0.6,af_sky:0.4"]
    jobs = [(text, voice) for text in SENTENCES for voice in voices]
    alone = [say.samples(text, voice=voice, language="en-us") for text, voice in jobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda job: say.samples(job[0], voice=job[1], language="en-us"), jobs))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_phonemes_in_ssml(tts) -> None:
    """Are spoken in place of the text."""
    ssml = '<speak><phoneme alphabet="ipa" ph="wˈɜɹld">x</phoneme></speak>'
    speech = tts.generate(ssml, language="en-us")
    assert speech.samples.size > 0
    assert not [warning for warning in speech.warnings if "cannot speak" in warning]


def test_a_real_run_ends_early(real) -> None:
    """A sentence of the real model is stopped inside: the graph would take much longer than what is left of it."""
    style = real.model.voices.styles("jf_alpha")[-1]
    with pytest.raises(RunCancelled):
        real.model.network([50] * 400, style, 1.0, lambda: True)
    assert RATE == 24000


@pytest.mark.slow  # minutes; by default test_upstream.test_samples_are_those_of_kokoro_onnx looks at each word
@pytest.mark.parametrize("speed", [1.0, 0.7])
def test_marks_are_where_the_sound_is(real_tts, speed) -> None:
    """Within 40 ms at the median: words alone, with every kind of beginning, and words inside of a sentence."""
    given = {"speed": speed, "voice": "jf_alpha", "language": "en-us"}
    starts, ends = offsets_alone(real_tts, **given)
    assert max(map(median_ms, (starts, ends, offsets_inside(real_tts, **given)))) <= 40
    assert abs(statistics.median(starts)) <= 0.02
