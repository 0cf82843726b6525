"""The languages of the multilingual model."""

from __future__ import annotations

__all__ = ["LANGUAGES"]

LANGUAGES = (
    "en", "ar", "da", "de", "el", "es", "fi", "fr", "he", "hi", "it", "ja", "ko", "ms", "nl", "no", "pl", "pt", "ru",
    "sv", "sw", "tr", "zh",
)  # fmt: skip
"""The default one first; the other two models speak English alone."""
