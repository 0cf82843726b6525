"""Names of saved voices: what people may call them, and the folder that each is kept in."""

from __future__ import annotations

import unicodedata

from realtts.errors import VoiceError

__all__ = ["check_name", "folder_name"]

_LONGEST = 64
_LONGEST_BYTES = 255
_PUNCTUATION = frozenset("-_.")
# Windows keeps these for devices, with any suffix.
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    "conin$",
    "conout$",
    *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"),
}


def check_name(name: object) -> str:
    """Return the name in its normal form if every file system can keep it.

    Raises:
        VoiceError: The name is not usable.
    """
    fault = _fault(unicodedata.normalize("NFC", name)) if isinstance(name, str) else "no text"
    if fault or not isinstance(name, str):
        raise VoiceError(
            f"the voice name {name!r:.80} is {fault}",
            who="saved voices",
            fix=f"use 1 to {_LONGEST} letters, digits, '-', '_' or '.', and no '.' at either end",
        )
    return unicodedata.normalize("NFC", name)


def folder_name(name: str) -> str:
    """Return the folder of a voice: the same for names that differ only in case, so that none hides another."""
    return unicodedata.normalize("NFC", name.casefold())


def _fault(name: str) -> str:
    if not name:
        return "empty"
    if len(name) > _LONGEST or len(folder_name(name).encode("utf-8", "replace")) > _LONGEST_BYTES:
        return "too long"
    if unicodedata.category(name[0]).startswith("M"):
        return "not usable, because it begins with a mark that belongs to a letter before it"
    if name.startswith(".") or name.endswith("."):
        return "not usable, because of the '.' at an end"
    for char in name:
        # Marks are what vowels are written with in Indic scripts.
        if not (char.isalnum() or char in _PUNCTUATION or unicodedata.category(char) in {"Mn", "Mc"}):
            return f"not usable, because of {char!r}"
    # Windows reads superscript digits as digits, and so does every other form of them that it folds.
    stem = name.split(".", maxsplit=1)[0]
    if stem.casefold() in _DEVICES or unicodedata.normalize("NFKC", stem).casefold() in _DEVICES:
        return "kept by Windows for a device"
    return ""
