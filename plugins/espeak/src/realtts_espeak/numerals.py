"""Numbers in the voices that have no words for them: another voice reads them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts_espeak.synthesis import Manner

__all__ = ["number_edges", "reading"]

_READERS = {"art/sjn": "gmw/en-US", "iro/chr": "gmw/en-US", "trk/cv": "zle/ru"}
"""Who reads the numbers of these voices: a language that its speakers know."""

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def number_edges(text: str, manner: Manner) -> set[int]:
    """Return where the numbers of a text begin and end, if the voice cannot read them."""
    if _voice(manner) not in _READERS:
        return set()
    return {edge for match in _NUMBER.finditer(text) for edge in match.span()}


def reading(text: str, manner: Manner) -> Manner:
    """Return the manner in which a part is read: with another voice if it is a number that this one cannot read."""
    reader = _READERS.get(_voice(manner))
    if reader is None or not _NUMBER.fullmatch(text.strip()):
        return manner
    return replace(manner, voice=reader + manner.voice[len(_voice(manner)) :])


def _voice(manner: Manner) -> str:
    return manner.voice.split("+", maxsplit=1)[0]
