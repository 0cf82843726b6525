"""The languages by their tags. Imports nothing, because the spec reads it."""

from __future__ import annotations

__all__ = ["LANGUAGES", "NAMES", "OWN_NAMES"]

NAMES = {
    "zh": "chinese",
    "en": "english",
    "de": "german",
    "it": "italian",
    "pt": "portuguese",
    "es": "spanish",
    "ja": "japanese",
    "ko": "korean",
    "fr": "french",
    "ru": "russian",
    "zh-x-beijing": "beijing_dialect",
    "zh-x-sichuan": "sichuan_dialect",
}
"""BCP 47 tag -> upstream's name. The dialects have no tags of their own, so theirs are of the private kind."""

LANGUAGES = tuple(NAMES)
"""Without a language the model recognizes it from the text, which upstream calls ``auto``."""

OWN_NAMES = (("auto", ""), *((name, tag) for tag, name in NAMES.items() if "-x-" in tag))
"""Upstream's names that are no usual names of languages, with their tags."""
