"""What of a text hibari reads, and what is named as unread: without weights and without the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.contract.types import Unread
from realtts.kit.english import LETTERS, MARKS
from realtts.text import readable_text
from realtts.text.edited import EditedText
from realtts.text.english_signs import in_words
from realtts.text.reading import Reading

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint

__all__ = ["read", "unread_in"]

_READ = LETTERS | MARKS | frozenset("'- \t\n\r")


def read(text: str) -> Reading:
    """Return what of a text can be spoken.

    Raises:
        UnspeakableText: Nothing of it.
    """
    words = in_words(EditedText(text))
    readable = readable_text(
        words.text,
        _READ.__contains__,
        who="hibari",
        nothing="hibari speaks English, in Latin letters, and none is in it",
    )
    unread = tuple(Unread(words.to_original(each.span), each.instead) for each in readable.unread)
    return Reading(words, readable.edited, unread)


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> tuple[Unread, ...]:  # noqa: ARG001
    """Return the characters of a text that are not said as they stand.

    Raises:
        UnspeakableText: Nothing of it can be said.
    """
    return read(text).unread
