"""What the writing of a language tells about full stops: its abbreviations, and the words that begin sentences.

The lists are in ``abbreviations.json``, read at first use. Each language may say which other one it is ``like``: what
that one lists counts too. Words are separated by spaces and written without their last full stop; a small word stands
for itself and for its form with a capital, a single letter only for itself.

``leads`` such as "e.g." are always followed by more, ``titles`` by a name, ``others`` by anything, ``words`` are
abbreviations that are ordinary words too ("max", "Sun"), ``last`` are such as "etc." that mostly end what they stand
in, and ``starters`` begin sentences and are hardly ever part of a name.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ORDINAL_STOP", "SYLLABIC", "Abbreviations", "abbreviations", "script"]

# fmt: off
ORDINAL_STOP = frozenset((
    "af", "bs", "cs", "da", "de", "et", "eu", "fi", "fo", "hbs", "hr", "hu", "is", "lb", "ltg", "lv", "nb", "nn", "no",
    "pl", "sk", "sl", "smj", "sr", "tr", "az",
))
"""Languages that write ordinals with a full stop: "Die 3. Auflage"."""

SYLLABIC = frozenset(("bs", "cs", "cy", "hbs", "hr", "mk", "mto", "piqd", "qdb", "sk", "sl", "sr"))
"""Languages with words that have no vowel letter: "prst", "krk"."""

_LATIN = {"sr": "hr", "mk": "hr"}
"""Languages whose words are often written in Latin letters."""

_SCRIPTS = (
    (0x0370, 0x03FF, "el"), (0x0400, 0x052F, "ru"), (0x0530, 0x058F, "hy"), (0x0590, 0x05FF, "he"),
    (0x0600, 0x077F, "ar"), (0x0900, 0x097F, "hi"), (0x0980, 0x09FF, "bn"), (0x0A00, 0x0A7F, "pa"),
    (0x0A80, 0x0AFF, "gu"), (0x0B00, 0x0B7F, "or"), (0x0B80, 0x0BFF, "ta"), (0x0C00, 0x0C7F, "te"),
    (0x0C80, 0x0CFF, "kn"), (0x0D00, 0x0D7F, "ml"), (0x0D80, 0x0DFF, "si"), (0x0E00, 0x0E7F, "th"),
    (0x0E80, 0x0EFF, "lo"), (0x10A0, 0x10FF, "ka"), (0x1200, 0x139F, "am"), (0x1F00, 0x1FFF, "el"),
)
# fmt: on
"""First and last letter of a script, and the language whose rules its words follow in a text of another script."""


@dataclass(frozen=True)
class Abbreviations:
    """The lists of one language.

    Attributes:
        leads: Abbreviations that never end a sentence.
        titles: Abbreviations before names.
        others: Abbreviations that are no words.
        words: Abbreviations that are words too.
        last: Abbreviations that mostly end a sentence if a capital follows.
        starters: Words that begin sentences, in small letters.
        script: What `script` returns for its letters.
    """

    leads: frozenset[str]
    titles: frozenset[str]
    others: frozenset[str]
    words: frozenset[str]
    last: frozenset[str]
    starters: frozenset[str]
    script: str


def script(char: str) -> str:
    """Return the language whose rules stand for the script of a letter; English for Latin and for those without."""
    code = ord(char)
    if code < _SCRIPTS[0][0]:
        return "en"
    return next((language for first, last, language in _SCRIPTS if first <= code <= last), "en")


def abbreviations(language: str, letter: str = "") -> Abbreviations:
    """Return the lists of a language, with those of the languages it is like; English ones if it has none.

    Args:
        language: Primary language, in small letters.
        letter: A letter of the word in question. If the language is written otherwise, the word is taken for one of
            another language.
    """
    listed = _abbreviations(language)
    if not letter or (home := script(letter)) == listed.script:
        return listed
    return _abbreviations(_LATIN.get(language, "en") if home == "en" else home)


@functools.lru_cache(256)
def _abbreviations(language: str) -> Abbreviations:
    listed = _listed()
    kinds: dict[str, set[str]] = {kind: set() for kind in ("leads", "titles", "others", "words", "last", "starters")}
    code: str | None = language if language in listed else "en"
    while code:
        for kind, words in kinds.items():
            words.update(_forms(listed[code], kind))
        code = listed[code].get("like")
    shortest = min(kinds["others"] or {"a"}, key=len)
    return Abbreviations(
        leads=frozenset(kinds["leads"]),
        titles=frozenset(kinds["titles"]),
        others=frozenset(kinds["others"] - kinds["words"]),
        words=frozenset(kinds["words"]),
        last=frozenset(kinds["last"]),
        starters=frozenset(word.lower() for word in kinds["starters"]),
        script=script(shortest[0]),
    )


@functools.cache
def _listed() -> Mapping[str, Mapping[str, str]]:
    path = resources.files("realtts.text") / "abbreviations.json"
    listed: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return listed


def _forms(entry: Mapping[str, str], kind: str) -> set[str]:
    words = entry.get(kind, "").split()
    return {*words, *(word[0].upper() + word[1:] for word in words if len(word) > 1)}
