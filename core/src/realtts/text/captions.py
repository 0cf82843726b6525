"""Subtitles from the timings of words or sentences."""

from __future__ import annotations

import bisect
import re
import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from realtts.errors import OutputError
from realtts.text.sentence import sentences
from realtts.text.ssml_readable import readable_marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.types import Mark

__all__ = ["Cue", "cues", "to_srt", "to_vtt"]

_LINE_CHARS = 42
_LINES = 2
_SECONDS = 7.0
_PAUSE_S = 0.8
_WORD = re.compile(r"\w")
_PART = re.compile(rf"\S{{1,{_LINE_CHARS // 2}}}")
# Opening marks belong to the next word, unless white space follows: German closes with the mark that English
# opens with.
_BEHIND = re.compile(r"(?:[^\w\s“‘«「『（(\[{¿¡]|[“‘«](?=\s|$))*")
_BEFORE = re.compile(r"[^\w\s]*$")


@dataclass(frozen=True)
class Cue:
    """One subtitle.

    Attributes:
        start: Seconds.
        end: Seconds, not after the next one's start.
        lines: One or two lines of text.
    """

    start: float
    end: float
    lines: tuple[str, ...]


def cues(marks: Sequence[Mark], text: str, *, markup: bool = False) -> list[Cue]:
    """Group timings into subtitles of at most two lines of 42 characters and 7 seconds.

    A new one begins with a sentence and after a pause of more than 0.8 s. Where there are timings of words,
    those of sentences are not used; a sentence that is too long for a subtitle is cut, its time in proportion
    to the characters.

    Args:
        marks: Timings whose spans lie in ``text``.
        text: The caller's original text.
        markup: Whether that is SSML: its tags are not shown.

    Raises:
        OutputError: There are no marks.
    """
    if markup:
        marks, text = readable_marks(marks, text)
    timed = [mark for mark in marks if mark.kind != "mark"]
    words = [mark for mark in timed if mark.kind == "word"] or timed
    if not words:
        raise OutputError(
            "the speech has no timings",
            who="captions",
            fix="give timestamps='align', or use a provider with the capability 'marks'",
        )
    first_chars = [start for start, _ in sentences(text)]
    result: list[Cue] = []
    group: list[_Timed] = []
    for item in _timed(words, text):
        if group and _begins_cue(item, group, text, first_chars):
            result.append(_cue(group, text))
            group = []
        group.append(item)
    if group:
        result.append(_cue(group, text))
    later = [cue.start for cue in result[1:]] + [float("inf")]
    return [replace(cue, end=min(cue.end, start)) for cue, start in zip(result, later, strict=False)]


def to_srt(marks: Sequence[Mark], text: str, *, markup: bool = False) -> str:
    """Return the subtitles in SubRip form.

    Args:
        marks: Timings whose spans lie in ``text``.
        text: The caller's original text.
        markup: Whether that is SSML.

    Raises:
        OutputError: There are no marks.
    """
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "".join(f"{line}\n" for line in cue.lines)
        for number, cue in enumerate(cues(marks, text, markup=markup), 1)
    )


def to_vtt(marks: Sequence[Mark], text: str, *, markup: bool = False) -> str:
    """Return the subtitles in WebVTT form; ``&``, ``<`` and ``>`` are escaped.

    Args:
        marks: Timings whose spans lie in ``text``.
        text: The caller's original text.
        markup: Whether that is SSML.

    Raises:
        OutputError: There are no marks.
    """
    bodies = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n" + "".join(f"{_escaped(line)}\n" for line in cue.lines)
        for cue in cues(marks, text, markup=markup)
    ]
    return "\n".join(["WEBVTT\n", *bodies])


@dataclass(frozen=True)
class _Timed:
    """When a stretch of the text is spoken, the punctuation around it included."""

    start: float
    end: float
    span: tuple[int, int]


def _timed(marks: Sequence[Mark], text: str) -> Iterator[_Timed]:
    """Return the marks in order, each stretch of text once, in parts that fit into a subtitle."""
    reached = 0
    for mark in sorted(marks, key=lambda mark: (mark.start, mark.span)):
        start, end = max(mark.span[0], reached), min(mark.span[1], len(text))
        if start >= end:
            continue
        if _WORD.search(text, reached, start):  # words without a timing are not shown
            start -= len(_found(_BEFORE.search(text[reached:start])))
        else:
            # Opening punctuation belongs to the word, what stands in a paragraph of its own (a scene break) does not.
            before = text[reached:start].rpartition("\n\n")[2].lstrip()
            start -= len(before)
        end += len(_found(_BEHIND.match(text, end)))
        reached = end
        yield from _parts(_Timed(mark.start, max(mark.start, mark.end), (start, end)), text)


def _found(match: re.Match[str] | None) -> str:
    assert match is not None, "both patterns match the empty string"
    return match.group()


def _parts(item: _Timed, text: str) -> Iterator[_Timed]:
    start, end = item.span
    seconds = item.end - item.start
    if len(_lines(text[start:end])) <= _LINES:
        yield item
        return
    for match in _PART.finditer(text, start, end):
        left, right = match.span()
        yield _Timed(
            item.start + seconds * (left - start) / (end - start),
            item.start + seconds * (right - start) / (end - start),
            (left, right),
        )


def _begins_cue(item: _Timed, group: list[_Timed], text: str, first_chars: list[int]) -> bool:
    first, last = group[0], group[-1]
    return (
        bisect.bisect_right(first_chars, item.span[0]) > bisect.bisect_right(first_chars, last.span[0])
        or item.start - last.end > _PAUSE_S
        or item.end - first.start > _SECONDS
        or len(_lines(text[first.span[0] : item.span[1]])) > _LINES
    )


def _cue(group: list[_Timed], text: str) -> Cue:
    first, last = group[0], group[-1]
    lines = tuple(_lines(text[first.span[0] : last.span[1]]))
    return Cue(first.start, min(last.end, first.start + _SECONDS), lines)


def _lines(text: str) -> list[str]:
    """Break a text into one line if it fits, else into lines of about the same length."""
    words = " ".join(text.split())
    if len(words) <= _LINE_CHARS:
        return [words]
    for width in range(len(words) // _LINES, _LINE_CHARS):
        lines = textwrap.wrap(words, width, break_long_words=False)
        if len(lines) <= _LINES and max(map(len, lines)) <= width:
            return lines
    return textwrap.wrap(words, _LINE_CHARS)


def _clock(seconds: float, separator: str) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{separator}{milliseconds % 1000:03}"


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
