"""When words are heard: by the lengths of symbols between words, by the sound at pauses."""

from __future__ import annotations

import numpy as np
import pytest

from realtts.kit.phrases import Word
from realtts.kit.word_times import WordTimes, joined_words, word_spans

RATE = 1000  # a sample is a millisecond


@pytest.mark.parametrize(
    ("spans", "joined"),
    [
        ([(0, 2), (3, 5)], [(0, 1, (0, 2)), (1, 2, (3, 5))]),
        ([(0, 4), (0, 4), (0, 4)], [(0, 3, (0, 4))]),
        ([(0, 4), (2, 6), (7, 9)], [(0, 2, (0, 6)), (2, 3, (7, 9))]),
        ([(0, 6), (2, 4)], [(0, 2, (0, 6))]),
        ([], []),
    ],
)
def test_words_of_one_stretch_are_one(spans, joined) -> None:
    """From the first one's beginning to the last one's end."""
    words = [Word(span, at, at + 1) for at, span in enumerate(spans)]
    assert [(word.first, word.last, word.span) for word in joined_words(iter(words))] == joined


def words_of(*places: tuple[int, int], follows: bool) -> list[Word]:
    """Words of symbols, one behind the other."""
    return [Word((at, at + 1), *place, follows and at > 0) for at, place in enumerate(places)]


@pytest.mark.parametrize(
    ("places", "lag", "follows", "spans"),
    [
        ([(1, 3), (4, 6)], 0, False, [(100, 300), (400, 600)]),
        ([(1, 3), (4, 6)], 0, True, [(100, 300), (300, 600)]),
        ([(1, 3), (4, 6)], 50, True, [(50, 250), (250, 550)]),
        ([(0, 3)], 50, False, [(0, 250)]),
        ([(0, 1), (2, 3), (4, 5)], 0, True, [(0, 100), (100, 300), (300, 500)]),
    ],
)
def test_lengths(places, lag, follows, spans) -> None:
    """The space before a word is its own time, and all are earlier by the lag."""
    assert word_spans(words_of(*places, follows=follows), range(0, 700, 100), lag=lag) == spans


def sound(*loud: tuple[int, int], seconds: float = 1.0) -> np.ndarray:
    """A tone at some milliseconds, silence elsewhere."""
    samples = np.full(round(seconds * RATE), 1e-4, np.float32)
    for start, end in loud:
        samples[start:end] = 0.2
    return samples


@pytest.mark.parametrize(
    ("loud", "spans"),
    [
        ([(120, 560)], [(120, 300), (300, 560)]),  # one pause before, one behind
        ([(230, 560)], [(230, 300), (300, 560)]),  # begins later than its length
        ([(50, 640)], [(50, 300), (300, 600)]),  # sounds on behind its length
        ([(120, 200), (260, 560)], [(120, 300), (300, 560)]),  # a closure inside of a word
        ([], [(200, 300), (300, 600)]),  # nothing is heard: as the lengths say
    ],
)
def test_pauses_at_both_ends(loud, spans) -> None:
    """The first word begins and the last one ends with the sound."""
    times = WordTimes(words_of((2, 3), (4, 6), follows=True), range(0, 700, 100), rate=RATE, lag=0)
    assert [(first, last) for _, first, last in times.due(sound(*loud), final=True)] == spans


@pytest.mark.parametrize(
    ("loud", "spans"),
    [
        ([(100, 260), (370, 560)], [(100, 260), (370, 560)]),
        ([(100, 260), (445, 560)], [(100, 260), (445, 560)]),  # up to 60 ms behind the length's beginning
        ([(100, 290), (300, 560)], [(100, 290), (400, 560)]),  # 10 ms are no pause to begin behind
        ([(100, 260), (330, 480), (520, 560)], [(100, 260), (330, 560)]),  # the closure behind it is shorter
    ],
)
def test_a_pause_between_words(loud, spans) -> None:
    """Where punctuation stands, the words end and begin at the silence."""
    times = WordTimes(words_of((1, 3), (4, 6), follows=False), range(0, 700, 100), rate=RATE, lag=0)
    assert [(first, last) for _, first, last in times.due(sound(*loud), final=True)] == spans


@pytest.mark.parametrize("size", [1, 7, 50, 333, 1000])
def test_each_word_comes_once_its_sound_is_there(size) -> None:
    """And is the same, whatever the blocks are."""
    words, samples = words_of((1, 2), (3, 5), (6, 9), follows=True), sound((90, 880))
    whole = WordTimes(words, range(0, 1000, 100), rate=RATE, lag=20).due(samples, final=True)
    times, parts = WordTimes(words, range(0, 1000, 100), rate=RATE, lag=20), []
    for end in range(size, len(samples) + size, size):
        due = times.due(samples[:end], final=end >= len(samples))
        assert all(last <= end for _, _, last in due)
        parts += due
    assert parts == whole
    assert [word for word, _, _ in parts] == words
