"""Rates and sizes that all of F5-TTS's networks were trained with."""

from __future__ import annotations

__all__ = ["FFT", "HOP", "MELS", "RATE", "SPECTRUM"]

RATE = 24_000
"""Hz of the networks and of the speech."""

HOP = 256
"""Samples of a frame of the mel spectrogram."""

MELS = 100
"""Bands of the mel spectrogram."""

FFT = 1024
"""Samples of a window of the mel spectrogram."""

SPECTRUM = {
    "target_sample_rate": RATE,
    "n_mel_channels": MELS,
    "hop_length": HOP,
    "win_length": FFT,
    "n_fft": FFT,
    "mel_spec_type": "vocos",
}
"""The mel spectrogram that all published models were trained on, as upstream's configurations say it."""
