"""Streaming, cancellation, threads, and equal samples for equal requests."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from realtts import errors

LONG = "The quick brown fox jumps over the lazy dog and then " * 15 + "sleeps."


def test_one_chunk_per_sentence(say) -> None:
    """Three sentences, three chunks, and the first needs only the first sentence."""
    chunks = say.stream("One here. Two here! Three here?")
    first = next(chunks)
    assert np.array_equal(first.samples[: 22050 // 2], say("One here. Two").samples[: 22050 // 2])
    assert len(list(chunks)) == 2


def test_paragraphs_pause_longer(say) -> None:
    """A blank line is heard."""
    assert say("One.\n\nTwo.").duration > say("One. Two.").duration + 0.1


def test_an_unread_stream_blocks_nobody(say) -> None:
    """The lock is not held across a yield."""
    stream = say.stream("One. Two.")
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(say, "Hello.").result(timeout=10).duration > 0.2
    assert len(list(stream)) == 1


def test_long_sentences_are_cut(say) -> None:
    """Without a full stop for 6,000 characters: many chunks, all words."""
    text = "word and another " * 360
    spoken = say(text)
    assert len(spoken.chunks) >= 6
    assert spoken.words == text.split()


def test_cancellation_inside_a_sentence(say) -> None:
    """It is asked at every 100 ms of audio, stops there, and leaves nothing behind."""
    before = say("Hello there.").samples
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 5

    assert list(say.stream(LONG, cancelled=cancelled)) == []
    assert len(asked) < 10
    assert np.array_equal(say("Hello there.").samples, before)


def test_cancellation_between_sentences(say) -> None:
    """What came before stays."""
    flag = threading.Event()
    stream = say.stream("One. Two. Three.", cancelled=flag.is_set)
    next(stream)
    flag.set()
    assert list(stream) == []


def test_error_in_cancelled_comes_through(say) -> None:
    """An exception inside the C callback is not swallowed."""

    def cancelled() -> bool:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        say("Hello.", cancelled=cancelled)
    assert say("Hello.").duration > 0.2


@pytest.mark.parametrize("variant", ["", "whisper", "croak", "klatt", "announcer"], ids=lambda name: name or "none")
def test_equal_requests_give_equal_samples(say, variant: str) -> None:
    """Whatever was said in between."""
    first = say("Hello there. Who are you?", variant=variant).samples
    say("Etwas ganz anderes.", voice="de", variant="f2", rate=300, pitch=80, ssml=True)
    assert np.array_equal(say("Hello there. Who are you?", variant=variant).samples, first)


def test_sentences_do_not_depend_on_each_other(say) -> None:
    """A sentence sounds the same after another one as alone."""
    alone = say("Who are you?").samples
    assert np.array_equal(say("Hello there. Who are you?").chunks[1].samples, alone)


def test_threads_do_not_disturb_each_other(say) -> None:
    """Eight voices at once, bit-equal to one after the other."""
    jobs = [
        {"voice": "en-us"},
        {"voice": "de", "variant": "croak"},
        {"voice": "fr-fr", "variant": "whisper"},
        {"voice": "cmn", "variant": "klatt"},
        {"voice": "ru", "rate": 300},
        {"voice": "ja", "pitch": 90},
        {"voice": "hi", "volume": 40},
        {"voice": "en-gb", "punctuation": True, "word_gap": 5},
    ]
    text = "Hello 12. Good bye 34. Again 56."
    alone = [say(text, **job).samples for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            together = list(pool.map(lambda job: say(text, **job).samples, jobs))
            assert all(map(np.array_equal, together, alone))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_others_speak(say) -> None:
    """A child forked at any moment speaks, and sounds the same."""
    wanted = say("Hello.").samples
    stop = threading.Event()
    threads = [threading.Thread(target=lambda: [say(LONG) for _ in iter(stop.is_set, True)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0 if np.array_equal(say("Hello.").samples, wanted) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("text", ["...", "\u200b\u200d", "- - -"], ids=ascii)
def test_nothing_to_say(say, text: str) -> None:
    """A typed error instead of silence."""
    with pytest.raises(errors.UnspeakableText):
        say(text)


def test_silent_sentences_are_passed_over(say) -> None:
    """Nothing to say in between is no error."""
    assert say("One. ... Two.").words == ["One", "Two"]


@pytest.mark.parametrize(
    "text",
    ["\x01V de\x01 hello", "\x0199P hello", "[\x02h@loU]] hello", "\ue03cb\ue03e hello", "\u0530 hello \u0557"],
    ids=ascii,
)
def test_control_codes_do_nothing(say, text: str) -> None:
    """Embedded commands and internal marks of espeak are spaces for us."""
    harmless = "".join(char if char.isprintable() and char.isascii() else " " for char in text)
    assert np.array_equal(say(text).samples, say(harmless).samples)


@pytest.mark.parametrize("text", ["[[h@loU]]", "<b>loud</b>", "a &amp; b", "<break time='5s'/>"], ids=str)
def test_markup_is_text(say, text: str) -> None:
    """Without ssml=True its letters are read."""
    markup_free = say("hello" if "[" in text else "loud").duration
    assert say(text).duration > markup_free
    assert say(text).duration < 4.5


def test_python_locale_is_left_alone(say) -> None:
    """The library sets the character type locale of the process; it is put back."""
    import locale

    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C")
        say("Grüße", language="de")
        assert locale.setlocale(locale.LC_CTYPE) == "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
