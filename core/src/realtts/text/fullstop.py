"""Whether a full stop ends a sentence.

It does unless what stands before it is an abbreviation, an initial or an ordinal. These can end a sentence too ("in the
U.S. He left"): they do if the next word is one that begins sentences and names do not contain.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.text.abbreviations import ORDINAL_STOP, abbreviations
from realtts.text.words import is_abbreviation, is_small, starts, token

if TYPE_CHECKING:
    from realtts.text.abbreviations import Abbreviations
    from realtts.text.words import Following, Paragraph

__all__ = ["stop_ends"]

_NUMBER = re.compile(r"\d+")
_DATE = re.compile(r"\d\. \d{1,2}$")
_ROMAN = re.compile(r"[IVXLCDM]{1,7}")
_ERA = re.compile(
    r"(?:\b[adbp]\.\s?(?:e\.\s?)?[cC]|\bA\.\s?D|\bB?\.?C\.\s?E|\bJ\.-C|[vn]\.\s?Chr|[fe]\.\s?Kr|\be[Kk]r|\bn\.\s?l|"
    r"\bн\.\s?[эе]|\bn\.\s?e|\bp\.n\.e|\b[Mm]\.\s?Ö|\bπ\.Χ|\bμ\.Χ|\bi\.\s?e\.\s?n)$"
)
"""Before or after Christ: what follows is no name that belongs to it."""

_SHORT = 5
_LEAD = re.compile(
    r"(?:\b(?:[zZ]\.\s?B|[dD]\.\s?h|i\.\s?d\.\s?R|m\.\s?E|[eE]\.\s?g|[iI]\.\s?e|[pP]\.\s?ej|[pP]\.\s?ex|[pP]\.\s?es|[тТ]\.\s?[ек]|"
    r"[tT]\.\s?j|[tT]\.\s?ex|[fF]\.\s?eks|[bB]l\.\s?a|m\.\s?in|[dD]\.\s?[vw]\.\s?[sz]|[тТ]\.\s?зв|[tT]\.\s?y|[dD]e ex|"
    r"[нН]а пр|[tT]\.\s?i|[πΠ]\.\s?χ)|(?<!и )\bт\.\s?н)$"
)
"""Abbreviations of several words that are always followed by more."""

_MEASURED = re.compile(r"\d\s?\w+$")
_SMALL_MEASURE = re.compile(r"\d\s?[hgmlts]$")
_SPACED_TIME = re.compile(r"(?i:\d\s?[ap]\.\s?m)$")
_YEAR = re.compile(r"(?<!\d)\d{4}\s?(?:гг?|р|рр|r)$")
_DEGREES = re.compile(r"°\s?[CFK]$")
_TIMES = frozenset(("a.m", "p.m"))
# fmt: off
_AFTER_TIME = frozenset((
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february", "march",
    "april", "may", "june", "july", "august", "september", "october", "november", "december", "est", "edt", "pst",
    "pdt", "cst", "cdt", "mst", "gmt", "utc", "cet", "bst", "eastern", "pacific", "central", "mountain",
))
_PARTICLES = frozenset((
    "de", "del", "la", "le", "les", "los", "las", "da", "do", "dos", "das", "di", "du", "el", "van", "von", "der",
    "den", "ter",
))
"""Parts of names that are written with a capital too."""

_NUMBERED = frozenset((
    "No", "no", "NO", "Nos", "nos", "Nr", "nr", "Núm", "núm", "Num", "num", "N.º", "n.º", "Vol", "vol", "Vols", "vols",
    "Fig", "fig", "Figs", "figs", "P", "p", "Pp", "pp", "Ch", "ch", "Chap", "chap", "Cap", "cap", "Sec", "sec", "Art",
    "art", "Arts", "arts", "Eq", "eq", "Eqs", "eqs", "Pt", "pt", "Op", "op", "Bd", "bd", "Abb", "abb", "Kap", "kap",
    "S", "s", "Ca", "ca", "Tab", "tab", "Ver", "ver", "v", "St", "st", "Approx", "approx", "Min", "min", "Max", "max",
    "Ex", "ex", "App", "app", "Str", "str", "Č", "č", "Št", "št", "Br", "br", "Fn", "n", "nn", "Abs", "Ziff", "Par",
    "par", "Para", "para", "Col", "col", "lin", "ll", "l",
))
"""Words and abbreviations that stand before numbers."""

_MEASURES = frozenset((
    "mph", "mi", "min", "mins", "sec", "secs", "hr", "hrs", "ft", "lb", "lbs", "oz", "qt", "qts", "pt", "pts", "gal",
    "gals", "yd", "yds", "yrs", "Std", "Min", "Sek", "Stk", "kr", "gr", "godz", "hod", "коп",
    "руб", "мин", "сек", "грн", "лв", "шт", "чел",
))
"""Units: behind a number, what follows them is no name that belongs to them."""

_NUMBER_SIGNS = frozenset(("N°", "n°", "№", "N.º", "n.º", "Nº", "nº"))
_GERMAN_DAYS = frozenset((
    "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonnabend", "Sonntag", "Abend", "Der", "Die",
    "Das", "Dem", "Den", "Am", "Im", "Vom", "Zum", "Beim", "Bis", "Ab", "Seit", "Jeder", "Jede", "Jedes", "Ein", "Eine",
))
_GERMAN_MONTHS = frozenset((
    "Januar", "Jänner", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
    "Dezember", "Jan", "Feb", "Febr", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Okt", "Nov", "Dez", "Jahrhundert",
    "Jh",
))
# fmt: on


def stop_ends(paragraph: Paragraph, at: int, sentence: int, close: str, after: Following) -> bool:
    """Tell whether a single full stop with white space behind it ends a sentence.

    Args:
        paragraph: Where it stands.
        at: Its position.
        sentence: Where the sentence begins that it may end.
        close: Quotes and brackets directly behind it.
        after: What stands behind the white space.
    """
    if close and any(mark in close for mark in '"”»“)」』'):
        return True
    word = token(paragraph.text, sentence, at, paragraph.language)
    if not word:
        return True
    listed = abbreviations(paragraph.language, word[0])
    abbreviates = is_abbreviation(word, paragraph.language)
    return _FullStop(paragraph, at, sentence, after, word, listed, abbreviates).ends()


@dataclass(slots=True)
class _FullStop:
    """A full stop behind a word.

    Attributes:
        paragraph: Where it stands.
        at: Its position.
        sentence: Where the sentence begins that it may end.
        after: What stands behind the white space.
        word: What stands before it.
        listed: The lists for the script of the word.
        abbreviates: Whether the word is an abbreviation.
    """

    paragraph: Paragraph
    at: int
    sentence: int
    after: Following
    word: str
    listed: Abbreviations
    abbreviates: bool

    def ends(self) -> bool:
        """Tell whether it ends a sentence."""
        word, char = self.word, self.after.char
        if _NUMBER.fullmatch(word):
            return self._ends_behind_number()
        if not word[-1].isalpha() and not unicodedata.category(word[-1]).startswith("M"):
            return word not in _NUMBER_SIGNS
        if char.isdigit():
            return not (self.abbreviates or word in _NUMBERED or word in self.listed.words)
        if not char.isalpha():
            return char not in "№§%°&" and not (
                (self.abbreviates or word in self.listed.words) and word not in self.listed.last
            )
        if is_small(char):  # a text without capitals, or a name such as iPhone
            return not self.abbreviates and (self.paragraph.capitals or word not in self.listed.words)
        return self._ends_before_capital()

    def _starts(self) -> bool:
        return starts(self.paragraph.language, self.after)

    def _before(self, length: int) -> str:
        return self.paragraph.text[max(self.sentence, self.at - length) : self.at]

    def _ends_before_capital(self) -> bool:
        word = self.word
        is_name = word in self.listed.words and word[0].isupper() and self._starts()  # "Ich bin Max. Du"
        if (word in self.listed.leads and not is_name) or (len(word) <= _SHORT and _LEAD.search(self._before(12))):
            return False
        if _YEAR.search(self._before(9)):
            return self._starts()
        if word in self.listed.titles and self._belongs_to_name():
            return False
        if word in _NUMBERED and _ROMAN.fullmatch(self.after.word) and self.after.word != "I":
            return False
        if self.abbreviates:
            return self._ends_behind_abbreviation()
        if self.paragraph.language in ORDINAL_STOP and _ROMAN.fullmatch(word):
            return self._starts()
        return word not in self.listed.words or word[0].islower() or self._starts()

    def _belongs_to_name(self) -> bool:
        titled = len(self.word) == 1 or self.word[0].isupper()
        return titled or self.after.word.lower() in _PARTICLES or not self._starts()

    def _ends_behind_abbreviation(self) -> bool:
        word, cased = self.word, self.after.char.isupper()
        if _DEGREES.search(self._before(4)) or (word in _MEASURES and _MEASURED.search(self._before(24))):
            return True
        if _SMALL_MEASURE.search(self._before(4)):
            return True
        if "." in word and not self._before(len(word) + 60)[: -len(word)].strip():
            return False  # "P.S. I love you."
        before = self._before(200)
        if before.count("(") > before.count(")"):
            return False
        timed = word.lower() in _TIMES or _SPACED_TIME.search(self._before(8))
        if word in self.listed.last or (cased and (timed or _ERA.search(self._before(12)))):
            return self._ends_mostly()
        if not cased or (len(word) == 1 and word.isupper() and self.after.word.lower() in _PARTICLES):
            return False
        return self._starts()

    def _ends_mostly(self) -> bool:
        """Tell whether "etc." or a time of day ends a sentence: not one of a word or two."""
        if self._starts():
            return True
        if self.word.lower() in _TIMES and self.after.word.lower() in _AFTER_TIME:
            return False
        return len(self._before(80).split()) > 3

    def _ends_behind_number(self) -> bool:
        code, char = self.paragraph.language, self.after.char
        if char.isdigit():
            return code not in ORDINAL_STOP and code not in {"ko", "ja", "zh"}
        if code == "ko" and _DATE.search(self._before(8)):
            return False
        if code not in ORDINAL_STOP or len(self.word) > (4 if code == "hu" else 2) or not char.isalpha():
            return True
        if code in {"de", "lb"} and self._follows_german_noun():
            return True
        return self._starts()

    def _follows_german_noun(self) -> bool:
        """Tell whether a number stands behind a noun, or its abbreviation, that it belongs to ("Seite 12.")."""
        if self.after.word in _GERMAN_MONTHS:
            return False
        before = self._before(60)[: -len(self.word)].split()
        return bool(before) and before[-1].rstrip(".").isalpha() and self._is_german_noun(before[-1])

    def _is_german_noun(self, word: str) -> bool:
        return word not in _GERMAN_DAYS and (word[0].isupper() or word.endswith("str."))
