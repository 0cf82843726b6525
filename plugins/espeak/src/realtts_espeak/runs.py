"""Runs of SSML that are not read as text: spelled, or spoken as phonemes that were given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from realtts.contract.types import Chunk, Mark
from realtts.text.grapheme import safe_cut
from realtts_espeak.library import SAMPLE_RATE
from realtts_espeak.synthesis import plain_text, speak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtts_espeak.synthesis import Manner

__all__ = ["pronounced", "spelled"]

_MAX_SPELLED = 16
"""Letters of a word that is spelled out: their names fill the room for a word."""

_PART = re.compile(r"[\x21-\x7e]+|[^\W_]+|\S")
"""What is spelled in one go; symbols beyond ASCII are read, for their names are longer than espeak's room for one."""


def spelled(text: str, manner: Manner, cancelled: Callable[[], bool]) -> Iterator[Chunk]:
    """Spell a text, letter by letter; one chunk and one mark per word of up to 16 letters."""
    offset = 0
    for start, end in _parts(text):
        part = text[start:end]
        letters = part.isascii() or part.isalnum()
        said = escape(plain_text(part))
        if letters:
            said = f'<say-as interpret-as="characters">{said}</say-as>'
        utterance = speak(said, manner, cancelled, ssml=True)
        if utterance.cancelled:
            return
        if utterance.samples.any():
            seconds = offset / SAMPLE_RATE
            mark = Mark(seconds, seconds + len(utterance.samples) / SAMPLE_RATE, (start, end))
            offset += len(utterance.samples)
            yield Chunk(utterance.samples, SAMPLE_RATE, (mark,))


def _parts(text: str) -> Iterator[tuple[int, int]]:
    for match in _PART.finditer(text):
        at = match.start()
        while match.end() - at > _MAX_SPELLED:
            cut = safe_cut(text, at, at + _MAX_SPELLED)
            yield at, cut
            at = cut
        yield at, match.end()


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
