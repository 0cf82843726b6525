"""Text in pieces of a size that a model takes, and books in blocks of a size that memory takes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from realtts.text.check import is_speakable
from realtts.text.grapheme import safe_cut
from realtts.text.sentence import paragraph_sentences, paragraphs, primary_language, sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

__all__ = ["Piece", "blocks", "long_cut", "pieces"]

# Clause punctuation with its closing quotes. Latin marks count only before white space: "1,000" and "12:30"
# are words.
_CLAUSE = re.compile(r"[;:,.!?…][\"”’»)\]]*(?=\s)|\s[—–-]+(?=\s)|—|[、，；：。！？…؛،।][”」』）]*")
_SPACE = re.compile(r"\s+")
_LAST_SPACE = re.compile(r".*\s", re.DOTALL)
_READ_CHARS = 1 << 16


@dataclass(frozen=True)
class Piece:
    """A stretch of a text that is spoken in one go.

    Attributes:
        start: First character, never white space.
        end: One past the last character, which is never white space.
        paragraph_end: A blank line or the end of the text follows.
        sentence_end: The piece ends where a sentence ends.
    """

    start: int
    end: int
    paragraph_end: bool
    sentence_end: bool


def pieces(text: str, max_chars: int, language: str | None = None) -> list[Piece]:
    """Split a text for a model that takes at most ``max_chars`` characters at a time.

    Whole sentences are packed together, never across a blank line. A sentence that is too long is cut after
    clause punctuation, else at white space, else anywhere but inside a grapheme (unless that alone is longer
    than the limit). Stretches with nothing to say (``"..."``) go with a neighbour, or are left out where they
    do not fit.

    Args:
        text: Any text.
        max_chars: At least 1.
        language: BCP 47 tag, see `sentences`.
    """
    if max_chars < 1:
        raise ValueError(f"max_chars must be at least 1, not {max_chars}")
    code = primary_language(language)
    result: list[Piece] = []
    for start, end in paragraphs(text):
        result.extend(_of_paragraph(text, start, end, max_chars, code))
    return result


def _of_paragraph(text: str, start: int, end: int, max_chars: int, code: str) -> list[Piece]:
    packed: list[Piece] = []
    for unit in _units(text, start, end, max_chars, code):
        if packed and unit.end - packed[-1].start <= max_chars:
            packed[-1] = replace(unit, start=packed[-1].start)
        else:
            packed.append(unit)
    spoken: list[Piece] = []
    for piece in packed:
        if is_speakable(text[piece.start : piece.end]):
            spoken.append(piece)
        elif spoken and piece.sentence_end:
            spoken[-1] = replace(spoken[-1], sentence_end=True)
    if spoken:
        spoken[-1] = replace(spoken[-1], paragraph_end=True)
    return spoken


def _units(text: str, start: int, end: int, max_chars: int, code: str) -> Iterator[Piece]:
    """Yield what is packed: sentences, and parts of sentences that are too long."""
    if end - start <= max_chars:  # it would all be packed together again
        yield Piece(start, end, paragraph_end=False, sentence_end=True)
        return
    for left, right in paragraph_sentences(text, start, end, code):
        at = left
        while right - at > max_chars:
            cut = long_cut(text, at, right, max_chars)
            yield Piece(at, _rstrip(text, at, cut), paragraph_end=False, sentence_end=False)
            at = _lstrip(text, cut, right)
        yield Piece(at, right, paragraph_end=False, sentence_end=True)


def long_cut(text: str, start: int, end: int, max_chars: int) -> int:
    """Return where to cut a sentence that is too long: after ``start``, at most ``max_chars`` behind it."""
    # A quarter stays behind, so that the rest is never a single word that would be spoken without its
    # context.
    limit = min(start + max_chars, end - max_chars // 4)
    least = start + max(1, max_chars // 4)
    # One more character is in sight, because white space behind a mark or a word is what makes it an end.
    at = _last_end(_CLAUSE, text, least - 1, limit, limit + 1)
    if at is None:
        at = _last_start(_SPACE, text, start + 1, limit)
    if at is None:
        at = safe_cut(text, start, limit)
    return at


def _last_end(pattern: re.Pattern[str], text: str, start: int, limit: int, sight: int) -> int | None:
    last = None
    for match in pattern.finditer(text, start, sight):
        if match.end() <= limit:
            last = match.end()
    return last


def _last_start(pattern: re.Pattern[str], text: str, start: int, limit: int) -> int | None:
    last = None
    for match in pattern.finditer(text, start, limit + 1):
        last = match.start()
    return last


def _rstrip(text: str, start: int, end: int) -> int:
    return start + len(text[start:end].rstrip())


def _lstrip(text: str, start: int, end: int) -> int:
    match = _SPACE.match(text, start, end)
    return match.end() if match else start


def blocks(stream: Iterable[str] | TextIO, max_chars: int, language: str | None = None) -> Iterator[str]:
    """Cut a text of any length into blocks that fit into memory.

    No more is held than a block and what the stream hands over at a time. A block ends after a paragraph,
    else after a line, else after a sentence, else anywhere but inside a grapheme. The blocks together are the
    text, character for character.

    Args:
        stream: An open text file, or strings such as lines.
        max_chars: Longest block, at least 1.
        language: BCP 47 tag, see `sentences`.
    """
    if max_chars < 1:
        raise ValueError(f"max_chars must be at least 1, not {max_chars}")
    return _blocks(_strings(stream), max_chars, language)


def _blocks(strings: Iterable[str], max_chars: int, language: str | None) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for string in strings:
        held.append(string)
        size += len(string)
        if size <= max_chars:
            continue
        text = "".join(held)
        at = 0
        while size > max_chars:
            cut = _block_end(text[at : at + max_chars], language)
            yield text[at : at + cut]
            at += cut
            size -= cut
        held = [text[at:]]
    if size:
        yield "".join(held)


def _strings(stream: Iterable[str] | TextIO) -> Iterator[str]:
    read = getattr(stream, "read", None)
    if read is None:
        yield from stream
        return
    # A file is not read by lines, because a book may have been saved as a single one.
    while part := read(_READ_CHARS):
        yield part


def _block_end(window: str, language: str | None) -> int:
    """Return the best place to end a block that begins like this and goes on."""
    at = len(window)
    line_end = 0
    for line in reversed(window.splitlines(keepends=True)):
        ended = line.splitlines()[0] != line
        if ended and line.isspace() and at > len(line):
            return at
        if ended and not line_end:
            line_end = at
        at -= len(line)
    if line_end:
        return line_end
    last = sentences(window, language)[-1:]
    if last and last[0][0] > 0:
        return last[0][0]
    if words := _LAST_SPACE.match(window):  # a search would try every beginning where there is no white space
        return words.end()
    return safe_cut(window, 0, len(window))
