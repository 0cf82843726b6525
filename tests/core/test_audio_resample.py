"""Another sample rate, whole and streamed, and the level of audio."""

from __future__ import annotations

import math

import numpy as np
import pytest

from realtts import audio

PAIRS = [(24_000, 16_000), (24_000, 48_000), (22_050, 24_000), (44_100, 16_000), (48_000, 44_100), (24_000, 24_000)]


def tone(rate, hz=440.0, seconds=1.0):
    """A sine at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_signal_stays_the_same(source, target):
    """A tone becomes the tone at the other rate, within 60 dB."""
    out = audio.resample(tone(source), source, target)
    assert out.dtype == np.float32
    middle = slice(target // 10, -target // 10)
    assert np.abs(out - tone(target))[middle].max() < 1e-3


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("count", [0, 1, 10, 1000, 24_001])
def test_lengths_are_exact(source, target, count):
    """Rounded to the nearest sample."""
    assert len(audio.resample(tone(source, seconds=2)[:count], source, target)) == round(count * target / source)


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("sizes", [(1, 77, 500), (4800,)], ids=str)
def test_streaming_equals_whole(source, target, sizes):
    """However the audio is cut."""
    samples = tone(source)
    resampler = audio.Resampler(source, target)
    parts, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        parts.append(resampler.push(samples[at : at + size]))
        at, turn = at + size, turn + 1
    parts.append(resampler.finish())
    assert np.allclose(np.concatenate(parts), audio.resample(samples, source, target), atol=1e-6)


def test_what_the_target_cannot_hold_is_filtered_out():
    """A tone above half of the new rate leaves nothing."""
    out = audio.resample(tone(48_000, hz=10_000), 48_000, 16_000)
    assert audio.peak(out[1000:-1000]) < 1e-3


def test_peak_is_the_largest_absolute_value():
    """Of either sign."""
    assert audio.peak(np.array([0.1, -0.7, 0.5], np.float32)) == pytest.approx(0.7)
    assert audio.peak(np.array([0.1, 0.9], np.float32)) == pytest.approx(0.9)
    assert audio.peak(np.zeros(0, np.float32)) == 0.0


def test_rms_of_a_full_sine_is_three_decibels_down():
    """And that of silence has no end."""
    assert audio.rms_dbfs(2 * tone(24_000)) == pytest.approx(-3.01, abs=0.01)
    assert audio.rms_dbfs(np.zeros(10, np.float32)) == -math.inf
    assert audio.rms_dbfs(np.zeros(0, np.float32)) == -math.inf


def test_silence_has_a_threshold():
    """-60 dBFS unless told otherwise; no samples are silent."""
    quiet = np.full(100, 0.002, np.float32)
    assert not audio.is_silent(quiet)
    assert audio.is_silent(quiet, threshold_dbfs=-50)
    assert audio.is_silent(quiet / 10)
    assert audio.is_silent(np.zeros(0, np.float32))


def test_clipped_fraction_counts_samples_at_full_scale():
    """A clean sine at full scale is not clipped, one that was driven beyond is."""
    assert audio.clipped_fraction(np.zeros(0, np.float32)) == 0.0
    assert audio.clipped_fraction(np.array([1.0, -1.0, 0.5, 0.0], np.float32)) == 0.5
    assert audio.clipped_fraction(2 * tone(24_000)) < 0.01
    assert audio.clipped_fraction(np.clip(4 * tone(24_000), -1, 1)) > 0.3
    assert audio.clipped_fraction(np.full(10, 32767 / 32768, np.float32)) == 1.0
