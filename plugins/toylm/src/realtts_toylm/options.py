"""The options of the provider ``toylm``."""

from __future__ import annotations

from pydantic import Field

from realtts.contract.options import Options

__all__ = ["ToyOptions"]


class ToyOptions(Options):
    """The options of drawing tokens."""

    temperature: float = Field(0.8, ge=0.0001, le=5, description="Sampling temperature, 0.0001 to 5.")
    top_k: int = Field(50, ge=0, le=256, description="Draw from this many of the most probable tokens; 0: from all.")
    max_new_tokens: int | None = Field(None, ge=1, le=1000, description="Most speech tokens, 25 of them a second.")
