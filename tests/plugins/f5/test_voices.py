"""Recordings: prepared as upstream prepares them, to the sample, and refused where nothing is left."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from realtts.accel.upstream.calls import quiet
from realtts.contract.types import Voice
from realtts.errors import VoiceNotFound, VoiceUnsuitable
from realtts.testing import make_request
from realtts.voices import VoiceCache
from realtts_f5.clips import clipped
from realtts_f5.options import F5Options
from realtts_f5.upstream import module
from realtts_f5.voices import ended, listed, prepared, reference_of

RATE = 24_000

pytestmark = pytest.mark.filterwarnings(
    # Upstream leaves files open.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def request_of(voice, **options):
    """A request for a voice."""
    return make_request(voice=voice), F5Options(**options)


def speech(seconds, rate=RATE, loudness=0.3):
    """A sound of harmonics."""
    time = np.arange(round(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 10)) * (0.6 - 0.4 * np.cos(9 * time))
    return (np.rint(loudness * 20_000 * wave / np.abs(wave).max()) / 32768).astype(np.float32)


def silence(seconds, rate=RATE):
    """No sound."""
    return np.zeros(round(seconds * rate), np.float32)


CASES = {
    "short": (speech(3), RATE),
    "edges": (np.concatenate([silence(1.5), speech(2), silence(0.7)]), RATE),
    "long silence inside": (np.concatenate([speech(2), silence(3), speech(2)]), RATE),
    "40 s in one": (speech(40), RATE),
    "40 s in stretches": (np.concatenate([x for _ in range(8) for x in (speech(3.7), silence(1.3))]), RATE),
    "20 s, short pauses": (np.concatenate([x for _ in range(9) for x in (speech(2), silence(0.3))]), RATE),
    "8 kHz": (speech(4, 8000), 8000),
    "44.1 kHz": (speech(4, 44_100), 44_100),
    "quiet": (speech(3, loudness=0.05), RATE),
    "loud": (speech(3, loudness=1.6), RATE),
}


@pytest.mark.parametrize("case", CASES)
def test_clipping_is_upstreams(upstream_infer, tmp_path, case) -> None:
    """Silence split, 12 s kept, edges trimmed, 50 ms added: equal samples at an equal rate."""
    samples, rate = CASES[case]
    path = tmp_path / "voice.wav"
    soundfile.write(path, samples, rate, subtype="PCM_16")
    with quiet():
        made, text = upstream_infer.preprocess_ref_audio_text(str(path), "Words", show_info=lambda *_: None)
    expected, expected_rate = soundfile.read(made, dtype="float32")
    ours, our_rate, _ = clipped(samples, rate)
    assert our_rate == expected_rate
    assert np.array_equal(ours, expected)
    assert text == "Words. "


@pytest.mark.parametrize("case", ["short", "8 kHz", "quiet", "loud"])
def test_loudness_and_rate_are_upstreams(case) -> None:
    """Raised to the wanted loudness and resampled by upstream's steps; the gain takes the speech back."""
    samples, rate, _ = clipped(*CASES[case])
    wave = torch.from_numpy(samples)[None]
    rms = wave.square().mean().sqrt()
    if rms < 0.1:
        wave = wave * 0.1 / rms
    if rate != RATE:
        with quiet():
            wave = module("torchaudio.transforms").Resample(rate, RATE)(wave)
    recording = prepared(samples, rate, 0.1)
    assert np.array_equal(recording["samples"], wave[0].numpy())
    assert recording["gain"] == pytest.approx(min(1.0, float(rms) / 0.1))
    assert (recording["gain"] < 1) == (case != "loud")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Words", "Words.  "), ("Words.", "Words.  "), ("Words. ", "Words.  "), ("Words!", "Words!.  "), ("词。", "词。")],
)
def test_text_ends_as_upstreams(text, expected) -> None:
    """With the full stop and the spaces that lengths are reckoned with."""
    assert ended(text) == expected


def test_kept_by_content() -> None:
    """The second request of a voice computes nothing, and another loudness does not disturb it."""
    cache = VoiceCache()
    voice = Voice(speech(3), RATE, "Words.")
    one = reference_of(cache, *request_of(voice))
    two = reference_of(cache, *request_of(Voice(speech(3), RATE, "Words."), target_rms=0.2))
    assert reference_of(cache, *request_of(voice)).samples is one.samples
    assert cache.stats()["misses"] == 3  # clipped once, raised to two loudnesses
    assert np.abs(two.samples).max() > 1.5 * np.abs(one.samples).max()


