"""Rates and sizes that all of Chatterbox's networks were trained with."""

from __future__ import annotations

__all__ = [
    "ENCODER_RATE",
    "FRAMES_PER_TOKEN",
    "HARMONICS",
    "MELS",
    "MOST_TEXT_TOKENS",
    "MOST_TOKENS",
    "RATE",
    "SAMPLES_PER_FRAME",
    "TOKENS_PER_SECOND",
]

RATE = 24_000
"""Hz of the speech."""

ENCODER_RATE = 16_000
"""Hz of recordings for the networks that read voices."""

TOKENS_PER_SECOND = 25

FRAMES_PER_TOKEN = 2

SAMPLES_PER_FRAME = 480
"""Samples of a frame of the mel spectrogram: 20 ms, half a speech token."""

MELS = 80
"""Bands of the mel spectrogram."""

HARMONICS = 9
"""The fundamental and eight overtones of the vocoder's source."""

MOST_TEXT_TOKENS = 2050
"""Positions of T3 for text tokens, START and STOP among them."""

MOST_TOKENS = 4096
"""Positions of T3 for speech tokens."""
