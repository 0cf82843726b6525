"""What of a text espeak cannot say, told before the model is loaded: without weights, torch or the network."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

from realtts.contract.types import Unread
from realtts_espeak.catalogue import DEFAULT_VOICE, Catalogue, read_catalogue
from realtts_espeak.fitting import silent_among
from realtts_espeak.library import fresh_library
from realtts_espeak.synthesis import plain_text, taken_out

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint

__all__ = ["unread_in"]

_SAID = frozenset({"So", "Sc", "Sm"})


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> list[Unread]:  # noqa: ARG001
    """Return the words for which the language's voice has no phonemes."""
    catalogue = _catalogue()
    voice = catalogue.named(catalogue.speaker(language or DEFAULT_VOICE), "")
    words = [word for word in re.finditer(r"\S+", plain_text(text)) if _is_said(word[0])]
    silent = silent_among((word[0] for word in words), voice)
    unsaid = [word.span() for word in words if word[0] in silent]
    return [Unread(span) for span in sorted(unsaid + taken_out(text))]


def _is_said(word: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) in _SAID for char in word)


@functools.cache
def _catalogue() -> Catalogue:
    with fresh_library() as library:
        return read_catalogue(library)
