"""The rates that all of Qwen3-TTS's networks were trained with."""

from __future__ import annotations

__all__ = ["FRAMES_PER_SECOND", "RATE"]

RATE = 24_000
"""Sample rate of the speech and of recordings, in Hz."""

FRAMES_PER_SECOND = 12.5
"""Frames that the talker draws for a second of speech."""
