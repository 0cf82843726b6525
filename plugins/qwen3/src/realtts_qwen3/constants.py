"""Rates that all of Qwen3-TTS's networks were trained with."""

from __future__ import annotations

__all__ = ["FRAMES_PER_SECOND", "RATE"]

RATE = 24_000
"""Hz of the speech, and of recordings."""

FRAMES_PER_SECOND = 12.5
"""Of the codec: what the talker draws."""
