"""What it sounds like: level, pitch and rate, and that options change just that."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 22050
VOICED = "We were away a year ago, all morning long."


def pitch_hz(samples: NDArray[np.float32]) -> float:
    """Median fundamental of the loud frames, by autocorrelation between 50 and 400 Hz."""
    found = []
    for start in range(0, len(samples) - 1024, 512):
        frame = samples[start : start + 1024] - samples[start : start + 1024].mean()
        if np.sqrt((frame**2).mean()) < 0.05:
            continue
        spectrum = np.abs(np.fft.rfft(frame, 4096)) ** 2
        correlation = np.fft.irfft(spectrum)[: RATE // 50]
        shortest = RATE // 400
        found.append(RATE / (shortest + int(np.argmax(correlation[shortest:]))))
    return float(np.median(found))


def rms(samples: NDArray[np.float32]) -> float:
    """Root mean square."""
    return float(np.sqrt((samples**2).mean()))


def test_speech_is_plausible(say) -> None:
    """float32 within [-1, 1], audible, about as long as the words take, no long silence at either end."""
    spoken = say(VOICED)
    assert spoken.samples.dtype == np.float32
    assert 0.2 < np.abs(spoken.samples).max() <= 1
    assert rms(spoken.samples) > 0.05
    assert 2 < spoken.duration < 4
    loud = np.flatnonzero(np.abs(spoken.samples) > 0.02)
    assert loud[0] < 0.1 * RATE
    assert loud[-1] > len(spoken.samples) - 0.2 * RATE


def test_pitch_changes_the_fundamental(say) -> None:
    """Low, middle and high are in order and far apart."""
    low, middle, high = (pitch_hz(say(VOICED, pitch=pitch).samples) for pitch in (0, 50, 99))
    assert 50 < low < 0.85 * middle
    assert middle < 0.85 * high < 400


def test_pitch_range_zero_is_monotone(say) -> None:
    """The fundamental wanders less without range than with all of it."""

    def spread(samples: NDArray[np.float32]) -> float:
        parts = np.array_split(samples, 8)
        return float(np.std([pitch_hz(part) for part in parts if rms(part) > 0.06]))

    assert spread(say(VOICED, pitch_range=0).samples) < 0.5 * spread(say(VOICED, pitch_range=99).samples)


@pytest.mark.parametrize(("rate", "least", "most"), [(80, 1.8, 2.3), (350, 0.4, 0.55), (450, 0.3, 0.45)])
def test_rate_changes_the_length(say, rate: int, least: float, most: float) -> None:
    """Length against the default rate of 175."""
    assert least < say(VOICED, rate=rate).duration / say(VOICED).duration < most


@pytest.mark.parametrize(("speed", "least", "most"), [(0.5, 1.7, 2.2), (2, 0.4, 0.55), (4, 0.2, 0.32)])
def test_speed_changes_the_length(say, speed: float, least: float, most: float) -> None:
    """The whole range that users ask for on the fast side, and nothing to warn about."""
    spoken = say(VOICED, speed=speed)
    assert least < spoken.duration / say(VOICED).duration < most
    assert not spoken.warnings


def test_speed_multiplies_rate(say) -> None:
    """Twice 150 is 300."""
    assert np.array_equal(say(VOICED, rate=150, speed=2).samples, say(VOICED, rate=300).samples)


@pytest.mark.parametrize("arguments", [{"speed": 0.25}, {"rate": 450, "speed": 5.0}], ids=str)
def test_unreachable_rates_are_reported_once(say, arguments: dict[str, float]) -> None:
    """What espeak cannot do is said, on the first chunk only."""
    spoken = say("One. Two. Three.", **arguments)
    assert len(spoken.warnings) == 1
    assert "words per minute" in spoken.chunks[0].warnings[0]


def test_volume_changes_the_level(say) -> None:
    """Half the volume is about half the level, none is silence."""
    full, half, none = (rms(say(VOICED, volume=volume).samples) for volume in (100, 50, 0))
    assert 0.3 < half / full < 0.7
    assert none == 0


def test_word_gap_lengthens(say) -> None:
    """Eight gaps of 100 ms."""
    assert 0.6 < say(VOICED, word_gap=10).duration - say(VOICED).duration < 1.4


def test_punctuation_is_named(say) -> None:
    """Announced punctuation takes time."""
    assert say("Well, yes!", punctuation=True).duration > 1.3 * say("Well, yes!").duration


def test_variants_differ(say) -> None:
    """A female variant is higher; a whisper is another sound."""
    plain = say(VOICED).samples
    assert pitch_hz(say(VOICED, variant="f3").samples) > 1.2 * pitch_hz(plain)
    assert not np.array_equal(say(VOICED, variant="whisper").samples, plain)


def test_it_prints_nothing(say, capfd) -> None:
    """Espeak writes to the C streams when it is unhappy; it must not be."""
    say("Hello 😀 漢字 Привет! #$%")
    say("<speak>Hello <audio src='/nowhere.wav'>there</audio></speak>", ssml=True)
    assert capfd.readouterr() == ("", "")
