"""What espeak-ng 1.52 can hold at once, counted as it counts, before it sees the text.

Beyond these numbers it writes past the end of its arrays, which ends the process, so they are checked on the text
alone. They come from its source: a clause is read into 800 bytes (``N_TR_SOURCE``), copied into 800 others with a
space between all that it takes for words, and those are kept in 300 places (``N_CLAUSE_WORDS``); letters with dots
between them are collected in 80 bytes (``CheckDottedAbbrev``), the phonemes of a number in 200
(``N_WORD_PHONEMES``), of which 32 digits leave some.

What merely does not fit, and is lost, depends on the voice: see `realtts_espeak.fitting`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.text.grapheme import safe_cut

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHAIN", "MAX_DIGITS", "best_cut", "certain_clauses", "overflows", "units"]

MAX_DIGITS = 32
"""Longer numbers are not read as numbers, and soon not at all."""

_ONE_BY_ONE = 15
"""Digits that most voices read one by one; fewer are a number of so many trillions."""

_CLAUSE_BYTES = 790
_BREAK_BYTES = 725
"""espeak ends a clause at the first character behind these that is neither letter nor digit."""

_CLAUSE_WORDS = 298
_CHAIN_WORDS = 16
"""Places that a dotted abbreviation may mark as spoken, although they lie behind the last word."""

_CHAIN_BYTES = 64
_NUMBER_SIZE = 38
_MARK_SIZE = 6
"""A decimal mark inside a number, in digits: "point" with the name of a group is longer than they are."""

_HANGUL_BYTES = 9
"""A syllable becomes up to three letters."""

_NAME_BYTES = 40
"""A punctuation mark that is named."""

_UNIT = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]['’\w]*?(?=[\W\d_]|$)|\S")
_HANGUL = re.compile("[\uac00-\ud7af]")
_IDEOGRAPH = re.compile("[\u3041-\uffff\U00020000-\U0003ffff]")
_TURN = re.compile(r"(?<=[a-zß-ÿ])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[\u0000-\u024f])(?=[\u0250-\U0003ffff])")
"""Inside a word: camel case, and where another script begins."""

# Ends of clauses that espeak cannot take for anything else. A full stop may belong to an abbreviation.
_CERTAIN = re.compile(r"[!?,;:](?=\s)|[、。，！？；：।؟،؛](?=\s|\w)|(?<=[^\W\d_]{2})\.(?=\s+[^\W\d_])|\n[^\S\n]*\n")
# What may stand between dotted letters; anything else may be a letter to espeak, such as a mark of Indic scripts.
_BETWEEN = r"[\x20-/:-@\[-`{-\xbf\u2000-\u206f\u3000-\u303f]"
_LETTER = r"[^\x00-@\[-`{-\xbf\u2000-\u206f\u3000-\u303f]"
CHAIN = re.compile(rf"(?<!\w){_LETTER}(?:{_BETWEEN}*\.{_BETWEEN}*{_LETTER}(?!\w))+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_CLAUSE_MARK = re.compile(r"[;:,.!?…؛،][\"”’»)\]]*\s+|[、，；：。！？।][”」』）]*\s*|\s+[—–-]+\s+|—")
_SPACE = re.compile(r"\s+")
_JOINT = re.compile(r"[./\\@_&=?#+-]+")


@dataclass(frozen=True)
class Unit:
    """A stretch that espeak takes for at least one word.

    Attributes:
        start: First character.
        end: One past the last character.
        words: As how many words it counts at most.
        source: Bytes.
        size: Bytes with the spaces that espeak puts in.
    """

    start: int
    end: int
    words: int
    source: int
    size: int


def units(text: str, *, ideographs: bool = False, named: bool = False) -> list[Unit]:
    """List what espeak takes for words in a text.

    Args:
        text: Plain text.
        ideographs: Whether the voice reads every Chinese character as a word.
        named: Whether punctuation is named.
    """
    return [_unit(text, *match.span(), ideographs=ideographs, named=named) for match in _UNIT.finditer(text)]


def _unit(text: str, start: int, end: int, *, ideographs: bool, named: bool) -> Unit:
    word = text[start:end]
    source = len(word.encode())
    if not word[0].isalnum():
        # A full stop behind a word goes away, and other marks of clauses at the end are no words either.
        silent = (
            word in ".,;:!?" and (end == len(text) or text[end].isspace()) and start > 0 and text[start - 1].isalnum()
        )
        space = 0 if silent else 2
        return Unit(start, end, 0 if silent else 1, source, source + space + (_NAME_BYTES if named else 0))
    words = 1 + len(_TURN.findall(word))
    if ideographs:
        words += len(_IDEOGRAPH.findall(word))
    size = source + (_HANGUL_BYTES - 3) * len(_HANGUL.findall(word)) + words - 1
    if end < len(text) and not text[end].isspace():
        size += 1
    return Unit(start, end, words, source, size)


def overflows(text: str, *, ideographs: bool = False, named: bool = False) -> tuple[int, int] | None:
    """Return the first stretch that is too much for espeak, or None.

    Args:
        text: Plain text of one call.
        ideographs: Whether the voice reads every Chinese character as a word.
        named: Whether punctuation is named.

    Returns:
        First character and one past the last; it must be cut in between.
    """
    for match in _NUMBER.finditer(text):
        if _number_size(match[0]) > _NUMBER_SIZE or _longest_digits(match[0]) > MAX_DIGITS:
            return match.span()
    for match in CHAIN.finditer(text):
        if span := _long_chain(text, *match.span()):
            return span
    for start, end in certain_clauses(text):
        span = _full_clause(text[start:end], ideographs=ideographs, named=named)
        if span:
            return start + span[0], start + span[1]
    return None


def _number_size(number: str) -> int:
    return sum(1 if char.isdigit() else _MARK_SIZE for char in number)


def _longest_digits(number: str) -> int:
    return max(map(len, re.split(r"\D", number)))


def _long_chain(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return the part of letters with dots between them that espeak cannot collect."""
    size, first, alone = 0, start, False
    for match in re.finditer(_LETTER, text[start:end]):
        at = start + match.start()
        # "a. b. c." with spaces on both sides are words whose dots espeak takes away.
        before = text[at - 1] if at else " "
        if alone and before.isspace():
            size, first = 0, at
        alone = before.isspace() and re.match(r"\.\s", text[at + 1 : at + 3]) is not None
        # Greek and some others write Latin letters as two bytes of their own.
        size += max(2, len(match[0].encode()))
        if size > _CHAIN_BYTES:
            return first, end
    return None


