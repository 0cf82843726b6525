"""A part of a text that is spoken by one call of the provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.contract.types import Request
    from realtts.synthesis.markup import Anchor

__all__ = ["Piece"]


@dataclass(frozen=True)
class Piece:
    """A part of the text that is spoken by one call of the provider.

    Attributes:
        request: The request for it.
        start: Where its text begins in the prepared text.
        pause_s: Silence after it.
        gap_s: Silence between it and the piece before it, in a text that is still being written.
        stretch: Factor by which its audio is time-stretched; 1.0: not at all.
        gain: Factor of its samples.
        anchors: Marks of SSML, by characters of its text, and in the silence after it.
        language_inside: Its language was chosen for it alone, so that it counts more than a built-in voice.
    """

    request: Request
    start: int = 0
    pause_s: float = 0.0
    gap_s: float = 0.0
    stretch: float = 1.0
    gain: float = 1.0
    anchors: tuple[Anchor, ...] = ()
    language_inside: bool = False
