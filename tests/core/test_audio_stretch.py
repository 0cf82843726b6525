"""Faster and slower speech at the same pitch."""

from __future__ import annotations

import numpy as np
import pytest

from realtts import audio

RATE = 24_000
SPEEDS = [0.25, 0.5, 0.8, 0.95, 1.05, 1.3, 2.0, 3.3, 4.0]


def tone(seconds=1.0, hz=220.0, rate=RATE):
    """A sine at 0.3."""
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds=1.0):
    """Noise at a tenth of full scale."""
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def decibels(samples, reference):
    """Level against another, away from the ends."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return 10 * np.log10(np.mean(middle**2) / np.mean(reference**2))


@pytest.mark.parametrize("speed", [*SPEEDS, 1.0])
@pytest.mark.parametrize("count", [0, 1, 100, 999, 24_001])
def test_lengths_are_exact(speed, count):
    """From nothing to a second."""
    out = audio.stretch(tone(2.0)[:count], RATE, speed)
    assert out.dtype == np.float32
    assert out.shape == (round(count / speed),)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("sizes", [(1200,), (1, 7, 333), (50_000,)], ids=str)
def test_chunks_do_not_matter(speed, sizes):
    """Bit by bit the same as the whole audio at once."""
    samples = tone() + noise()
    stretcher = audio.Stretcher(RATE, speed)
    parts, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        parts.append(stretcher.push(samples[at : at + size]))
        at, turn = at + size, turn + 1
    parts.append(stretcher.finish())
    assert np.array_equal(np.concatenate(parts), audio.stretch(samples, RATE, speed))


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("hz", [90.0, 220.0, 1000.0])
def test_pitch_and_level_are_kept(speed, hz):
    """Within 1 % and 0.5 dB, without a step that the tone has not."""
    samples = tone(2.0, hz)
    out = audio.stretch(samples, RATE, speed)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out)), 1 << 19))
    assert np.argmax(spectrum) * RATE / (1 << 19) == pytest.approx(hz, rel=0.01)
    assert abs(decibels(out, samples)) < 0.5
    inner = out[RATE // 50 : -RATE // 50]
    assert np.abs(np.diff(inner)).max() < 1.1 * np.abs(np.diff(samples)).max()


@pytest.mark.parametrize("speed", SPEEDS)
def test_noise_keeps_its_level(speed):
    """Within 1.5 dB, although nothing in it fits anything."""
    assert abs(decibels(audio.stretch(noise(2.0), RATE, speed), noise(2.0))) < 1.5


@pytest.mark.parametrize("speed", SPEEDS)
def test_sound_begins_and_ends_where_it_should(speed):
    """A second with half a second of tone in its middle, within 20 ms of the input."""
    samples = np.concatenate([np.zeros(6000, np.float32), tone(0.5), np.zeros(6000, np.float32)])
    heard = np.flatnonzero(np.abs(audio.stretch(samples, RATE, speed)) > 0.03)
    assert heard[0] * speed / RATE == pytest.approx(0.25, abs=0.02)
    assert heard[-1] * speed / RATE == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_clicks_stay_clicks_at_their_places(speed):
    """Onsets are kept at moderate speeds, each within 10 ms."""
    samples = np.zeros(2 * RATE, np.float32)
    places = range(6000, 2 * RATE, 6000)
    for place in places:
        samples[place : place + 100] = np.hanning(100)
    out = audio.stretch(samples, RATE, speed)
    for place in places:
        at = round((place + 50) / speed)
        near = out[at - 1500 : at + 1500]
        assert near.max() > 0.9
        assert abs(np.argmax(near) - 1500) < 240


def test_speed_one_changes_nothing():
    """And holds nothing back."""
    stretcher = audio.Stretcher(RATE, 1.0)
    assert np.array_equal(stretcher.push(noise()), noise())
    assert len(stretcher.finish()) == 0


@pytest.mark.parametrize("speed", SPEEDS)
def test_silence_stays_silent(speed):
    """Nothing is made up, and nothing divides by zero."""
    assert not audio.stretch(np.zeros(RATE, np.float32), RATE, speed).any()


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_any_rate(rate):
    """Windows are measured in seconds."""
    samples = tone(1.0, 220.0, rate)
    assert abs(decibels(audio.stretch(samples, rate, 1.4), samples)) < 0.5


@pytest.mark.parametrize("speed", [0.0, 0.24, 4.1, -1.0, float("nan")])
def test_speeds_out_of_range_are_refused(speed):
    """0.25 to 4."""
    with pytest.raises(ValueError, match=r"from 0\.25 to 4"):
        audio.Stretcher(RATE, speed)


def test_a_stream_is_delivered_as_it_comes():
    """At most a window, its search range and a hop are held back."""
    stretcher = audio.Stretcher(RATE, 0.5)
    given = len(stretcher.push(tone(1.0)))
    assert given > 2 * RATE - 0.15 * RATE
