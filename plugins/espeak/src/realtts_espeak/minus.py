"""Signs of numbers: of most languages espeak's rules say the minus of mathematics, and nothing for a hyphen."""

from __future__ import annotations

import re

from realtts_espeak.fitting import phoneme_names

__all__ = ["with_minus"]

_MINUS = re.compile(r"(?<![^\s(\[{\"'“„«=<>:*/+])[-\u2212](?=[.,]?\d)")
"""A hyphen that is the sign of the number behind it: nothing but a space, a bracket or another sign is before it."""


def with_minus(text: str, voice: str) -> str:
    """Return the text with the minus before numbers that the voice says, if it says one; of the same length.

    Args:
        text: Plain text, free of reserved characters.
        voice: espeak's identifier.
    """
    return _MINUS.sub(_spoken_minus(voice), text) if _MINUS.search(text) else text


def _spoken_minus(voice: str) -> str:
    unsigned, hyphen, minus = (phoneme_names(text, voice) for text in ("5", "-5", "\u22125"))
    return "\u2212" if hyphen == unsigned != minus else "-"
