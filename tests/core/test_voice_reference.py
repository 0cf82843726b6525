"""Reference recordings, from wherever they come."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from realtts.contract.types import Voice
from realtts.errors import VoiceNotFound, VoiceUnsuitable
from realtts.kit.voices import no_voice
from realtts.voices import check, load

RATE = 16_000
LIMITS = (0.5, 10.0)


def speech(seconds=1.0):
    """Noise at a tenth of full scale."""
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def loaded(samples, rate=RATE, **more):
    """Loaded from samples."""
    return load((samples, rate), seconds=LIMITS, who="beep", **more)


def test_a_path_is_read(tmp_path):
    """As a string or a path; the file's name is kept for messages."""
    soundfile.write(tmp_path / "a.wav", speech(), RATE, subtype="FLOAT")
    for path in (tmp_path / "a.wav", str(tmp_path / "a.wav")):
        voice = load(path, text="some words", seconds=LIMITS, who="beep")
        assert np.array_equal(voice.samples, speech())
        assert (voice.sample_rate, voice.text, voice.name) == (RATE, "some words", "a.wav")


def test_a_missing_path_is_reported():
    """By the error of the reader."""
    with pytest.raises(VoiceNotFound):
        load("no/such.wav", seconds=LIMITS, who="beep")


def test_a_path_that_is_too_long_is_reported(tmp_path):
    """From its header."""
    soundfile.write(tmp_path / "a.wav", speech(11), RATE)
    with pytest.raises(VoiceUnsuitable, match="longer than 10 s"):
        load(tmp_path / "a.wav", seconds=LIMITS, who="beep")


@pytest.mark.parametrize(("given", "kept"), [(None, "old"), ("new", "new")], ids=["kept", "replaced"])
def test_a_voice_is_checked_again(given, kept):
    """Its text stays unless another is given."""
    voice = load(Voice(speech(), RATE, "old", "me"), text=given, seconds=LIMITS, who="beep")
    assert np.array_equal(voice.samples, speech())
    assert (voice.text, voice.name) == (kept, "me")


@pytest.mark.parametrize(
    "samples",
    [
        speech(),
        speech().astype(np.float64),
        np.round(speech() * 2**15).astype(np.int16),
        np.round(speech().astype(np.float64) * 2**31).astype(np.int32),
        np.round(speech() * 128 + 128).astype(np.uint8),
        np.round(speech() * 128).astype(np.int8),
        speech().astype(np.float16),
        speech()[:, None],
        speech()[None],
        np.stack([speech()] * 2, axis=1),
        np.stack([speech() * 2, speech() * 0]),
        speech().tolist(),
        np.asfortranarray(np.stack([speech()] * 2, axis=1)),
        speech().astype(">f4"),
    ],
    ids=[
        "float32", "float64", "int16", "int32", "uint8", "int8", "float16", "column", "row", "stereo", "planar",
        "list", "fortran", "big endian",
    ],
)  # fmt: skip
def test_samples_come_in_many_forms(samples):
    """All become contiguous mono float32 in [-1, 1]."""
    voice = loaded(samples)
    assert voice.samples.dtype == np.dtype("float32")
    assert voice.samples.shape == (RATE,)
    assert voice.samples.flags.c_contiguous
    assert np.allclose(voice.samples, speech(), atol=0.005)


