"""What stands on both sides of a mark in a text, and whether a word is an abbreviation."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

from realtts.text.abbreviations import SYLLABIC, abbreviations, script

__all__ = [
    "FILE_SUFFIXES",
    "TOKEN_EDGE",
    "Following",
    "Paragraph",
    "begins_small",
    "following",
    "is_abbreviation",
    "is_small",
    "starts",
    "token",
]

TOKEN_EDGE = re.compile(r"(?<![\u05d0-\u05ea])\"|[\s“”„«»‹›(\[{<>—–,;:!?…/]")
"""What a word does not contain; between Hebrew letters a quotation mark is a part of it."""

# fmt: off
FILE_SUFFIXES = frozenset((
    "com", "org", "net", "edu", "gov", "de", "uk", "io", "ai", "js", "ts", "py", "rs", "go", "cpp", "java", "txt",
    "pdf", "doc", "docx", "html", "htm", "xml", "json", "yaml", "toml", "csv", "zip", "gz", "exe", "png", "jpg", "mp3",
    "wav", "flac", "ogg", "md", "cfg", "ini", "log", "sh", "sql", "css", "php", "asp", "aspx",
))
_UNITS = frozenset((
    "км", "кг", "мм", "мл", "кВт", "Гц", "km", "cm", "mm", "kg", "mg", "ml", "cl", "dl", "kW", "kWh", "Hz", "kHz",
    "MHz", "GHz", "dB", "GB", "MB",
))
# fmt: on
"""Written without a full stop, which therefore ends a sentence."""

_SKIPPED = re.compile(r"[\s\"'“”‘’„‚«»‹›(\[{「『（【《〈¿¡*_#~—–\-•·…ʻʼ†‡]+")
"""White space and what opens a sentence."""

_WORD = re.compile(r"[^\W\d_]+")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,4}[.-]+)+[^\W\d_]{1,5}")
_INDIC_DOTTED = re.compile(r"(?:[^\s.\d]{1,6}\.)+[^\s.\d]{1,6}")
_BEGINNING = re.compile(r"[a-z]{1,2}[A-Z]|['’][a-z]{1,2}\s|[a-zа-я]\)\s|[ivx]{1,5}[.)]\s+[A-Z]")
_ELIDING = frozenset(("ca", "fr", "ga", "ht", "it", "lb", "mt"))
_ELISION = re.compile(r"[^\W\d_]{1,5}['’](?=\w{2})")
_NUMBER_PREFIX = re.compile(r"\d+[-‐‑](?=[^\W\d_])")
_ENDINGS = ("str", "nr")
"""Of compounds: "Goethestr.", "Hausnr."."""

_SOUNDS = re.compile(r"(?i)(?:h+m+|m+h*m*|s+h+|p+s+t+|b+r+|g+r+|t+s+k+|z+|p+f+t*)")
_VOWELS = frozenset("aeiouyøæœəıαεηιουωаеёиоуыэюяіїєүұөәӑӗ")
_THAI_LETTERS = re.compile(r"[\u0e01-\u0e2e]{1,4}")
_LONGEST_WORD = 48
_LOOK_AHEAD = 80


@dataclass(frozen=True)
class Paragraph:
    """A paragraph in which ends are looked for.

    Attributes:
        text: The whole text.
        start: First character.
        end: One past the last one.
        language: Primary language.
        capitals: Whether it has any; where it has none, small letters begin sentences.
    """

    text: str
    start: int
    end: int
    language: str
    capitals: bool

    @classmethod
    def of(cls, text: str, start: int, end: int, language: str) -> Paragraph:
        """Look at a stretch of a text."""
        part = text[start:end]
        return cls(text, start, end, language, part.lower() != part)


@dataclass(slots=True)
class Following:
    """What stands behind a mark.

    Attributes:
        char: The first letter, digit or sign behind white space, quotes and brackets; empty at the end.
        word: The word that begins with it.
        initial: The word is one letter with a full stop or hyphen behind it.
        opened: An inverted mark, which only begins sentences, stands before it.
    """

    char: str
    word: str
    initial: bool
    opened: bool


def following(text: str, at: int, end: int) -> Following:
    """Look at what begins at a position or behind the white space and opening marks there."""
    stop = min(end, at + _LOOK_AHEAD)
    skipped = _SKIPPED.match(text, at, stop)
    place = skipped.end() if skipped else at
    opened = place > at + 1 and ("¿" in text[at:place] or "¡" in text[at:place])
    if place >= stop:
        return Following("", "", initial=False, opened=opened)
    match = _WORD.match(text, place, stop)
    word = match[0] if match else ""
    initial = len(word) == 1 and text[place + 1 : place + 2] in {".", "-"}
    return Following(text[place], word, initial, opened)


def token(text: str, start: int, end: int, language: str) -> str:
    """Return what stands directly before a full stop.

    Without the quotes, brackets, articles and numbers with a hyphen that it begins with.
    """
    run = text[max(start, end - _LONGEST_WORD) : end].rsplit(None, 1)[-1:]
    if not run or text[end - 1].isspace():
        return ""
    if run[0].isalpha():
        return run[0]
    word = TOKEN_EDGE.split(run[0])[-1].lstrip("'‘’¿¡*_#~-.")
    word = _NUMBER_PREFIX.sub("", word)
    return _ELISION.sub("", word) if language in _ELIDING else word


def starts(language: str, after: Following) -> bool:
    """Tell whether what follows begins a sentence and is no part of a name."""
    if after.opened:
        return True
    return bool(after.word) and not after.initial and _is_starter(after.word, language)


@functools.lru_cache(8192)
def _is_starter(word: str, language: str) -> bool:
    listed = abbreviations(language, word[0])
    return word.lower() in listed.starters and (len(word) == 1 or word[1:].islower())


def begins_small(text: str, at: int, after: Following) -> bool:
    """Tell whether a name ("iPhone"), a clitic ("'s Avonds") or an item ("a) ...") begins with a small letter."""
    place = text.find(after.char, at)
    return _BEGINNING.match(text, place) is not None or (
        text[place - 1] in "'’" and _BEGINNING.match(text, place - 1) is not None
    )


@functools.lru_cache(4096)
def is_small(char: str) -> bool:
    """Tell whether a letter is a small one of a script that has capitals."""
    return char.islower() and _has_case(char)


def _has_case(char: str) -> bool:
    """Tell whether a script has capitals; Georgian letters count as small but begin sentences."""
    return char.lower() != char.upper() and not "\u10a0" <= char <= "\u10ff"


@functools.lru_cache(8192)
def is_abbreviation(word: str, language: str) -> bool:
    """Tell whether a word before a full stop is an abbreviation, listed or by its look.

    Args:
        word: Not empty.
        language: Primary language of the text.
    """
    listed = abbreviations(language, word[0])
    if any(word in kind for kind in (listed.leads, listed.titles, listed.others, listed.last)):
        return True
    if len(word) == 1:
        return _may_be_initial(word)
    if "." in word or "-" in word:
        return _is_dotted(word)
    if word.endswith(_ENDINGS) or _THAI_LETTERS.fullmatch(word):
        return True
    if language in SYLLABIC or not 2 <= len(word) <= 5 or not word[1:].islower() or word in _UNITS:
        return False
    return script(word[0]) in {"en", "ru", "el"} and _has_case(word[0]) and _has_no_vowel(word)


def _has_no_vowel(word: str) -> bool:
    letters = unicodedata.normalize("NFD", word.lower())
    return not any(char in _VOWELS for char in letters) and not _SOUNDS.fullmatch(word)


def _is_dotted(word: str) -> bool:
    parts = re.split(r"[.-]+", word)
    if parts[-1] in FILE_SUFFIXES or "." not in word:
        return False
    if not _has_case(word[0]):
        return _INDIC_DOTTED.fullmatch(word) is not None
    if not _DOTTED.fullmatch(word):
        return False
    return any(len(part) == 1 for part in parts) or all(part.isupper() for part in parts)


def _may_be_initial(char: str) -> bool:
    """Tell whether a letter can stand for a name: not in the scripts where a single one is a word."""
    code = ord(char)
    return char.isalpha() and (_has_case(char) or 0x0590 <= code <= 0x077F or 0x10A0 <= code <= 0x139F)
