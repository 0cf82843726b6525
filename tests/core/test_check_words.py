"""``check_words`` and ``timestamps="align"``: pieces are listened to before anybody gets them."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from talker import GAP_S, WORD_S, Listener, Talker, talker_spec

from realtts import RealProvider
from realtts.errors import CheckpointMissing, InvalidOption, MissingExtra
from realtts.listening import Heard

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jiwer", "whisper_normalizer")),
    reason="of realtts[listen]",
)

TEXTS = [
    ("Bring twelve apples, please.", "twelve"),
    ("Meet me at noon tomorrow.", "noon"),
    ("Never open that door.", "Never"),
    ("She ran home (quickly) alone.", "alone"),
    ("Turn left, then right, then stop.", "right"),
]
TWO = "One bird sang in the old tree. Two dogs slept on the porch."


@pytest.fixture
def listener(monkeypatch):
    """The recognizer that every call finds."""
    Talker.tries.clear()
    Talker.seeds.clear()
    listener = Listener()
    monkeypatch.setattr("realtts.synthesis.words_asked.find_recognizer", lambda *_: listener)
    return listener


def speak(text, spec=None, **arguments):
    """A speech of the talker."""
    with RealProvider(spec or talker_spec()) as tts:
        return tts.generate(text, seed=1, **arguments)


@pytest.mark.parametrize(("text", "lost"), TEXTS)
def test_a_piece_that_lacks_a_word_is_spoken_again(listener, text, lost):
    """With another seed, until its words are all there; how often stands in the metrics and the warnings."""
    speech = speak(text, lost=(lost,), tries=1, check_words=True)
    assert [word.text for word in listener.hear(speech.samples, 16_000, "en").words] == text.split()
    assert speech.metrics.retries == 1
    (warning,) = speech.warnings
    column = text.index(lost) + 1
    assert f"lacked {lost!r} (line 1, column {column}) and was spoken again" in warning
    assert len(set(Talker.seeds)) == 2


@pytest.mark.parametrize(("text", "lost"), TEXTS)
def test_retries_are_bounded(listener, text, lost):
    """What is never said is spoken three times, and then stands with a warning."""
    speech = speak(text, lost=(lost,), trails=True, check_words=True)
    assert Talker.tries[text] == 3
    assert speech.metrics.retries == 2
    assert f"lacks {lost!r}" in speech.warnings[-1]
    assert "3 times" in speech.warnings[-1]


def test_a_provider_that_repeats_itself_is_not_asked_again_and_again(listener):
    """Whose speech does not depend on the seed: once more in a call, and never for its later pieces."""
    speech = speak(TWO, talker_spec(max_chars=35), lost=("bird", "dogs"), check_words=True)
    assert sorted(Talker.tries.values()) == [1, 2]
    assert speech.metrics.retries == 1
    assert [("bird" in w, "dogs" in w) for w in speech.warnings if "lacks" in w] == [(True, False), (False, True)]


def test_the_best_take_stands(listener):
    """Of takes that all lack words, the one that lacks fewest."""
    lost_by_try = iter([("cat", "mat"), ("mat",), ("the", "cat", "mat")])
    heard = listener.hear

    def hear(samples, *arguments, **keywords):
        lost = next(lost_by_try, None)
        words = heard(samples, *arguments, **keywords).words
        return Heard(tuple(word for word in words if lost is None or word.text.strip(".").lower() not in lost))

    listener.hear = hear
    speech = speak("The cat sat on the mat.", trails=True, check_words=True)
    assert len(speech.samples) == round(6 * (WORD_S + GAP_S) * 16_000) + 200  # of the second take
    assert "lacks 'mat' (line 1, column 20)" in speech.warnings[-1]


def test_nothing_is_listened_to_unless_asked(listener):
    """Nor is anything held."""
    assert not speak("Hello there.", lost=("there",)).warnings
    assert not listener.calls


def test_a_stream_holds_each_piece_until_it_was_checked(listener):
    """The reader never gets audio of a take that is given up, and the second piece may begin again as well."""
    with RealProvider(talker_spec(max_chars=35)) as tts:
        with tts.stream(TWO, seed=1, lost=("bird", "dogs"), tries=1, check_words=True) as stream:
            samples = np.concatenate([chunk.samples for chunk in stream])
        whole = tts.generate(TWO, seed=1)
    assert stream.metrics.retries == 2
    np.testing.assert_array_equal(samples, whole.samples)


def test_a_text_that_is_still_being_written_is_checked_too(listener):
    """Sentence by sentence."""
    with RealProvider(talker_spec()) as tts:
        words = (f"{word} " for word in TWO.split())
        chunks = list(tts.stream(words, seed=1, lost=("dogs",), tries=1, check_words=True))
    assert sum("was spoken again" in warning for chunk in chunks for warning in chunk.warnings) == 1


def test_rows_of_a_batch_are_checked_each(listener):
    """And only those begin again that lack words."""
    with RealProvider(talker_spec()) as tts:
        good, bad = tts.generate_batch(["All is well.", "All is lost."], lost=("lost",), tries=1, check_words=True)
    assert (good.metrics.retries, bad.metrics.retries) == (0, 1)


def test_places_are_those_of_the_callers_text(listener):
    """Behind what the front end and SSML have made of it."""
    text = "<speak>\nHello <emphasis>there</emphasis>, friend.</speak>"
    speech = speak(text, lost=("there",), check_words=True, ssml=True)
    assert any("'there' (line 2, column 17)" in warning for warning in speech.warnings)


def test_a_recognizer_that_fails_costs_no_speech(listener):
    """It is handed over, and the caller is told."""

    def hear(*_, **__):
        raise RuntimeError("no ears")

    listener.hear = hear
    speech = speak("Hello there.", check_words=True)
    assert speech.duration
    assert "was not listened to" in speech.warnings[0]
    assert "no ears" in speech.warnings[0]


@pytest.mark.parametrize(
    "arguments",
    [{"check_words": "yes"}, {"check_words": 1}, {"check_words": None}, {"timestamps": "words"}, {"timestamps": True}],
)
def test_wrong_arguments(listener, arguments):
    """Are refused before anything is spoken."""
    with pytest.raises(InvalidOption, match=r"check_words|timestamps"):
        speak("Hello.", **arguments)
    assert not Talker.tries


def test_without_a_recognizer(monkeypatch, tmp_path):
    """The error comes before any work, and says how to get one."""
    Talker.tries.clear()
    with (
        pytest.raises((CheckpointMissing, MissingExtra), match="install"),
        RealProvider(talker_spec(), recognizer=str(tmp_path / "nowhere")) as tts,
    ):
        tts.generate("Hello.", check_words=True)
    assert not Talker.tries


@pytest.mark.parametrize(("text", "lost"), TEXTS)
def test_words_get_timings(listener, text, lost):
    """Of a provider that gives none; a word that was not heard lies between its neighbours."""
    speech = speak(text, timestamps="align")
    words = [(speech.text[slice(*mark.span)], mark) for mark in speech.marks]
    assert [word for word, _ in words] == [word.strip(".,()") for word in text.split()]
    for index, (_, mark) in enumerate(words):
        assert mark.start == pytest.approx(index * (WORD_S + GAP_S), abs=0.002)
        assert mark.end == pytest.approx(mark.start + WORD_S, abs=0.002)
    lacking = speak(text, timestamps="align", lost=(lost,))
    assert len(lacking.marks) == len(words)
    assert all(a.end <= b.start for a, b in zip(lacking.marks, lacking.marks[1:], strict=False))


def test_timings_of_pieces_stand_in_the_whole(listener):
    """Streamed and whole alike, at another speed as well; they make captions."""
    spec = talker_spec(max_chars=35)
    speech = speak(TWO, spec, timestamps="align")
    with RealProvider(spec) as tts:
        chunks = list(tts.stream(TWO, seed=1, timestamps="align"))
    assert tuple(mark for chunk in chunks for mark in chunk.marks) == speech.marks
    assert [speech.text[slice(*mark.span)] for mark in speech.marks] == TWO.replace(".", "").split()
    assert speech.marks[-1].end <= speech.duration
    assert "Two dogs slept on the porch." in speech.srt()
    slow = speak(TWO, spec, timestamps="align", speed=0.5)
    assert slow.marks[1].start == pytest.approx(2 * speech.marks[1].start, rel=0.01)


def test_the_providers_own_timings_stay(listener):
    """Where it gives some, nobody has to listen."""
    from realtts.testing import fake_spec

    with RealProvider(fake_spec()) as tts:
        assert (
            tts.generate("Hello there", timestamps="align", seed=1).marks == tts.generate("Hello there", seed=1).marks
        )
    assert not listener.calls


def test_words_and_timings_together(listener):
    """The timings are those of the take that stands, and it is listened to once per take."""
    speech = speak("All is well here.", lost=("well",), tries=1, check_words=True, timestamps="align")
    assert listener.calls == 2
    assert speech.marks[-1].end == pytest.approx(4 * (WORD_S + GAP_S) - GAP_S, abs=0.002)
