"""Keys of what is computed from a recording, and the error for a built-in voice that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.errors import VoiceNotFound, closest

if TYPE_CHECKING:
    from collections.abc import Collection

    from realtts.contract.types import Voice

__all__ = ["no_voice", "voice_key"]


def voice_key(voice: Voice, *parts: object) -> str:
    """The key of what is made of a recording's sound, whatever is said of its words.

    Args:
        voice: The recording.
        parts: All else that the value depends on: provider, what it is, the weights' identity, options, dtype.
    """
    return "/".join([*map(str, parts), voice.sound_digest])


def no_voice(name: str | None, known: Collection[str], who: str, *, instead: str) -> VoiceNotFound:
    """The error of a plugin whose model has no voice of a name, or none at all.

    Args:
        name: What was asked for.
        known: Ids of the voices that there are.
        who: The provider.
        instead: What else can be done, as an order.
    """
    if not known:
        return VoiceNotFound("the checkpoint brings no voices", who=who, fix=instead)
    what = f"there is no voice {name!r:.60}{closest(str(name), known)}"
    return VoiceNotFound(what, who=who, fix=f"choose from {', '.join(known)}, or {instead}")
