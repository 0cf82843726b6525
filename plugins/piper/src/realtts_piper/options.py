"""The options of a request."""

from __future__ import annotations

from pydantic import Field

from realtts.contract.options import Options

__all__ = ["PiperOptions"]


class PiperOptions(Options):
    """How Piper speaks; what is None is as the voice's own configuration has it."""

    length_scale: float | None = Field(
        None, ge=0.1, le=10, description="Length of the sounds: above 1 is slower. It is divided by `speed`."
    )
    noise_scale: float | None = Field(None, ge=0, le=5, description="Variation of the sound.")
    noise_w_scale: float | None = Field(None, ge=0, le=5, description="Variation of the sounds' lengths.")
    normalize_audio: bool = Field(
        True, description="Whether each sentence is made as loud as it can be; False streams inside sentences."
    )
    volume: float = Field(1.0, ge=0, le=10, description="Factor of the samples, which are clipped at full scale.")
    sentence_silence: float = Field(0.0, ge=0, le=60, description="Seconds of silence between sentences.")
