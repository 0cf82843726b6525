"""The options of the provider ``chatterbox``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from realtts.contract.options import Options

__all__ = ["EMOTIONS", "ChatterboxOptions"]

EMOTIONS = {"calm": 0.3, "neutral": 0.5, "happy": 0.7, "sad": 0.4, "angry": 0.9, "excited": 1.0, "dramatic": 1.2}
"""What each name sets ``exaggeration`` to: the model knows how strong an emotion is, the words must say which."""


class ChatterboxOptions(Options):
    """Upstream's parameters and ranges; None takes the default of the model that speaks."""

    exaggeration: float | None = Field(
        None, ge=0.25, le=2.0, description="Strength of the emotion; none given: 0.5, neutral. Not for Turbo."
    )
    cfg_weight: float | None = Field(
        None, ge=0.0, le=1.0, description="Guidance towards the text; 0: none; none given: 0.5. Not for Turbo."
    )
    temperature: float = Field(0.8, ge=0.05, le=5.0, description="Sampling temperature, 0.05 to 5.")
    repetition_penalty: float | None = Field(
        None, ge=1.0, le=2.0, description="Penalty on tokens that came before; none given: 1.2, multilingual 2."
    )
    min_p: float | None = Field(
        None, ge=0.0, le=1.0, description="Least probability beside the likeliest's; none given: 0.05. Not for Turbo."
    )
    top_p: float | None = Field(
        None, gt=0.0, le=1.0, description="Draw from the likeliest of this mass; none given: 1, Turbo 0.95."
    )
    top_k: int | None = Field(
        None, ge=0, le=6563, description="Draw from this many of the likeliest; 0: all; none given: 1000. Turbo alone."
    )
    n_cfm_timesteps: int | None = Field(
        None, ge=1, le=100, description="Solver steps from tokens to sound; none given: 10, Turbo 2."
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        le=4000,
        description="Most speech tokens per piece, 25 of them a second; none given: by the text's length,"
        " 2.5 s, and 0.2 s for each character (Chinese, Japanese, Korean 0.5 s), 0.8 s for digits and signs of currency"
        " or per cent.",
    )
    emotion: Literal["calm", "neutral", "happy", "sad", "angry", "excited", "dramatic"] | None = Field(
        None, description="A name for a value of exaggeration, which wins if both are given."
    )
    quality: Literal["full", "fast"] = Field(
        "full", description="'fast' halves the solver steps, unless their number is given, and warns of it."
    )
    watermark: bool = Field(True, description="Mark the audio as generated with upstream's inaudible watermark.")
    chunk_tokens: int = Field(
        25,
        ge=15,
        le=250,
        description="Speech tokens of a stream's first chunk, 25 of them a second; the next ones grow. The first sound"
        " comes after chunk_tokens + lookahead_tokens; 10 of the chunk's tokens are held back for the next one.",
    )
    lookahead_tokens: int = Field(
        5, ge=3, le=50, description="Tokens that a stream waits for beyond each chunk: the flow looks ahead."
    )
