"""Voices to clone: recordings read and checked, kept under a name, and what models make of them cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.lazy import names_from

if TYPE_CHECKING:
    from realtts.voices.cache import VoiceCache
    from realtts.voices.reference import check, load
    from realtts.voices.store import SavedVoice, VoiceStore

__all__ = ["SavedVoice", "VoiceCache", "VoiceStore", "check", "load"]

# On demand, because the store's list and the cache need no numpy, which costs more than all the rest together.
__getattr__ = names_from(
    __name__, {"cache": ("VoiceCache",), "reference": ("check", "load"), "store": ("SavedVoice", "VoiceStore")}
)
