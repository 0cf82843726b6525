"""The base class of every provider's own options."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

__all__ = ["Options"]


class Options(BaseModel):
    """Options of one provider, validated before any model work.

    A plugin subclasses it with typed fields, ranges and descriptions; unknown names and values out of range are
    rejected, and the JSON Schema travels to processes that do not have the plugin.

        class MyOptions(Options):
            temperature: float = Field(0.8, gt=0, le=5, description="Sampling temperature.")
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    length_limits: ClassVar[frozenset[str]] = frozenset({"max_new_tokens"})
    """Options that bound the length on purpose: when the caller sets one, reaching it is no runaway."""
