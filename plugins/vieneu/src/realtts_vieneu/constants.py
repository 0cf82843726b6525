"""Rates that VieNeu-TTS's networks were trained with."""

from __future__ import annotations

__all__ = ["ENCODER_RATE", "RATE", "TOKENS_PER_SECOND", "TURBO_RATE"]

RATE = 24_000
"""Hz of the speech."""

ENCODER_RATE = 16_000
"""Hz of recordings, as the codec's encoder takes them."""

TURBO_RATE = 48_000
"""Hz of the speech of v3 Turbo."""

TOKENS_PER_SECOND = 50
"""Of the codec."""
