"""Which characters of a text sea-g2p drops where they stand, so that nothing is lost without a word.

By itself a sign tells little: `−` is read in a formula and dropped before a number, `µ` is dropped alone and read in
`µg`. So each is tried in its surroundings: where the text sounds the same without it, it was not read.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from realtts.contract.types import Unread
from realtts_vieneu.sea import normalised, prepared

__all__ = ["left_out_of", "unread", "unread_in"]

_SAID = frozenset({"Sm", "Sc", "So", "Sk", "No", "Nl", "Nd", "Mn", "Mc", "Me", "Co", "Cn"})
"""Categories of characters that mean something to whoever hears them, beside letters."""

_SAID_PUNCTUATION = frozenset("%‰‱§¶@&#†‡′″‴⁂※")
_SILENT = frozenset("|<>~^`´¨¸ˆ˜˘˙˚«»‹›•·©®™|_\u20e3\ufe0e\ufe0f")
"""Quotes, bullets, marks of owners and lines that people draw."""

_MINUS = re.compile(r"(?<![\w\s)\]%])[-\u2010-\u2015](?=\d)")
"""A dash that can only be a sign of the number behind it."""

_SOUNDLESS = "\u041f"
"""A letter that is dropped wherever it stands."""

_AROUND = re.compile(r"\S+")
_NEIGHBOURS = 2
"""Words on each side that a character is tried with."""

_MOST_TRIALS = 2000
"""Different surroundings in a text (0.1 ms each) after which a character is tried by itself."""


def left_out_of(text: str) -> str:
    """Return the characters of a text that have no sound, for a message; empty if all are read."""
    return " ".join(unread(text))


def unread_in(text: str) -> tuple[Unread, ...]:
    """Return the stretches of a text that are silently dropped, in order."""
    lost = frozenset(unread(text))
    return tuple(Unread((at, at + 1)) for at, char in enumerate(text) if char in lost) if lost else ()


def unread(text: str) -> tuple[str, ...]:
    """Return the characters of a text that mean something and are silently dropped, each once, in order."""
    lost: dict[str, None] = {}
    trials = 0
    for line in prepared(text).splitlines():
        words = [match.span() for match in _AROUND.finditer(line)]
        signs = {match.start() for match in _MINUS.finditer(line)}
        for index, (begin, end) in enumerate(words):
            for at in range(begin, end):
                char = line[at]
                if char in lost or not (at in signs or _is_said(char)) or _is_read_alone(char):
                    continue
                start = words[max(0, index - _NEIGHBOURS)][0]
                stop = words[min(len(words) - 1, index + _NEIGHBOURS)][1]
                trials += 1
                if trials > _MOST_TRIALS or _is_dropped(line[start:stop], at - start):
                    lost[char] = None
    return tuple(lost)


def _is_said(char: str) -> bool:
    if char.isascii():
        return char in "%@&#$+=*"
    if char in _SILENT:
        return False
    return char.isalpha() or char in _SAID_PUNCTUATION or unicodedata.category(char) in _SAID


@functools.lru_cache(4096)
def _is_read_alone(char: str) -> bool:
    """Tell whether a letter or digit has a sound of its own; signs are read by their surroundings."""
    return char.isalnum() and bool(normalised(char))


@functools.lru_cache(4096)
def _is_dropped(around: str, at: int) -> bool:
    """Tell whether a text sounds alike without one of its characters, or with one in its place that has no sound.

    A letter without a sound may change how its neighbours are read: beside it a number is no longer an English one.
    """
    before, behind = around[:at], around[at + 1 :]
    others = {f"{before} {behind}", f"{before}{behind}".replace(" ", "")}
    if around[at].isalpha():
        others.add(f"{before}{_SOUNDLESS}{behind}")
    said = normalised(around)
    return any(normalised(other) == said for other in others)
