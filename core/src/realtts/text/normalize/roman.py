"""Roman numbers behind names, centuries and parts of books."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

    from realtts.text.normalize.language import Language

__all__ = ["PATTERN", "value_of", "words"]

PATTERN = (
    r"(?<![\w.'’-])(?:([^\W\d_][^\W\d_]*)(\s))?(?=[IVXLC])(M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})"
    r"(?:IX|IV|V?I{0,3}))(e|er|º|ª)?(?![\w'’])(?:\.(?=[,;:]|\s[a-zà-ÿ]))?(?:\s(century|siècle|secolo|век|века|веке|Jahrhundert))?"
)

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_COUNTED_NAMES = (
    "chapter part war act volume book section type phase class level article title division figure table appendix scene"
    " stage tier mark unit module theorem kapitel teil band klasse typ akt abschnitt anhang weltkrieg chapitre tome"
    " partie acte annexe guerre capítulo parte tomo acto guerra anexo capitolo volume atto sezione capítulo rozdział"
    " tom część глава том часть hoofdstuk deel kapittel del luku osa bölüm"
)
_COUNTED = frozenset(_COUNTED_NAMES.split())
_CENTURIES_NAMES = "siglo século century siècle secolo век"
_CENTURIES = frozenset(_CENTURIES_NAMES.split())
_REGNAL_NAMES = (
    "henry louis elizabeth george edward charles william richard james philip pius paul benedict napoleon wilhelm"
    " friedrich ludwig alexander nicholas peter catherine carl karl gustav christian frederick frederik innocent leo"
    " gregory felipe carlos enrique luis juan otto heinrich alfonso fernando isabel pedro joão pio benedetto vittorio"
    " francis francois françois henri philippe clement urban boniface sixtus ramses ptolemy harald olav haakon"
    " margrethe willem пётр николай екатерина александр иван"
)
_REGNAL = frozenset(_REGNAL_NAMES.split())
_FRENCH_MARKS = frozenset(("e", "er"))
_FRENCH_WORDS = frozenset("LC")
"""Numbers that are a word with their mark: *Le chat*, *Ce soir*."""

_ORDINAL = frozenset({"en", "de", "it", "ru", "da", "sv", "no", "nl"})
"""Languages that count their kings with ordinal numbers."""


def value_of(roman: str) -> int:
    """Return the value of a Roman number."""
    values = [_VALUES[char] for char in roman]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def words(match: re.Match[str], language: Language) -> str | None:
    """Return what a match of `PATTERN` says; None where the letters are no number."""
    name, space, roman, mark, century = match.groups()
    if not roman or (mark in _FRENCH_MARKS and (language.name != "fr" or roman in _FRENCH_WORDS)):
        return None
    number, before = value_of(roman), (name or "").lower()
    head = f"{name}{space}" if name else ""
    tail = f" {century}" if century else ""
    if century or mark or before in _CENTURIES:
        if language.name in {"es", "pt"}:
            return f"{head}{language.cardinal(number) if not mark else language.ordinal(number)}{tail}"
        return f"{head}{language.ordinal(number)}{tail}"
    if before in _REGNAL and name[:1].isupper():
        return head + _king(number, language)
    if before in _COUNTED:
        return head + language.cardinal(number)
    if name and name[:1].isupper() and len(roman) > 1 and not name.isupper() and roman not in {"CD", "MM", "CC", "XL"}:
        return head + language.cardinal(number)
    return None


def _king(number: int, language: Language) -> str:
    if language.name not in _ORDINAL:
        most = {"fr": 1, "es": 10, "pt": 10}.get(language.name, 0)
        return language.ordinal(number) if number <= most else language.cardinal(number)
    article = {"en": "the ", "de": "der ", "da": "den ", "sv": "den ", "no": "den ", "nl": "de "}.get(language.name, "")
    return article + language.ordinal(number)
