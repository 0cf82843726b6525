"""The options of the provider ``qwen3``."""

from __future__ import annotations

from pydantic import Field

from realtts.contract.options import Options

__all__ = ["Qwen3Options"]


class Qwen3Options(Options):
    """Upstream's parameters; None takes what ``generation_config.json`` has, in upstream's files the figures given."""

    speaker: str | None = Field(
        None, max_length=100, description="One of the checkpoint's speakers, as voice= is; for CustomVoice alone."
    )
    instruct: str | None = Field(
        None,
        max_length=4000,
        description="How to speak, in words; for VoiceDesign also what voice to speak with. Not for Base.",
    )
    x_vector_only_mode: bool = Field(
        False, description="Clone by the speaker embedding alone, even if the words of the recording are known."
    )
    non_streaming_mode: bool | None = Field(
        None,
        description="Give the model the whole text before the first frame; none given: yes, but not for cloned voices.",
    )
    do_sample: bool | None = Field(None, description="Draw a frame's first code; false takes the likeliest.")
    temperature: float | None = Field(
        None, ge=0.0001, le=10.0, description="Of the first code's sampling; none given: 0.9."
    )
    top_k: int | None = Field(
        None,
        ge=0,
        le=3072,
        description="Draw the first code from this many of the likeliest; 0: from all; none given: 50.",
    )
    top_p: float | None = Field(
        None, gt=0.0, le=1.0, description="Draw the first code from the likeliest of this mass; none given: 1."
    )
    repetition_penalty: float | None = Field(
        None, ge=0.0001, le=10.0, description="On first codes that came before; 1: none; none given: 1.05."
    )
    subtalker_dosample: bool | None = Field(None, description="As do_sample, for the other fifteen codes.")
    subtalker_temperature: float | None = Field(None, ge=0.0001, le=10.0, description="As temperature, for the others.")
    subtalker_top_k: int | None = Field(None, ge=0, le=2048, description="As top_k, for the others.")
    subtalker_top_p: float | None = Field(None, gt=0.0, le=1.0, description="As top_p, for the others.")
    max_new_tokens: int | None = Field(
        None,
        ge=3,
        le=8192,
        description="Most frames of a piece and one, as upstream counts, 12.5 a second; none given: by text length.",
    )
    chunk_frames: int = Field(
        1, ge=1, le=100, description="Frames of a stream's first chunk, 12.5 of them a second; the next ones grow."
    )
    chunk_growth: float = Field(
        2.0,
        ge=1.0,
        le=8.0,
        description="How many times a stream's chunk is the one before it; 1: all are as long as the first.",
    )
    max_chunk_frames: int = Field(
        16, ge=1, le=250, description="Most frames of a stream's chunk, unless the first one has more."
    )
