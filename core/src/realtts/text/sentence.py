"""Paragraphs and sentences, as spans into the text.

The rules of each language come from `sentencex`; this module repairs what they tear apart (list markers,
``vol. 2.``), keeps closing quotes with their sentence, and bounds the time: `sentencex` is quadratic in the
length of text that is not ASCII, so it is given windows.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import sentencex

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["paragraphs", "sentences"]

Span = tuple[int, int]

_WINDOW = 1000
_LIST_MARKER = re.compile(r"[(\[]?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)\]]+")
# Abbreviations that stand before a number. "no." is left out because it is also a word; "No." is not.
_BEFORE_NUMBER = re.compile(
    r"(?:^|[^\w.])(?:Nos?|[Nn]r|[Nn]úm|[Vv]ols?|[Ff]igs?|[Pp]p?|[Cc]h|[Cc]hap|[Ss]ec|[Aa]rt|[Ee]qs?|[Pp]t|"
    r"[Oo]p|[Bb]d|[Aa]bb|[Kk]ap|[Ss]|[Cc]a|[Tt]ab|[Vv]er|[Ss]t|[Aa]pprox|[Mm]in|[Mm]ax)\.$"
)
_CLOSERS = re.compile(r"[”’»›)\]}」』）】》〉]+(?=\s|$)|[\"']+(?=\s|$)")
_ALPHANUMERIC = re.compile(r"[^\W_]")
# Languages that write ordinals with a full stop: "Die 3. Auflage".
_ORDINAL_STOP = frozenset("bs cs da de et fi fo hr hu is lb lv nb nn no pl sk sl sr tr".split())  # noqa: SIM905
_ORDINAL = re.compile(r"(?<![\w.])\d{1,2}\.$")


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
            English.
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
    cuts = [start, *_boundaries(text, start, end, code), end]
    for left, right in pairwise(cuts):
        stripped = _strip(text, left, right)
        if stripped[0] < stripped[1]:
            spans.extend(_give_back_closers(text, stripped, spans))
    return _merge(text, spans, code)


def _boundaries(text: str, start: int, end: int, code: str) -> Iterator[int]:
    """Return where each sentence but the first begins."""
    while start < end:
        stop = min(start + _WINDOW, end)
        firsts = [item["start_index"] for item in sentencex.get_sentence_boundaries(code, text[start:stop])][1:]
        yield from (start + first for first in firsts)
        if stop == end:
            return
        # What the window cut off is looked at again with what follows: its last sentence, or else its last
        # word.
        start = start + firsts[-1] if firsts else _last_word(text, start, stop)


def _last_word(text: str, start: int, stop: int) -> int:
    """Return where the last word before ``stop`` begins; close to ``stop`` where nothing separates words."""
    words = text[start:stop].rstrip()
    for at in range(len(words) - 1, max(0, len(words) - 100), -1):
        if words[at - 1].isspace():
            return start + at
    return stop - 8


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


def _merge(text: str, spans: list[Span], code: str) -> list[Span]:
    """Join spans that are one sentence."""
    merged: list[Span] = []
    worded = False  # kept beside the last span, which would be searched again and again while it grows
    for span in spans:
        has_word = _ALPHANUMERIC.search(text, *span) is not None
        if merged and (not worded or not has_word or _belongs(text, merged[-1], span, code)):
            merged[-1] = (merged[-1][0], span[1])
            worded = worded or has_word
        else:
            merged.append(span)
            worded = has_word
    return merged


def _belongs(text: str, left: Span, right: Span, code: str) -> bool:
    """Tell whether two neighbouring spans are one sentence."""
    if left[1] - left[0] <= 8 and _LIST_MARKER.fullmatch(text, *left):
        return True
    end = text[max(left[0], left[1] - 8) : left[1]]
    if text[right[0]].isdigit() and _BEFORE_NUMBER.search(end):
        return True
    if code in _ORDINAL_STOP and _ORDINAL.search(end):
        return True
    if left[1] != right[0]:
        return False
    if text[left[1] - 1] in "」』":  # what is said in Japanese goes on with と or って
        return text[right[0]] in "とっ"
    return text[left[1] - 1] == "." and not _between_words(text, left, right)


def _between_words(text: str, left: Span, right: Span) -> bool:
    """Tell whether white space is missing behind a full stop ("end.Next"), unlike in a name ("ASP.NET")."""
    before = text[max(left[0], left[1] - 100) : left[1] - 1].rsplit(maxsplit=1)[-1].lstrip("\"'“‘«(")
    after = text[right[0] : min(right[1], right[0] + 100)].split(maxsplit=1)[0].rstrip("\"'”’»),;:.!?…")
    plain = before.isalpha() and before[-2:].islower() and len(before) > 1 and before != "www"
    return plain and after.isalpha() and after.istitle()
