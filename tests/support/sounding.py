"""Marks of words against the sound itself, without a recognizer."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

ALONE = ("Paper.", "Captain.", "Garden.", "Summer.", "Shoulder.", "Morning.", "Lemon.", "Apple.", "Island.", "Open.")
"""Words with every kind of beginning, spoken alone: the sound around them is silence."""

INSIDE = "We all know Sam saw many sailors sew a sail."
"""A sentence without a pause, some of whose words begin with a hiss, which stands out from the vowels around it."""

_STEP_S = 0.005


def edges(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Seconds at which sound of at least -40 dB below the loudest begins and ends."""
    step = round(_STEP_S * rate)
    windows = samples[: len(samples) // step * step].reshape(-1, step)
    loud = np.flatnonzero(np.sqrt((windows**2).mean(axis=1)) > np.abs(samples).max() * 0.01)
    return loud[0] * _STEP_S, (loud[-1] + 1) * _STEP_S


def hisses(samples: np.ndarray, rate: int) -> list[float]:
    """Seconds at which more than half of the sound comes to lie above 3.5 kHz."""
    size, step = round(0.02 * rate), round(_STEP_S * rate)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::step] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    high = power[:, np.fft.rfftfreq(size, 1 / rate) > 3500].sum(axis=1)
    hissing = (high > 0.5 * power.sum(axis=1)) & (high > power.sum(axis=1).max() * 10**-4.5)
    return [at * _STEP_S + 0.01 for at in np.flatnonzero(hissing) if not hissing[max(0, at - 6) : at].any()]


def offsets_alone(tts: Any, **arguments: Any) -> tuple[list[float], list[float]]:
    """Seconds by which marks begin and end late, of words that are spoken alone."""
    starts, ends = [], []
    for text in ALONE:
        speech = tts.generate(text, seed=1, **arguments)
        begins, falls = edges(speech.samples, speech.sample_rate)
        starts.append(speech.marks[0].start - begins)
        ends.append(speech.marks[0].end - falls)
    return starts, ends


def offsets_inside(tts: Any, **arguments: Any) -> list[float]:
    """Seconds by which marks begin late, of words in the middle of a sentence."""
    speech = tts.generate(INSIDE, seed=1, **arguments)
    heard = hisses(speech.samples, speech.sample_rate)
    marks = [mark for mark in speech.marks if INSIDE[mark.span[0]] in "sS"]
    return [mark.start - min(heard, key=lambda at, mark=mark: abs(at - mark.start)) for mark in marks]  # type: ignore[misc]


def median_ms(offsets: list[float]) -> float:
    """Median size in milliseconds."""
    return 1000 * statistics.median(map(abs, offsets))
