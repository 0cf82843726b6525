"""Runs of SSML that are not read as text: spelled, or spoken as phonemes that were given."""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from realtts.contract.types import Chunk, Mark, Unread
from realtts.text.grapheme import safe_cut
from realtts_espeak.hazards import names_punctuation
from realtts_espeak.library import SAMPLE_RATE
from realtts_espeak.synthesis import plain_text, speak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtts_espeak.synthesis import Manner

__all__ = ["pronounced", "spelled"]

_MAX_SPELLED = 16
"""Letters of a word that is spelled out: their names fill the room for a word."""

_LETTERS, _PUNCTUATION, _SYMBOL = "letters", "punctuation", "symbol"
"""Symbols beyond ASCII are read, not spelled: their names are longer than espeak's room for one. With some voices a
clause that begins with the name of a punctuation mark ends the process."""


def spelled(text: str, manner: Manner, cancelled: Callable[[], bool]) -> Iterator[Chunk]:
    """Spell a text, letter by letter; one chunk and one mark per word of up to 16 letters."""
    offset = 0
    for start, end, kind in _parts(text):
        part = text[start:end]
        if kind == _PUNCTUATION and not names_punctuation(manner.voice):
            yield Chunk(np.zeros(0, np.float32), SAMPLE_RATE, unread=(Unread((start, end)),))
            continue
        said = escape(plain_text(part))
        if kind != _SYMBOL:
            said = f'<say-as interpret-as="characters">{said}</say-as>'
        utterance = speak(said, manner, cancelled, ssml=True)
        if utterance.cancelled:
            return
        if utterance.samples.any():
            seconds = offset / SAMPLE_RATE
            mark = Mark(seconds, seconds + len(utterance.samples) / SAMPLE_RATE, (start, end))
            offset += len(utterance.samples)
            yield Chunk(utterance.samples, SAMPLE_RATE, (mark,))


def _parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start and end of what is spoken in one go, and what it is."""
    for word in re.finditer(r"\S+", text):
        at = word.start()
        for kind, chars in itertools.groupby(word[0], _kind):
            end = at + len(list(chars))
            while end - at > _MAX_SPELLED:
                cut = safe_cut(text, at, at + _MAX_SPELLED)
                yield at, cut, kind
                at = cut
            yield at, end, kind
            at = end


def _kind(char: str) -> str:
    if char.isalnum() or unicodedata.category(char)[0] == "M":
        return _LETTERS
    return _PUNCTUATION if char.isascii() else _SYMBOL


def pronounced(text: str, names: str, manner: Manner, cancelled: Callable[[], bool]) -> Iterator[Chunk]:
    """Speak phonemes in place of a text; one chunk with one mark.

    Args:
        text: What they stand for.
        names: From `realtts_espeak.phonemes.mnemonics`.
        manner: Voice and parameters.
        cancelled: Read at every buffer.
    """
    utterance = speak(f"[[{names}]]", manner, cancelled, phonemes=True)
    if utterance.cancelled or not utterance.samples.any():
        return
    mark = Mark(0.0, len(utterance.samples) / SAMPLE_RATE, (0, len(text)))
    yield Chunk(utterance.samples, SAMPLE_RATE, (mark,))