class OnDevice:
    """A tensor that refuses to become an array, as those on a GPU do."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        (np.full(RATE, np.nan, np.float32), "NaN"),
        (np.where(np.arange(RATE) == 5, np.inf, speech()), "inf"),
        (speech() * 32768, r"\[-1, 1\]"),
        (np.zeros(RATE, np.int64), "int64"),
        (np.zeros(RATE, bool), "bool"),
        (np.zeros(RATE, complex), "complex"),
        (np.array(["a"]), "<U1"),
        (np.zeros((2, 3, 4), np.float32), r"\(2, 3, 4\)"),
        (np.zeros((100, 100), np.float32), r"\(100, 100\)"),
        (np.float32(1), r"\(\)"),
        ([[1.0], [1.0, 2.0]], "cannot be made an array"),
        (OnDevice(), r"detach\(\)\.cpu\(\)"),
        (np.zeros(0, np.float32), "too short"),
        (np.zeros((0, 2), np.float32), "too short"),
        (None, "object"),
    ],
    ids=[
        "NaN", "infinity", "unscaled", "int64", "bool", "complex", "strings", "3-d", "many channels", "scalar",
        "ragged", "on device", "none", "none in stereo", "None",
    ],
)  # fmt: skip
def test_samples_of_a_wrong_kind_are_refused(samples, what):
    """With the fix."""
    with pytest.raises(VoiceUnsuitable, match=what):
        loaded(samples)


@pytest.mark.parametrize("rate", [0, -1, 3999, 384_001, 16_000.0, "16000", None, True], ids=repr)
def test_silly_sample_rates_are_refused(rate):
    """A whole number that audio can have."""
    with pytest.raises(VoiceUnsuitable, match="whole number of Hz from 4000 to 384000"):
        loaded(speech(), rate)


def test_numpy_numbers_are_sample_rates():
    """They come out as plain ones."""
    assert type(loaded(speech(), np.int64(RATE)).sample_rate) is int


@pytest.mark.parametrize(
    "voice", [None, 3, b"a.wav", speech(), (speech(),), [speech(), RATE]], ids=lambda v: type(v).__name__
)
def test_other_things_are_no_voices(voice):
    """The message says what is one."""
    with pytest.raises(VoiceUnsuitable, match=r"pass a path, a tuple \(samples, sample_rate\)"):
        load(voice, seconds=LIMITS, who="beep")


@pytest.mark.parametrize(("seconds", "word"), [(0.4, "short"), (10.1, "long")])
def test_length_is_checked(seconds, word):
    """The message says how long it is, and what is allowed."""
    with pytest.raises(VoiceUnsuitable, match=rf"beep.*too {word}: {seconds:.2f} s.*0\.5 to 10 s"):
        loaded(speech(seconds))


@pytest.mark.parametrize("seconds", LIMITS)
def test_the_limits_of_length_are_inclusive(seconds):
    """Exactly the shortest, exactly the longest."""
    assert loaded(speech(seconds)).duration == seconds


T = np.arange(2 * RATE) / RATE
HISS = np.random.default_rng(1).standard_normal(2 * RATE)


def tone(hertz, level=0.1):
    """A sine."""
    return level * np.sin(2 * np.pi * hertz * T)


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        (np.zeros(2 * RATE), "silent"),
        (0.0005 * HISS, "silent.*louder"),
        (np.full(2 * RATE, 0.3), r"all its samples lie at 0\.3, a constant"),
        (np.full(2 * RATE, -0.0033) + 1e-4 * HISS, r"all its samples lie at -0\.0033"),
        (tone(20, 0.9), "about 20 Hz"),
        (tone(33) + 0.2, "about 32 Hz"),
        (tone(50), "about 52 Hz"),
        (tone(60, 0.5) + 2e-4 * HISS, "about 60 Hz"),
        (np.where(np.arange(2 * RATE) == RATE, 0.01, 0), "silent"),
        (np.stack([np.full(2 * RATE, 0.2), np.full(2 * RATE, -0.2)], axis=1), "silent"),
    ],
    ids=["zeros", "hiss", "DC", "a little DC", "20 Hz", "33 Hz and DC", "mains", "mains and hiss", "click", "DC apart"],
)
def test_what_holds_nothing_where_speech_lies_is_refused(samples, what):
    """Below -60 dBFS between 80 Hz and 8 kHz; the message says what is there instead."""
    with pytest.raises(VoiceUnsuitable, match=what):
        loaded(samples.astype(np.float32))


@pytest.mark.parametrize(
    "samples",
    [
        0.004 * np.diff(HISS, prepend=0.0),
        0.0033 * HISS,
        tone(90, 0.01),
        tone(7900, 0.01),
        tone(50, 0.5) + 0.01 * HISS,
        0.3 + 0.01 * HISS,
        np.where(T > 1.8, 0.02 * HISS, 0),
        np.stack([0.02 * HISS, 0 * HISS], axis=1),
    ],
    ids=["whisper", "quiet", "low voice", "sibilant", "over a hum", "over a constant", "late", "one channel"],
)
def test_quiet_speech_is_no_silence(samples):
    """Whispers, a voice over a hum, one that begins late."""
    assert loaded(samples.astype(np.float32)).duration == 2.0


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize(
    ("channels", "cancels"),
    [
        ([HISS, -HISS], True),
        ([HISS, -0.95 * HISS], True),
        ([tone(200, 3), -tone(200, 3), HISS * 0], True),
        ([HISS + 2, -HISS - 2], True),
        ([HISS, np.roll(HISS, 800)], False),
        ([HISS, 0 * HISS], False),
        ([HISS, -0.5 * HISS], False),
        ([HISS] + 31 * [0 * HISS], False),
        ([HISS, HISS], False),
    ],
    ids=["upside down", "nearly", "three", "DC too", "delayed", "one silent", "half", "one of many", "equal"],
)
def test_channels_in_opposite_phase_are_named(tmp_path, channels, cancels, layout):
    """Their mean is next to nothing, in a file and in samples; other channels are averaged as ever."""
    wave = 0.1 * np.stack(channels, axis=1).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    voices = [tmp_path / "a.wav", (wave if layout == "columns" else wave.T, RATE)]
    for voice in voices:
        if cancels:
            with pytest.raises(VoiceUnsuitable, match=r"cancel each other out.*invert one"):
                load(voice, seconds=LIMITS, who="beep")
        else:
            assert np.allclose(load(voice, seconds=LIMITS, who="beep").samples, wave.mean(axis=1), atol=1e-6)


def test_clipping_is_refused():
    """More than 1 % of the samples at full scale."""
    with pytest.raises(VoiceUnsuitable, match=r"clipped: \d+%"):
        loaded(np.clip(speech() * 50, -1, 1))
    assert loaded(np.sin(np.arange(RATE) * 0.1).astype(np.float32))


def test_check_alone():
    """A recording that is in form already."""
    check(Voice(speech(), RATE), LIMITS, "beep")
    with pytest.raises(VoiceUnsuitable):
        check(Voice(speech() * 0, RATE), LIMITS, "beep")


def test_a_voice_at_another_rate():
    """Resampled, or its own samples where it is at that rate; the digest of the sound knows nothing of the words."""
    voice = Voice(speech(), RATE, "words")
    assert voice.at(RATE) is voice.samples
    assert voice.at(24_000).shape == (24_000,)
    assert voice.at(24_000).dtype == np.float32
    assert voice.sound_digest == Voice(speech(), RATE).digest != voice.digest


def test_plugins_tell_of_a_missing_voice_alike():
    """With the closest and all that there are; where there are none, with what else can be done; never a long name."""
    told = str(no_voice("Binh", {"Bình": 1, "Lan": 2}, "vieneu", instead="give voice= a recording"))
    assert told == (
        "vieneu: there is no voice 'Binh' (did you mean 'Bình'?)."
        " Fix: choose from Bình, Lan, or give voice= a recording."
    )
    told = str(no_voice(None, (), "vieneu", instead="give voice= a recording"))
    assert told == "vieneu: the checkpoint brings no voices. Fix: give voice= a recording."
    assert len(str(no_voice("x" * 4000, ["Lan"], "vieneu", instead="leave it out"))) < 200


@pytest.mark.parametrize("kind", ["a click", "clicks", "a step", "a thump"])
def test_clicks_and_steps_are_no_speech(kind):
    """A switch, or a plug that was pulled, in a silence."""
    samples = np.zeros(3 * RATE, np.float32)
    if kind == "a click":
        samples[20_000] = 1.0
    elif kind == "clicks":
        samples[10_000::24_000] = 0.9
    elif kind == "a step":
        samples[:] = np.where(np.arange(samples.size) < 30_000, 0.2, -0.2)
    else:
        samples[30_000:30_100] = 0.5
    with pytest.raises(VoiceUnsuitable, match=r"silent|no speech"):
        loaded(samples)
