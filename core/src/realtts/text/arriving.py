"""Sentences of a text that is still being written: each as soon as no continuation can move its end."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from realtts.text.sentence import paragraphs, sentences
from realtts.text.split import long_cut

__all__ = ["Arrived", "SentenceFeed"]

LONGEST_CONTEXT = 2000
"""Characters of a paragraph before the sentence that is being written, which can matter in a list."""

MOST_SMALL = 300
"""Characters of a paragraph without a capital, after which it is taken for one that has none: small letters begin its
sentences."""

_MARK = re.compile(
    "[.!?…‥;:\u203c\u2047-\u2049\u203d\u0589\u06d4\u0700-\u0702\u0964\u0965\u104b\u1362\u1367\u1368\u166e\u17d4\u17d5"
    "\u1803\u1809\ua60e\uaaf2。．｡！？\u061f\ua60f\ua6f3\ua6f7\u037e•‣⁃◦▪●○)\n]"
)
"""Without one of them nothing ends."""

_WORD = re.compile(r"\w\S*\s|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]{2}")
"""A word that is complete; where words are written without spaces, two letters are enough."""

_CLOSED = re.compile("[\"”’'»）)\\]」』]\\s*$")
_WORDS_BEHIND_QUOTES = 4
"""Complete words that tell whether what follows a quotation says who spoke."""


class Arrived(NamedTuple):
    """A sentence that is complete, or a part of one that is too long.

    Attributes:
        text: With the white space behind it; what comes one after the other is the text.
        ends: Whether the sentence ends with it.
    """

    text: str
    ends: bool


class SentenceFeed:
    """The cutting of a text that comes bit by bit.

    What comes out depends on the text alone, not on how it was handed over: it is looked at character by character.

    Args:
        language: BCP 47 tag, see `realtts.text.sentences`.
        longest: A sentence that has not ended after so many characters, and a quarter, is cut after a clause or a word.
    """

    def __init__(self, language: str | None, longest: int) -> None:
        self._language = language
        self._longest = longest
        self._text = ""  # the paragraph, as far as it matters
        self._cut = 0  # what lies before it was returned
        self._marked = False  # whether something behind it can be an end

    def push(self, text: str) -> list[Arrived]:
        """Take what was written next; return the sentences that are complete."""
        complete: list[Arrived] = []
        begin = 0
        for at, char in enumerate(text):
            size = len(self._text) + at + 1 - begin - self._cut
            decides = char.isspace() or char >= "\u0e00"
            if (decides and (self._marked or char == "\n")) or size > self._longest * 5 // 4 + 1:
                self._text += text[begin : at + 1]
                begin = at + 1
                complete += self._complete(too_long=size > self._longest * 5 // 4 + 1)
            if not self._marked and _MARK.match(char):
                self._marked = True
        self._text += text[begin:]
        return complete

    def finish(self) -> list[Arrived]:
        """Return the sentences that are left at the end of the text."""
        spans = [span for span in sentences(self._text, self._language) if span[1] > self._cut]
        rest = [self._release(start) for start, _ in spans[1:] if start > self._cut]
        if self._cut < len(self._text):
            rest.append(self._release(len(self._text)))
        return rest

    def _complete(self, *, too_long: bool) -> list[Arrived]:
        """Return the sentences that are certain now."""
        if self._paragraph_ended():
            ended = self.finish()
            self._text, self._cut, self._marked = "", 0, False
            return ended
        complete = [self._release(start) for start in self._certain_starts()] if self._marked else []
        if not complete and too_long:
            at = long_cut(self._text, self._cut, len(self._text), self._longest)
            complete = [self._release(at, ends=False)]
        if complete:
            self._marked = _MARK.search(self._text, self._cut) is not None
            if self._cut > LONGEST_CONTEXT:
                self._text, self._cut = self._text[self._cut :], 0
        return complete

    def _release(self, end: int, *, ends: bool = True) -> Arrived:
        released, self._cut = self._text[self._cut : end], end
        return Arrived(released, ends)

    def _paragraph_ended(self) -> bool:
        """Tell whether the last line is blank and there is something before it."""
        if not self._text.endswith("\n"):
            return False
        lines = self._text.splitlines(keepends=True)
        return lines[-1].isspace() and any(not line.isspace() for line in lines[:-1])

    def _certain_starts(self) -> list[int]:
        """Return where the sentences begin that stand behind a certain end."""
        text = self._text
        # A capital later in the paragraph would make small letters begin no sentence.
        probe = " A" if len(text) < MOST_SMALL else ""
        spans = sentences(text + probe, self._language)
        starts = []
        for (_, end), (start, _) in pairwise(spans):
            if start <= self._cut or start >= len(text):
                continue
            closed = _CLOSED.search(text, max(0, end - 3), end) is not None
            wanted = _WORDS_BEHIND_QUOTES if closed else 1
            if len(_WORD.findall(text, start)) < wanted and not _parted(text, end, start):
                break
            starts.append(start)
        return starts


def _parted(text: str, end: int, start: int) -> bool:
    """Tell whether a blank line lies between two sentences."""
    return len(list(paragraphs(f"a{text[end:start]}a"))) > 1
