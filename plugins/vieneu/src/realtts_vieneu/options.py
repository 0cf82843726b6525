"""The options of the provider ``vieneu``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from realtts.contract.options import Options

__all__ = ["VieNeuOptions"]


class VieNeuOptions(Options):
    """Upstream's parameters; None takes upstream's default for the model."""

    temperature: float | None = Field(None, ge=0.0001, le=10.0, description="Of the sampling; none given: 1, v3 0.8.")
    top_k: int | None = Field(
        None, ge=0, le=65536, description="Draw from this many of the likeliest; 0: from all; none given: 50, v3 25."
    )
    top_p: float | None = Field(
        None, gt=0.0, le=1.0, description="Draw from the likeliest of this mass; v3 alone; none given: 0.95."
    )
    repetition_penalty: float | None = Field(
        None, ge=0.0001, le=10.0, description="On codes that came before; v3 alone; none given: 1.2."
    )
    do_sample: bool = Field(True, description="Draw; false takes the likeliest token. Not for v3.")
    max_chars: int = Field(
        256, ge=20, le=1000, description="Sentences are put together up to so many characters, numbers written out."
    )
    silence: float = Field(0.15, ge=0.0, le=5.0, description="Seconds between two sentences; v3 has its own.")
    emotion: Literal["natural", "storytelling"] = Field(
        "natural", description="How v2 and the 0.3B model read: as in conversation, or as a story. v1 knows one way."
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        le=2047,
        description="Most tokens of a sentence, 50 a second, v3 12.5; none given: 2 s and five for each phoneme.",
    )
    prompt_format: Literal["chat", "tags"] | None = Field(
        None,
        description="How the model was trained to be asked: v1 'chat', all others 'tags'; for folders that do not say.",
    )
    voices_file: str | None = Field(
        None,
        max_length=4096,
        description="Speak with saved codes: a file in the shape of upstream's voices.json, in place of voice=.",
        json_schema_extra={"format": "path"},
    )
    saved_voice: str | None = Field(
        None, max_length=200, description="Which of the voices in voices_file; none given: its default, or the first."
    )
    codec_device: str | None = Field(
        None, pattern=r"^(cpu|mps|cuda(:\d+)?)$", description="Where sound is made of tokens; none given: as the model."
    )
    speech_only: bool | None = Field(
        None,
        description="Draw among codes and the end alone, in the optimized variant; none given: unless it computes in"
        " float32, which is for equality with plain.",
    )
    denoise: bool = Field(True, description="Clean a recording of noise before it is cloned; v3 alone.")
    chunk_frames: int = Field(25, ge=1, le=500, description="New tokens in each chunk of a stream, 50 a second.")
    lookback: int = Field(100, ge=0, le=1000, description="Tokens before a stream's chunk that its sound is made with.")
    look_ahead: int = Field(10, ge=0, le=500, description="Tokens behind a stream's chunk that it waits for.")
