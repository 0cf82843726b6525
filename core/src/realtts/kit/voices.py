"""Names of built-in voices and of blends of them, and keys of what is computed from a recording."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from realtts.errors import VoiceNotFound, closest, enumeration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from realtts.contract.types import Voice

__all__ = ["blend_name", "blend_parts", "matching_name", "no_voice", "voice_key"]


_LARGEST_SHARE = 1e6


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


def blend_parts(name: str, who: str) -> tuple[tuple[str, float], ...]:
    """Return the voices of a blend, as a caller writes it, with their shares, which add up to 1.

    Args:
        name: ``"one:0.6,other:0.4"``; without numbers the shares are equal. A single name is a blend of one.
        who: The provider, for the message.

    Raises:
        VoiceNotFound: A share is no positive number, or a name is missing.
    """
    parts: dict[str, float] = {}
    entries = [entry.rpartition(":") if ":" in entry else (entry, "", "1") for entry in name.split(",")]
    for voice, _, share in entries:
        try:
            weight = float(share)
        except ValueError:
            weight = 0.0
        if not voice.strip() or not 0 < weight <= _LARGEST_SHARE:
            raise VoiceNotFound(
                f"{name!r:.80} is no blend of voices: {f'{voice}:{share}'.strip(':')!r:.40} is no voice with a share",
                who=who, fix="write each voice with a positive number: one:0.6,other:0.4",
            )  # fmt: skip
        parts[voice.strip()] = parts.get(voice.strip(), 0.0) + weight
    total = sum(parts.values())
    return tuple((voice, weight / total) for voice, weight in parts.items())


def blend_name(parts: Iterable[tuple[str, float]]) -> str:
    """Return the name of a blend of voices: what `blend_parts` reads."""
    parts = tuple(parts)
    return parts[0][0] if len(parts) == 1 else ",".join(f"{voice}:{share!r}" for voice, share in parts)


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
