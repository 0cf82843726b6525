"""The options of the provider ``f5``."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from realtts.contract.options import Options

__all__ = ["PRESETS", "F5Options"]

PRESETS = {"fast": 7, "balanced": 16, "full": 32}
"""Solver steps of each quality. Upstream's tables for few steps (EPSS, Zheng et al., 2025, arXiv:2505.19931) hold for
the first two: the steps lie close together where speech takes shape."""


class F5Options(Options):
    """Upstream's parameters, defaults, and the ranges of its own interface; the rate is the core's ``speed``."""

    nfe_step: int | None = Field(
        None, ge=4, le=64, description="Solver steps, 4 to 64; none given: what 'quality' sets, 32."
    )
    cfg_strength: float = Field(
        2.0, ge=0.0, le=10.0, description="Guidance towards text and voice, 0 to 10; 0 does without, in half the time."
    )
    sway_sampling_coef: float | None = Field(
        -1.0, ge=-1.0, le=1.75, description="Moves solver steps to the begin, -1 to 1.75; None: evenly spaced."
    )
    target_rms: float = Field(
        0.1, gt=0.0, le=1.0, description="Loudness that a quieter recording is raised to for the network, up to 1."
    )
    cross_fade_duration: float = Field(
        0.15, ge=0.0, le=1.0, description="Seconds in which a chunk of a long text fades into the next, 0 to 1."
    )
    fix_duration: float | None = Field(
        None, gt=0.0, le=3600.0, description="Seconds of recording and speech together; none given: by the text."
    )
    remove_silence: bool = Field(False, description="Cut silences of more than a second down to one.")
    use_fp16: bool = Field(
        True, description="Whether the optimized variant may compute in half precision; False asks for float32."
    )
    quality: Literal["fast", "balanced", "full"] = Field(
        "full", description="'fast' takes 7 solver steps, 'balanced' 16, 'full' 32, unless nfe_step is given."
    )
    short_first_chunk: bool | None = Field(
        None, description="Make the first clause a chunk of its own; none given: in a stream, which begins earlier so."
    )
    asr_model: str | None = Field(
        None,
        description="Folder of a Whisper model that writes down a recording which comes without its text.",
        json_schema_extra={"format": "path"},
    )

    length_limits: ClassVar[frozenset[str]] = frozenset({"fix_duration"})
