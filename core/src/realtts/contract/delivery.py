"""How SSML asks for a text to be spoken, beyond what every request says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Delivery", "Emphasis", "Gender"]

Emphasis = Literal["", "reduced", "moderate", "strong"]
Gender = Literal["", "male", "female", "neutral"]


@dataclass(frozen=True)
class Delivery:
    """The wishes of SSML for one request.

    A provider finds here only what its capabilities name; the core does the rest (rate, volume, pauses), or warns.
    The pitch is ``((pitch_hz or the voice's own) + pitch_shift_hz) * 2 ** (pitch_semitones / 12)``.

    Attributes:
        pitch_hz: Base pitch in Hz; None: the voice's own. With the capability ``pitch``, as the next three.
        pitch_shift_hz: Hz added to the base pitch.
        pitch_semitones: Semitones by which the sum is raised.
        pitch_range: Factor of the voice's own range of pitch; 0 is monotone.
        emphasis: Degree of emphasis, empty for none. With the capability ``emphasis``.
        spelling: Whether the text is spelled, letter by letter. With the capability ``spelling``.
        phonemes: Pronunciation to use in place of the text's own, empty for none. With the capability ``phonemes``.
        alphabet: What ``phonemes`` are written in, in lower case, such as ``"ipa"``.
        gender: Gender of the voice where none was named, empty for any. With the capability ``gender``.
    """

    pitch_hz: float | None = None
    pitch_shift_hz: float = 0.0
    pitch_semitones: float = 0.0
    pitch_range: float = 1.0
    emphasis: Emphasis = ""
    spelling: bool = False
    phonemes: str = ""
    alphabet: str = ""
    gender: Gender = ""
