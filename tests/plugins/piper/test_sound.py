"""What is heard: windows, seeds, loudness, marks, cancellation; and graphs of other shapes."""

from __future__ import annotations

import statistics
import threading

import numpy as np
import pytest
from sounding import median_ms, offsets_alone, offsets_inside

from realtts import errors
from realtts.contract.delivery import Delivery
from realtts.contract.spec import Checkpoint
from realtts_piper import network
from realtts_piper.plain import Plain, load_piper
from realtts_piper.testing import write_random_checkpoint

from .conftest import Speaker, make_context

RATE = 22050
TEXTS = (
    "Hello there.",
    "The rain had stopped, but nobody went out.",
    "Who would have thought that? Nobody!",
    "Although the harbour was full, the last boat found a place beside the old wall, and it was late.",
    "One. Two. Three.",
)


@pytest.mark.parametrize("text", TEXTS)
def test_windows_sound_like_the_whole(say, voices, text, monkeypatch) -> None:
    """Wherever they are cut."""
    context = make_context(Checkpoint("voice", path=voices))
    whole = Speaker(context, Plain().load(context)).samples(text, seed=4, voice="speaker_1")
    assert not load_piper(context, windows=False).network.windowed
    for first, size in ((40, 200), (7, 13), (1, 50), (10_000, 10_000), (3, 3)):
        monkeypatch.setattr(network, "LATER", (first, size))
        assert np.abs(say.samples(text, seed=4, voice="speaker_1") - whole).max() < 1e-5


def test_windows_of_a_real_vocoder(joe, monkeypatch) -> None:
    """It sees far enough to both sides."""
    whole = joe.samples(TEXTS[3], seed=4)
    monkeypatch.setattr(network, "LATER", (40, 100))
    assert np.abs(whole - joe.samples(TEXTS[3], seed=4)).max() < 1e-5


def test_seeds(say) -> None:
    """The same samples for the same seed, others for another one, nothing drawn without noise."""
    one, again, other = (say.samples(TEXTS[1], seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert len(one) != len(other) or not np.allclose(one, other)
    still = [say.samples(TEXTS[1], seed=seed, noise_scale=0, noise_w_scale=0) for seed in (1, 2)]
    assert np.array_equal(*still)


@pytest.mark.parametrize("speed", [0.5, 0.8, 0.9, 1.25, 2.0])
def test_speed(say, speed) -> None:
    """Sounds last as long as asked for, to a frame each."""
    seconds = [len(say.samples(TEXTS[3], seed=1, speed=each)) / RATE for each in (1.0, speed)]
    assert seconds[1] == pytest.approx(seconds[0] / speed, rel=0.25)
    assert len(say.samples(TEXTS[3], seed=1, length_scale=1 / speed)) == round(seconds[1] * RATE)


@pytest.mark.parametrize("text", TEXTS)
def test_each_sentence_is_as_loud_as_it_can_be(say, text) -> None:
    """Unless it is told not to; the volume is a factor."""
    chunks = [chunk.samples for chunk in say.stream(text, seed=1)]
    assert all(np.abs(chunk).max() == pytest.approx(1) for chunk in chunks)
    quiet = say.samples(text, seed=1, volume=0.25)
    assert np.allclose(quiet, 0.25 * np.concatenate(chunks), atol=1e-6)
    raw = say.samples(text, seed=1, normalize_audio=False)
    assert np.abs(raw).max() < 1
    assert np.abs(say.samples(text, seed=1, volume=10)).max() == 1


def test_inside_sentences_it_streams_without_normalizing(say) -> None:
    """The first half second comes at once."""
    chunks = [chunk for chunk in say.stream(TEXTS[3], seed=1, normalize_audio=False) if len(chunk.samples)]
    assert chunks[0].duration < 0.6
    assert len(chunks) >= 3
    assert sum(len(chunk.samples) for chunk in say.stream(TEXTS[3], seed=1)) == sum(len(c.samples) for c in chunks)


def test_silence_between_sentences(say) -> None:
    """Between, not behind the last one."""
    plain, apart = (say.samples(TEXTS[4], seed=1, sentence_silence=silence) for silence in (0, 0.5))
    assert len(apart) - len(plain) == 2 * round(0.5 * RATE)


@pytest.mark.parametrize("options", [{}, {"normalize_audio": False}, {"sentence_silence": 0.3}])
@pytest.mark.parametrize("text", TEXTS)
def test_every_word_has_a_mark(say, text, options) -> None:
    """In order, in its place of the text, and not before its sound comes."""
    seconds, marks = 0.0, []
    for chunk in say.stream(text, seed=1, **options):
        seconds += chunk.duration
        assert all(mark.end <= seconds + 1e-9 for mark in chunk.marks)
        marks += chunk.marks
    words = ["".join(filter(str.isalnum, word)) for word in text.split()]
    assert [text[slice(*mark.span)] for mark in marks] == words
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        assert 0 <= mark.start < mark.end <= seconds
        assert after is None or mark.end <= after.start + 1e-9


@pytest.mark.parametrize("options", [{}, {"normalize_audio": False}])
def test_cancelling_inside_a_sentence(say, options) -> None:
    """It is asked before and behind each part of the graph and at every window, and nothing comes after that."""
    total = len(say.samples(TEXTS[3], seed=1))
    for asked in range(5):
        answers = iter([False] * asked)
        stream = say.stream(TEXTS[3], seed=1, cancelled=lambda answers=answers: next(answers, True), **options)
        assert sum(len(chunk.samples) for chunk in stream) < total or asked >= 3


def test_eight_threads_on_one_graph(say) -> None:
    """Each gets what it gets alone."""
    alone = [say.samples(TEXTS[0], seed=seed) for seed in range(8)]
    results: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: results.update({seed: say.samples(TEXTS[0], seed=seed)}))
        for seed in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(results[seed], alone[seed]) for seed in range(8))


