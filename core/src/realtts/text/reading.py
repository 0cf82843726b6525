"""A text as a phonemizer can read it, with the way back to the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.contract.types import Unread
    from realtts.text.edited import EditedText

__all__ = ["Reading"]


@dataclass(frozen=True)
class Reading:
    """A text as a lexicon or phonemizer can read it: letters that it knows, marks and white space.

    Attributes:
        words: Numbers and signs in words, and where they came from.
        readable: The same without what cannot be read, and where in ``words`` it came from.
        unread: What is not said as it stands, by its place in the original.
    """

    words: EditedText
    readable: EditedText
    unread: tuple[Unread, ...]

    @property
    def text(self) -> str:
        """The text to be spoken."""
        return self.readable.text

    def to_original(self, span: tuple[int, int]) -> tuple[int, int]:
        """Return the span of the original that a span of `text` came from."""
        return self.words.to_original(self.readable.to_original(span))
