"""The options of the provider ``espeak``."""

from __future__ import annotations

from pydantic import Field

from realtts.contract.options import Options

__all__ = ["EspeakOptions"]


class EspeakOptions(Options):
    """The parameters of espeak; ranges as in its ``speak_lib.h``."""

    rate: int = Field(175, ge=80, le=450, description="Words per minute at speed 1; the request's speed multiplies it.")
    pitch: int = Field(50, ge=0, le=99, description="Base pitch, 0 to 99.")
    pitch_range: int = Field(50, ge=0, le=99, description="Intonation, 0 (monotone) to 99.")
    volume: int = Field(100, ge=0, le=200, description="Loudness in percent; above 100 loud passages may clip.")
    word_gap: int = Field(
        0, ge=0, le=500, description="Extra pause between words, in units of 10 ms at the default rate."
    )
    punctuation: bool = Field(False, description="Say the names of punctuation characters.")
    variant: str = Field(
        "",
        max_length=40,
        description="Voice quality laid over the voice, such as 'f3', 'croak' or 'whisper'.",
    )
