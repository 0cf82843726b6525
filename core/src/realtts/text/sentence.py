"""Paragraphs and sentences, as spans into the text.

`realtts.text.stops` tells which marks end sentences; this module finds paragraphs, keeps the numbers of lists with what
they number, and parts lists whose items have no marks.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from realtts.text.stops import sentence_ends
from realtts.text.words import Paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["paragraphs", "sentences"]

Span = tuple[int, int]

_LIST_MARKER = re.compile(r"[(\[]?(?:\d{1,3}(?:\.\d{1,3}){0,4}|[A-Za-z]|[ivxIVX]{1,5}|[а-яА-Я])[.)\]]+")
_ALPHANUMERIC = re.compile(r"[^\W_]")
_CLOSERS = re.compile(r"[”’»›)\]}」』）】》〉]+(?=\s|$)|[\"']+(?=\s|$)")
_BULLET = re.compile(r"(?:(?<=\s)|^)[•‣⁃◦▪●○](?=\s)")
_ITEM = re.compile(r"(?:(?<=\s)|^)(?:(\d{1,2})(?:\.\)|[.)])|\(?([a-z])\))(?=\s+\S)")
_MAX_MARKER = 24


def paragraphs(text: str) -> Iterator[Span]:
    """Return the spans of the paragraphs, which blank lines separate, without surrounding white space."""
    at = 0
    start = end = -1
    for line in text.splitlines(keepends=True):
        if line.isspace():
            if start >= 0:
                yield start, end
            start = -1
        else:
            if start < 0:
                start = at + len(line) - len(line.lstrip())
            end = at + len(line.rstrip())
        at += len(line)
    if start >= 0:
        yield start, end


def sentences(text: str, language: str | None = None) -> list[Span]:
    """Return the spans of the sentences, without surrounding white space.

    Every character that is not white space lies in exactly one span, and spans come in order. A blank line
    ends a sentence, a single line break does not.

    Args:
        text: Any text.
        language: BCP 47 tag; only its primary language counts. None and unknown languages follow the rules of
            English; words in another script those of a language that is written in it.
    """
    code = primary_language(language)
    return [span for start, end in paragraphs(text) for span in paragraph_sentences(text, start, end, code)]


def primary_language(language: str | None) -> str:
    """Return the part of a BCP 47 tag that names the language: ``"pt"`` of ``"pt-BR"``."""
    return re.split("[-_]", language, maxsplit=1)[0].lower() if language else "en"


def paragraph_sentences(text: str, start: int, end: int, code: str) -> list[Span]:
    """Return the spans of the sentences of one paragraph.

    Args:
        text: The whole text.
        start: First character of the paragraph, not white space.
        end: One past its last character.
        code: Primary language.
    """
    spans: list[Span] = []
    ends = sentence_ends(Paragraph.of(text, start, end, code))
    cuts = [start, *sorted({*ends, *_items(text, start, end)}), end]
    for left, right in pairwise(cuts):
        stripped = _strip(text, left, right)
        if stripped[0] < stripped[1]:
            spans.extend(_give_back_closers(text, stripped, spans))
    return _merge(text, spans)


def _items(text: str, start: int, end: int) -> Iterator[int]:
    """Yield where the items of a list begin, the first one excepted: bullets, and numbers or letters in their order."""
    yield from (match.start() for match in _BULLET.finditer(text, start, end) if match.start() > start)
    expected = ""
    for match in _ITEM.finditer(text, start, end):
        label = match[1] or match[2]
        if expected and label == expected:
            yield match.start()
        elif label not in {"1", "a"} or not _begins_line(text, start, match.start()):
            continue
        expected = str(int(label) + 1) if label.isdigit() else chr(ord(label) + 1)


def _begins_line(text: str, start: int, at: int) -> bool:
    before = text[max(start, at - 8) : at].rstrip(" \t")
    return not before or before[-1] in "\n:" or before[-1] in ".!?"


def _strip(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _give_back_closers(text: str, span: Span, before: list[Span]) -> list[Span]:
    """Move closing quotes and brackets at the start of a span to the sentence that they close."""
    start, end = span
    match = _CLOSERS.match(text, start, end)
    if match is None or not before:
        return [span]
    before[-1] = (before[-1][0], match.end())
    rest = _strip(text, match.end(), end)
    return [rest] if rest[0] < rest[1] else []


def _merge(text: str, spans: list[Span]) -> list[Span]:
    """Join spans that are one sentence: the number of an item with the item, and marks alone with a neighbour."""
    merged: list[Span] = []
    worded = False  # kept beside the last span, which would be searched again and again while it grows
    for span in spans:
        has_word = _ALPHANUMERIC.search(text, *span) is not None
        if merged and (not worded or not has_word or _is_marker(text, merged[-1])):
            merged[-1] = (merged[-1][0], span[1])
            worded = worded or has_word
        else:
            merged.append(span)
            worded = has_word
    return merged


def _is_marker(text: str, span: Span) -> bool:
    return span[1] - span[0] <= _MAX_MARKER and _LIST_MARKER.fullmatch(text, *span) is not None
