"""Names of built-in voices, and keys of what is computed from a recording."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from realtts.errors import VoiceNotFound, closest, enumeration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from realtts.contract.types import Voice

__all__ = ["matching_name", "no_voice", "voice_key"]


def voice_key(voice: Voice, *parts: object) -> str:
    """Return the cache key of a value computed from a recording's sound; its transcript is not part of it.

    Args:
        voice: The recording.
        parts: All else that the value depends on: provider, kind of value, the weights' identity, options, dtype.
    """
    return "/".join([*map(str, parts), voice.sound_digest])


def matching_name(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is meant; None: there is none. Case, spaces, ``_`` and ``-`` do not matter.

    Args:
        name: What a caller wrote.
        names: Those that there are; one that is written in the same way goes first.
    """
    names = list(names)
    if name in names:
        return name
    return {_folded(each): each for each in reversed(names)}.get(_folded(name))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold().replace("_", "-").replace(" ", "-")


def no_voice(name: str | None, voices: Collection[str], who: str, *, instead: str) -> VoiceNotFound:
    """Return the error for a built-in voice that the model does not have.

    Args:
        name: Id that was asked for.
        voices: Ids of the voices that there are; may be empty.
        who: The provider.
        instead: What else can be done, as an order.
    """
    if not voices:
        return VoiceNotFound("the checkpoint brings no voices", who=who, fix=instead)
    what = f"there is no voice {name!r:.60}{closest(str(name), voices)}"
    return VoiceNotFound(what, who=who, fix=f"choose from {enumeration(voices, 12)}, or {instead}")
