"""Voices to clone: recordings read and checked, kept under a name, and what models make of them cached."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.voices.cache import VoiceCache
    from realtts.voices.reference import check, load
    from realtts.voices.store import SavedVoice, VoiceStore

__all__ = ["SavedVoice", "VoiceCache", "VoiceStore", "check", "load"]

_HOMES = {
    "SavedVoice": "store",
    "VoiceCache": "cache",
    "VoiceStore": "store",
    "check": "reference",
    "load": "reference",
}


def __getattr__(name: str) -> object:
    # Loaded on demand: the store's list and the cache need no numpy, which costs more than all the rest
    # together.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
