"""Values of SSML's attributes as numbers.

Labels and values without a sign are absolute, of the voice's default; values with a sign change what is in force
around the element. A wrong one is a `ValueError` that says what would be right.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.contract.delivery import Delivery

__all__ = ["pause_seconds", "pitch", "pitch_range", "rate", "strength_seconds", "volume_db"]

LONGEST_PAUSE_S = 60.0
LOUDEST_DB = 40.0

_NUMBER = re.compile(r"([+-]?)(\d{1,6}(?:\.\d{1,9})?|\.\d{1,9})\s*(%|st|Hz|dB|)", re.IGNORECASE)
_TIME = re.compile(r"\+?(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*(s|ms)", re.IGNORECASE)

_STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
# The steps of the labels are those of espeak-ng, which listeners of SSML are used to.
_RATES = {"default": 1.0, "x-slow": 0.6, "slow": 0.8, "medium": 1.0, "fast": 1.25, "x-fast": 1.6}
_PITCHES = {"default": 1.0, "x-low": 0.7, "low": 0.85, "medium": 1.0, "high": 1.1, "x-high": 1.2}
_RANGES = {"default": 1.0, "x-low": 0.2, "low": 0.5, "medium": 1.0, "high": 1.4, "x-high": 1.8}
_VOLUMES = {"default": 1.0, "silent": 0.0, "x-soft": 0.3, "soft": 0.65, "medium": 1.0, "loud": 1.5, "x-loud": 2.3}

_USUAL_RANGE_HZ = 36.0
"""Between the lowest and the highest pitch of a sentence of a plain voice."""

_FASTEST_NUMBER = 10.0
"""A rate without a unit is a factor; what is larger was meant as per cent, or as words per minute."""


def rate(value: str, current: float) -> float:
    """Return the factor of the speaking rate."""
    if value in _RATES:
        return _RATES[value]
    sign, number, unit = _number(value, ("%", ""), "a label such as 'slow', '120%', '+10%' or a factor such as 1.2")
    if unit == "%":
        result = current * (1 + number / 100) if sign else number / 100
    elif not sign and number > _FASTEST_NUMBER:
        raise ValueError(f"give a factor such as 1.2, or per cent such as '{number:g}%'")
    else:
        result = current + number if sign else number
    if result <= 0:
        raise ValueError("give a rate above 0")
    return result


def volume_db(value: str, current: float) -> float:
    """Return the gain in dB; minus infinity is silence."""
    if value in _VOLUMES:
        return _decibels(_VOLUMES[value])
    sign, number, unit = _number(value, ("dB", "%", ""), "a label such as 'soft', '-6dB', '50%' or a number up to 100")
    if unit == "db":
        result = current + number
    else:
        factor = 10 ** (current / 20)
        changed = factor * (1 + number / 100) if unit == "%" else factor + number / 100
        result = _decibels(max(0.0, changed if sign else number / 100))
    if result > LOUDEST_DB:
        raise ValueError(f"give at most +{LOUDEST_DB:g} dB in all")
    return result


def pitch(value: str, current: Delivery) -> Delivery:
    """Return the delivery with the pitch that is asked for."""
    if value in _PITCHES:
        return _with_pitch(current, semitones=_semitones(_PITCHES[value]))
    sign, number, unit = _number(value, ("%", "st", "Hz", ""), "a label such as 'high', '+2st', '+10%' or '120Hz'")
    if unit == "st":
        return replace(current, pitch_semitones=_bounded(current.pitch_semitones + number))
    if unit == "%":
        factor = 1 + number / 100 if sign else number / 100
        if factor <= 0:
            raise ValueError("give a pitch above 0")
        if not sign:
            return _with_pitch(current, semitones=_semitones(factor))
        return replace(current, pitch_semitones=_bounded(current.pitch_semitones + _semitones(factor)))
    if sign:
        shift = number / 2 ** (current.pitch_semitones / 12)
        return replace(current, pitch_shift_hz=current.pitch_shift_hz + shift)
    if number <= 0:
        raise ValueError("give a pitch above 0")
    return _with_pitch(current, hz=number)


def pitch_range(value: str, current: float) -> float:
    """Return the factor of the range of pitch."""
    if value in _RANGES:
        return _RANGES[value]
    sign, number, unit = _number(value, ("%", "st", "Hz", ""), "a label such as 'low', '+10%', '+2st' or '20Hz'")
    if unit == "st":
        return float(current * 2 ** (_bounded(number) / 12))
    if unit == "%":
        return max(0.0, current * (1 + number / 100) if sign else number / 100)
    change = number / _USUAL_RANGE_HZ
    return max(0.0, current + change if sign else change)


def pause_seconds(value: str) -> float:
    """Return the length of a pause that is given as a time."""
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError('give it like time="500ms" or time="1.5s"')
    seconds = float(match[1]) / (1 if match[2].lower() == "s" else 1000)
    if seconds > LONGEST_PAUSE_S:
        raise ValueError(f"pause for at most {LONGEST_PAUSE_S:g} s")
    return seconds


def strength_seconds(value: str) -> float:
    """Return the length of a pause of some strength, at natural rate."""
    if value not in _STRENGTHS:
        raise ValueError(f"choose from {', '.join(_STRENGTHS)}")
    return _STRENGTHS[value]


def _number(value: str, units: tuple[str, ...], right: str) -> tuple[str, float, str]:
    """Return the sign (or none), the number with it, and the unit in lower case."""
    match = _NUMBER.fullmatch(value)
    if match is None or match[3].lower() not in [unit.lower() for unit in units]:
        raise ValueError(f"give {right}")
    number = float(match[2])
    return match[1], -number if match[1] == "-" else number, match[3].lower()


def _with_pitch(current: Delivery, *, hz: float | None = None, semitones: float = 0.0) -> Delivery:
    return replace(current, pitch_hz=hz, pitch_shift_hz=0.0, pitch_semitones=_bounded(semitones))


def _semitones(factor: float) -> float:
    return 12 * math.log2(factor)


def _bounded(semitones: float) -> float:
    """Keep a shift within ten octaves, so that no power of it overflows."""
    return min(max(semitones, -120.0), 120.0)


def _decibels(factor: float) -> float:
    return 20 * math.log10(factor) if factor > 0 else -math.inf
