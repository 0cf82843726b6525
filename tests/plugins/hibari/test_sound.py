"""What is heard: the same as upstream, from the first sound to the last, with the words where they are spoken."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hibari import Hibari as Upstream
from sounding import median_ms, offsets_alone, offsets_inside

from realtts.kit.english import read_asset
from realtts_hibari.reading import read
from realtts_hibari.vocoder import RATE, samples_of

SENTENCES = (
    "Hello there.",
    "The rain had stopped, but nobody went out.",
    "Who would have thought that?",
    "Bring the ladder, the lamp and the long rope!",
    "Although the harbour was full, the last boat found a place beside the old wall.",
)


@pytest.fixture(scope="module")
def upstream() -> Upstream:
    """hibari-tts itself."""
    return Upstream()


@pytest.mark.parametrize("text", SENTENCES)
def test_samples_are_upstreams(say, upstream, text) -> None:
    """The same phonemes, and samples that differ by rounding only."""
    (phrase,) = say.model.phrases.of(read(text).text)
    assert phrase.symbols[0].tolist() == upstream.ids(upstream.g2p(text))
    mine = np.concatenate(list(samples_of(say.model.network(phrase.symbols, 1.0), np.random.default_rng(3))))
    assert np.abs(mine - upstream(text, seed=3)).max() < 1e-5


def test_blocks_do_not_change_the_samples(say, monkeypatch) -> None:
    """However the frames are cut, the whole is the same."""
    (phrase,) = say.model.phrases.of(SENTENCES[-1])
    spectrum = say.model.network(phrase.symbols, 1.0)
    whole = np.concatenate(list(samples_of(spectrum, np.random.default_rng(1))))
    for first, others in ((7, 13), (1, 100), (80, 5), (10_000, 1), (3, 3)):
        monkeypatch.setattr("realtts_hibari.vocoder._FIRST_BLOCK", first)
        monkeypatch.setattr("realtts_hibari.vocoder._BLOCK", others)
        monkeypatch.setattr("realtts_hibari.vocoder._LEAST", 1)
        parts = list(samples_of(spectrum, np.random.default_rng(1)))
        assert np.abs(np.concatenate(parts) - whole).max() < 1e-6


@pytest.mark.parametrize("text", SENTENCES)
def test_silence_at_the_ends_is_short(say, text) -> None:
    """0.05 s before, 0.1 s behind, whatever the graph makes; no clipping, and loud enough."""
    samples = say.samples(text)
    loud = np.flatnonzero(np.abs(samples) > 1e-3)
    assert loud[0] <= 0.051 * RATE
    assert len(samples) - loud[-1] <= 0.101 * RATE
    assert 0.1 < np.abs(samples).max() < 1.0


def test_sentences_and_paragraphs_pause(say) -> None:
    """Paragraphs longer."""
    apart = [len(say.samples(text)) for text in ("One here. Two here.", "One here.\n\nTwo here.")]
    assert 0.2 * RATE < apart[1] - apart[0] < 0.5 * RATE
    loud = np.abs(say.samples("One here. Two here.")) > 1e-3
    pauses = np.diff(np.flatnonzero(loud))
    assert 0.2 * RATE < pauses.max() < 1.0 * RATE


def test_seeds(say) -> None:
    """The same samples for the same seed; of another one the noise differs, and nothing else."""
    one, again, other = (say.samples("Such a soft sound.", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert abs(len(one) - len(other)) < 0.05 * RATE


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.5, 2.0, 4.0])
def test_speed(say, speed) -> None:
    """Sounds last as long as asked for within what the graph has learnt; beyond it there is a warning."""
    chunks = list(say.stream(SENTENCES[1], speed=speed))
    seconds = sum(chunk.duration for chunk in chunks) / (len(say.samples(SENTENCES[1])) / RATE)
    warned = any("speeds from 0.5 to 2" in warning for chunk in chunks for warning in chunk.warnings)
    assert warned == (not 0.5 <= speed <= 2)
    if not warned:
        assert seconds == pytest.approx(1 / speed, rel=0.15)


@pytest.mark.parametrize("text", [*SENTENCES, "Well-known words don't stop, e.g. 'these'. (So it is!)"])
def test_every_word_has_a_mark(say, text) -> None:
    """In order, each in its place of the text, where something sounds."""
    chunks = list(say.stream(text))
    marks = [mark for chunk in chunks for mark in chunk.marks]
    words = ["".join(char for char in word if char.isalnum()) for word in text.split()]
    assert ["".join(char for char in text[slice(*mark.span)] if char.isalnum()) for mark in marks] == words
    samples = np.concatenate([chunk.samples for chunk in chunks])
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        assert 0 <= mark.start < mark.end <= len(samples) / RATE
        assert after is None or mark.end <= after.start + 1e-9
        assert np.abs(samples[int(mark.start * RATE) : int(mark.end * RATE)]).max() > 1e-3


def test_marks_come_with_their_audio(say) -> None:
    """No chunk tells of what a later one says."""
    seconds = 0.0
    for chunk in say.stream(" ".join(SENTENCES)):
        seconds += chunk.duration
        assert all(mark.end <= seconds + 1e-9 for mark in chunk.marks)


def test_the_first_chunk_is_short(say) -> None:
    """A stream of a long sentence begins after a second of it."""
    chunks = say.stream(SENTENCES[-1] + " " + SENTENCES[1])
    assert next(chunks).duration <= 1.0
    chunks.close()


def test_cancelling_inside_a_sentence(say) -> None:
    """It is asked before and behind the graph and at every block, and nothing comes after that."""
    for asked in range(5):
        answers = iter([False] * asked)
        chunks = list(say.stream(SENTENCES[-1], cancelled=lambda answers=answers: next(answers, True)))
        assert sum(chunk.duration for chunk in chunks) < 5
        assert len(chunks) <= max(0, asked - 1)


def test_graphs_without_durations_speak_without_marks(say, context, monkeypatch) -> None:
    """A voice that was exported otherwise."""
    from realtts_hibari import network

    monkeypatch.setattr(network, "_DURATIONS", "/Not_in_the_graph")
    bare = network.Network(read_asset("hibari.onnx", "hibari"), context(), name="hibari.onnx")
    assert not bare.tells_durations
    model = type(say.model)(say.model.voice, bare, say.model.phrases)
    chunks = list(type(say)(say.context, model).stream("Hello there."))
    assert sum(chunk.duration for chunk in chunks) > 0.3
    assert not any(chunk.marks for chunk in chunks)


@pytest.mark.parametrize("speed", [1.0, 0.6, 1.8])
def test_marks_are_where_the_sound_is(tts, speed) -> None:
    """Within 40 ms at the median: words alone, with every kind of beginning, and words inside of a sentence."""
    starts, ends = offsets_alone(tts, speed=speed)
    assert max(map(median_ms, (starts, ends, offsets_inside(tts, speed=speed)))) <= 40
    assert abs(statistics.median(starts)) <= 0.02