def certain_clauses(text: str) -> Iterator[tuple[int, int]]:
    """Yield stretches that end where espeak ends a clause for certain; each is one clause or several."""
    start = 0
    for match in _CERTAIN.finditer(text):
        if match[0] == "." and not _begins_sentence(text, match.end()):
            continue
        if any(char.isalnum() for char in text[start : match.end()]):
            yield start, match.end()
            start = match.end()
    if start < len(text):
        yield start, len(text)


def _begins_sentence(text: str, at: int) -> bool:
    rest = text[at : at + 64].lstrip()
    return rest[:1].isupper() and text[at - 2 : at - 1].islower()


def _full_clause(text: str, *, ideographs: bool, named: bool) -> tuple[int, int] | None:
    """Return the first stretch that espeak would read as one clause but cannot hold."""
    listed = units(text, ideographs=ideographs, named=named)
    most = _CLAUSE_WORDS - (_CHAIN_WORDS if CHAIN.search(text) else 0)
    if sum(unit.words for unit in listed) <= most and sum(unit.size + 1 for unit in listed) <= _CLAUSE_BYTES:
        return None
    first = words = source = size = 0
    for index, unit in enumerate(listed):
        gap = len(text[listed[index - 1].end : unit.start].encode()) if index else 0
        words, source, size = words + unit.words, source + unit.source + gap, size + unit.size + gap
        if words > most or size > _CLAUSE_BYTES:
            return listed[first].start, unit.end
        while source > _BREAK_BYTES and first < index:
            # The clause that begins with the first word ends here; one that begins later may go on.
            head, following = listed[first], listed[first + 1]
            gap = len(text[head.end : following.start].encode())
            words, source, size = words - head.words, source - head.source - gap, size - head.size - gap
            first += 1
    return None


def best_cut(text: str, start: int, end: int) -> int:
    """Return where to cut a stretch into two that are nearly as long as each other.

    Behind a mark of a clause, else at white space, else at a joint of an address, else between digits or letters, but
    not inside a grapheme. Numbers are cut where groups of three begin.
    """
    if _NUMBER.fullmatch(text, start, end) and (cut := _number_cut(text, start, end)):
        return cut
    middle = (start + end) // 2
    room = max(1, (end - start) // 4)
    for pattern in (_CLAUSE_MARK, _SPACE, _JOINT):
        cuts = [m.end() for m in pattern.finditer(text, start, end) if not _inside_number(text, m.end())]
        near = [cut for cut in cuts if abs(cut - middle) <= room]
        if near:
            return min(near, key=lambda cut: abs(cut - middle))
    cut = safe_cut(text, start, middle)
    return cut if start < cut < end else max(start + 1, middle)


def _inside_number(text: str, at: int) -> bool:
    return 0 < at < len(text) and text[at].isdigit() and text[at - 1] in ".,:" and text[at - 2 : at - 1].isdigit()


def _number_cut(text: str, start: int, end: int) -> int | None:
    """Return where to cut a number: inside its longest run of digits, so that groups of three stay whole, or at a mark.

    What follows the cut has enough digits to be read one by one, as the decimals or digits before it are.
    """
    runs = [match.span() for match in re.finditer(r"\d+", text[start:end])]
    left, right = max(runs, key=lambda run: run[1] - run[0])
    digits = right - left
    if digits > _ONE_BY_ONE:
        # Equal shares of at most 30 digits; the cut is the one in their middle.
        parts = max(2, -(-digits // 30))
        behind = 3 * round(digits * (parts // 2) / parts / 3)
        return start + right - min(max(behind, _ONE_BY_ONE), digits - 1)
    marks = [start + run[0] for run in runs[1:]]
    return min(marks, key=lambda mark: abs(2 * mark - start - end), default=None)