def test_silence_is_refused() -> None:
    """A recording of which trimming leaves nothing would make upstream speak NaN."""
    constant = np.full(2 * RATE, 0.25, np.float32)
    for samples in (
        silence(2),
        constant,
        0.0001 * speech(2) + constant,
        speech(2, loudness=0.002),
        np.concatenate([silence(2), speech(0.1), silence(2)]),
    ):
        with pytest.raises(VoiceUnsuitable, match="nothing is left"):
            reference_of(VoiceCache(), *request_of(Voice(samples, RATE, "Words.")))


def test_words_are_needed() -> None:
    """Without them the error says how to give or to find them."""
    for text in (None, "", "  "):
        with pytest.raises(VoiceUnsuitable, match="words are not known") as caught:
            reference_of(VoiceCache(), *request_of(Voice(speech(2), RATE, text)))
        assert "reference_text" in caught.value.fix
        assert "realtts-f5[asr]" in caught.value.fix


def test_examples_of_upstream_are_voices() -> None:
    """Each has words of its own; no voice means the first of them; another name is refused."""
    names = [voice.id for voice in listed()]
    references = [reference_of(VoiceCache(), *request_of(name)) for name in (None, *names)]
    assert references[0].text == references[1].text == "Some call me nature, others call me mother nature.  "
    assert references[2].text.endswith("真人。")
    assert all(reference.seconds > 3 for reference in references)
    with pytest.raises(VoiceNotFound):
        reference_of(VoiceCache(), *request_of("nobody"))


PACES = {
    "English": "The small boat drifted past the mill. Two children waved, then they ran home to their mother. ",
    "German": "Das kleine Boot trieb an der Mühle vorbei. Zwei Kinder winkten, dann liefen sie nach Hause. ",
    "Spanish": "El barco pasó junto al viejo molino. Dos niños saludaron, y luego corrieron hacia su casa. ",
    "Vietnamese": "Chiếc thuyền nhỏ trôi qua cối xay cũ. Hai đứa trẻ vẫy tay, rồi chúng chạy về nhà. ",
    "Russian": "Лодка проплыла мимо старой мельницы. Двое детей помахали, потом побежали домой. ",
    "Chinese": "小船漂过了旧磨坊。两个孩子在桥上挥了挥手，然后他们跑回家了。",
    "Hindi": "छोटी नाव पुरानी चक्की के पास से बह गई। दो बच्चों ने हाथ हिलाया, फिर वे घर भागे। ",
    "without marks": "the small boat drifted past the mill two children waved and then they ran home ",
}


@pytest.mark.parametrize(
    ("language", "times"),
    [
        ("English", 2), ("Chinese", 2), ("without marks", 3),
        *(pytest.param(language, 2, marks=pytest.mark.full) for language in PACES),
        pytest.param("Vietnamese", 7, marks=pytest.mark.full),
    ],
)  # fmt: skip
def test_a_long_recording_is_cut_with_its_words(language, times) -> None:
    """The pace is that of the whole, a warning says what is used, and no more than 12 s are."""
    words = (PACES[language] * times).strip()
    wave = np.concatenate([x for _ in range(times) for x in (speech(3.0), silence(0.4), speech(3.4), silence(0.6))])
    used = reference_of(VoiceCache(), *request_of(Voice(wave, RATE, words)))
    (warning,) = used.warnings
    assert f"lasts {len(wave) / RATE:.1f} s" in warning
    assert f"first {used.seconds:.1f} s" in warning
    assert 6.0 < used.seconds <= 12.05
    said = used.text.strip().removesuffix(".")
    assert words.startswith(said)
    rate = len(said.encode()) / (used.seconds - 0.05)
    assert rate == pytest.approx(len(words.encode()) / (len(wave) / RATE), rel=0.2)


def test_without_pauses_it_is_cut_where_it_is_quietest() -> None:
    """The words at the nearest end of one."""
    words = "one two three four five " * 12
    used = reference_of(VoiceCache(), *request_of(Voice(speech(20), RATE, words.strip())))
    assert 9.0 < used.seconds <= 12.05
    assert len(used.text.split()) == pytest.approx(60 * used.seconds / 20, abs=1.5)


@pytest.mark.parametrize("case", ["short", "edges", "long silence inside", "8 kHz", "quiet"])
def test_a_recording_that_fits_keeps_its_words(case) -> None:
    """Though silence was cut out of it: nothing that is said is lost."""
    used = reference_of(VoiceCache(), *request_of(Voice(*CASES[case], "All of these words.")))
    assert used.text.strip() == "All of these words."
    assert used.warnings == ()


def test_the_part_depends_on_the_words() -> None:
    """Another transcript of the same recording is not served from the cache."""
    cache, wave = VoiceCache(), np.concatenate([x for _ in range(4) for x in (speech(3), silence(0.5))])
    one, two = (reference_of(cache, *request_of(Voice(wave, RATE, w * 30))) for w in ("one two. ", "eins zwei drei. "))
    assert one.text.startswith("one two.")
    assert two.text.startswith("eins zwei drei.")
