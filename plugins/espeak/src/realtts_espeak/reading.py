"""What of a text espeak cannot say, told before the model is loaded: without weights, torch or the network."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

from realtts.contract.types import Unread
from realtts_espeak.catalogue import DEFAULT_VOICE, Catalogue, read_catalogue
from realtts_espeak.fitting import is_silent
from realtts_espeak.library import fresh_library
from realtts_espeak.synthesis import plain_text

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint

__all__ = ["unread_in"]

_SAID = frozenset({"So", "Sc", "Sm"})


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> list[Unread]:  # noqa: ARG001
    """Return the words for which the language's voice has no phonemes."""
    catalogue = _catalogue()
    voice = catalogue.named(catalogue.speaker(language or DEFAULT_VOICE), "")
    words = re.finditer(r"\S+", plain_text(text))
    return [Unread(word.span()) for word in words if _is_said(word[0]) and is_silent(word[0], voice)]


def _is_said(word: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) in _SAID for char in word)


@functools.cache
def _catalogue() -> Catalogue:
    with fresh_library() as library:
        return read_catalogue(library)
