"""SSML with the ends of clauses put where espeak could not hold one: see `realtts_espeak.fitting`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import unescape

from realtts.text.grapheme import safe_cut
from realtts_espeak.fitting import cuts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts_espeak.ssml import Markup

__all__ = ["fit_markup"]

_TOKEN = re.compile(r"<(/?)([\w-]+)([^>]*)>|&\w+;|[^<&]", re.DOTALL)
_NAME = re.compile(r'\bname="([^"]+)"')
_WEAK = re.compile(r'strength="(none|x-weak|weak)"')
_MAX_TAGS = 24
"""Tags inside a clause: each is up to 24 bytes of the 800 that espeak reads it into."""

_MAX_SPELLED = 16
"""Letters of a word that is spelled out: their names fill the room for a word."""


@dataclass
class _Run:
    """The text of what may be one clause.

    Attributes:
        voice: Who speaks it.
        spelled: It is spelled out, in part or as a whole.
        chars: The text, one character each.
        places: Where these stand in the SSML.
        breaks: Where a clause must end because there are too many tags.
        tags: Tags since the run or the last of ``breaks``.
    """

    voice: str
    spelled: bool = False
    chars: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    tags: int = 0


def fit_markup(markup: Markup, voice: str, *, named: bool = False) -> Markup:
    """Return SSML of which espeak speaks everything; the same object where nothing must be done.

    Args:
        markup: From `realtts_espeak.ssml.read_ssml`.
        voice: espeak's identifier of the voice around it all.
        named: Whether punctuation is named.
    """
    places: set[int] = set()
    for run in _runs(markup.ssml, voice):
        text = "".join(run.chars)
        found = set(cuts(text, run.voice, named=named))
        if run.spelled:
            found |= set(_spelled_cuts(text))
        places |= {run.places[cut] for cut in found if 0 < cut < len(text)}
        places |= set(run.breaks)
    return markup.broken(sorted(places)) if places else markup


def _spelled_cuts(text: str) -> Iterator[int]:
    for match in re.finditer(r"\S+", text):
        at = match.start()
        while match.end() - at > _MAX_SPELLED:
            at = safe_cut(text, at, at + _MAX_SPELLED)
            yield at


def _runs(ssml: str, voice: str) -> Iterator[_Run]:
    voices = [voice]
    run = _Run(voice)
    spelling = False
    for match in _TOKEN.finditer(ssml):
        closing, name, attributes = match[1], match[2], match[3]
        if name is None:
            run.chars.append(unescape(match[0]))
            run.places.append(match.start())
            continue
        if name == "say-as":
            spelling = not closing
        if name == "voice":
            named = _NAME.search(attributes)
            voices = voices[:-1] if closing else [*voices, named[1] if named else voices[-1]]
        if name in {"voice", "p", "s"} or (name == "break" and ("time=" in attributes or not _WEAK.search(attributes))):
            yield run
            run = _Run(voices[-1], spelling)
            continue
        run.spelled |= spelling
        run.tags += 1
        if run.tags > _MAX_TAGS:
            run.breaks.append(match.start())
            run.tags = 1
    yield run
