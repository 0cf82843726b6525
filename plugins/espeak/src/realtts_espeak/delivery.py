"""What SSML asks for, in espeak's own parameters: set for one run of text, so that nothing of it reaches the next."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from realtts_espeak.library import data_folder

if TYPE_CHECKING:
    from realtts.contract.delivery import Delivery
    from realtts_espeak.synthesis import Manner

__all__ = ["VARIANTS", "delivered", "rate_factor"]

VARIANTS = {"female": "f2"}
"""What makes a woman of a voice; espeak's own voices are men."""

# The base pitch of a voice in semitones from its usual one, as measured at some values of the parameter.
_PITCH_SEMITONES = (-8.7, -4.5, 0.0, 5.0, 9.9)
_PITCH_VALUES = (0, 25, 50, 75, 99)
_USUAL_HZ = (82, 118)
_BASE = 0.9
"""The base pitch, as part of the middle between a voice's lowest and highest."""

_PITCH_LINE = re.compile(r"^pitch\s+(\d+)\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class _Emphasis:
    """Factors of the parameters, and semitones."""

    rate: float = 1.0
    volume: float = 1.0
    pitch_range: float = 1.0
    semitones: float = 0.0


_EMPHASIS = {
    "": _Emphasis(),
    "reduced": _Emphasis(rate=1.1, volume=0.7, pitch_range=0.6, semitones=-1.0),
    "moderate": _Emphasis(rate=0.9, volume=1.1, pitch_range=1.3, semitones=1.0),
    "strong": _Emphasis(rate=0.8, volume=1.2, pitch_range=1.6, semitones=2.0),
}


def rate_factor(delivery: Delivery) -> float:
    """Return the factor of the rate that emphasis makes."""
    return _EMPHASIS[delivery.emphasis].rate


def delivered(manner: Manner, delivery: Delivery) -> tuple[Manner, tuple[str, ...]]:
    """Return the manner of speaking that SSML asks for, and what the user should know about it.

    Args:
        manner: Of the request, its rate with `rate_factor` in it.
        delivery: What SSML asks for.
    """
    emphasis = _EMPHASIS[delivery.emphasis]
    semitones = _semitones(delivery, manner.voice) + emphasis.semitones
    usual = float(np.interp(manner.pitch, _PITCH_VALUES, _PITCH_SEMITONES))
    wanted = usual + semitones
    pitch = round(float(np.interp(wanted, _PITCH_SEMITONES, _PITCH_VALUES))) if semitones else manner.pitch
    warnings: tuple[str, ...] = ()
    if semitones and not _PITCH_SEMITONES[0] <= wanted <= _PITCH_SEMITONES[-1]:
        shift = _PITCH_SEMITONES[0 if wanted < 0 else -1] - usual
        warnings = (f"espeak changes the pitch by {shift:+.0f} semitones instead of {semitones:+.0f}",)
    changed = replace(
        manner,
        pitch=pitch,
        pitch_range=_within(manner.pitch_range * delivery.pitch_range * emphasis.pitch_range, 99),
        volume=_within(manner.volume * emphasis.volume, 200),
    )
    return changed, warnings


def _semitones(delivery: Delivery, voice: str) -> float:
    if delivery.pitch_hz is None and not delivery.pitch_shift_hz:
        return delivery.pitch_semitones
    usual = _usual_hz(voice)
    hz = (usual if delivery.pitch_hz is None else delivery.pitch_hz) + delivery.pitch_shift_hz
    return 12 * math.log2(max(hz, 1.0) / usual) + delivery.pitch_semitones


@functools.lru_cache(256)
def _usual_hz(voice: str) -> float:
    """Return the base pitch of a voice, as its files say."""
    identifier, _, variant = voice.partition("+")
    low, high = _USUAL_HZ
    for path in ("lang/" + identifier, "voices/!v/" + variant):
        try:
            match = _PITCH_LINE.search((data_folder() / path).read_text("utf-8", "replace"))
        except OSError:
            continue
        if match:
            low, high = int(match[1]), int(match[2])
    return _BASE * (low + high) / 2


def _within(value: float, most: int) -> int:
    return min(max(round(value), 0), most)