def spoken(folder) -> Speaker:
    """A voice of a folder."""
    context = make_context(Checkpoint("voice", path=folder))
    return Speaker(context, load_piper(context, windows=True))


def test_a_graph_without_lengths_speaks_without_marks(tmp_path) -> None:
    """One that was exported otherwise; its noise has no seed, which is said."""
    folder = write_random_checkpoint(tmp_path)
    path = folder / "en_US-random-medium.onnx"
    import onnx

    model = onnx.load(path)
    next(node for node in model.graph.node if node.op_type == "Ceil").op_type = "Round"
    onnx.save(model, path)
    say = spoken(folder)
    assert not say.model.network.seeded
    chunks = list(say.stream(TEXTS[0]))
    assert sum(chunk.duration for chunk in chunks) > 0.2
    assert not any(chunk.marks for chunk in chunks)
    assert any("a seed does not repeat" in warning for chunk in chunks for warning in chunk.warnings)


def test_a_graph_that_upstream_has_patched(tmp_path) -> None:
    """It gives the lengths as an output of its own."""
    import onnx
    from piper.patch_voice_with_alignment import add_alignment_output

    folder = write_random_checkpoint(tmp_path)
    path = folder / "en_US-random-medium.onnx"
    before = spoken(folder).samples(TEXTS[1], seed=1)
    model = onnx.load(path)
    add_alignment_output(model)
    onnx.save(model, path)
    chunks = list(spoken(folder).stream(TEXTS[1], seed=1))
    assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), before)
    assert sum(len(chunk.marks) for chunk in chunks) == 8


def test_other_names_of_weights_speak_without_windows(tmp_path) -> None:
    """Where the vocoder's beginning is not found, sentences are spoken at once, with seeds and marks."""
    folder = write_random_checkpoint(tmp_path)
    path = folder / "en_US-random-medium.onnx"
    whole = spoken(folder).samples(TEXTS[1], seed=1)
    path.write_bytes(path.read_bytes().replace(b"dec.conv_pre.weight", b"dec.conv_pre.wXight"))
    say = spoken(folder)
    assert say.model.network.seeded
    assert not say.model.network.windowed
    assert np.abs(say.samples(TEXTS[1], seed=1) - whole).max() < 1e-5


def test_phonemes_of_ssml(say) -> None:
    """In IPA, in place of the text; what the voice does not have is said."""
    delivery = Delivery(phonemes="təˈmɑːtoʊ", alphabet="ipa")
    chunks = list(say.stream("tomato", seed=1, delivery=delivery))
    assert sum(chunk.duration for chunk in chunks) > 0.3
    assert [mark.span for chunk in chunks for mark in chunk.marks] == [(0, 6)]
    other = say.samples("tomato", seed=1)
    assert len(other) != sum(len(chunk.samples) for chunk in chunks)
    for phonemes, alphabet in (("⚀⚁", "ipa"), ("T AH", "x-arpabet")):
        chunks = list(say.stream("tomato", seed=1, delivery=Delivery(phonemes=phonemes, alphabet=alphabet)))
        assert any("cannot speak" in warning for chunk in chunks for warning in chunk.warnings)
        assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), other)


def test_a_recording_is_refused(tts) -> None:
    """It does not clone."""
    with pytest.raises(errors.VoiceUnsupported):
        tts.generate("Hello.", voice=(np.ones(RATE, np.float32) * 0.1, RATE))


@pytest.mark.parametrize("speed", [1.0, *(pytest.param(speed, marks=pytest.mark.full) for speed in (0.6, 1.8))])
def test_marks_are_where_the_sound_is(real_tts, speed) -> None:
    """Within 40 ms at the median: words alone, with every kind of beginning, and words inside of a sentence."""
    starts, ends = offsets_alone(real_tts, speed=speed)
    assert max(map(median_ms, (starts, ends, offsets_inside(real_tts, speed=speed)))) <= 40
    assert abs(statistics.median(starts)) <= 0.02
