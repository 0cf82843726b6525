"""Keys of what is computed from a recording, and the error for a built-in voice that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.errors import VoiceNotFound, closest, enumeration

if TYPE_CHECKING:
    from collections.abc import Collection

    from realtts.contract.types import Voice

__all__ = ["no_voice", "voice_key"]


def voice_key(voice: Voice, *parts: object) -> str:
    """Return the cache key of a value computed from a recording's sound; its transcript is not part of it.

    Args:
        voice: The recording.
        parts: All else that the value depends on: provider, kind of value, the weights' identity, options, dtype.
    """
    return "/".join([*map(str, parts), voice.sound_digest])


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
