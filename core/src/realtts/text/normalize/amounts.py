"""Quantities with units, and what they refer to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.text.normalize.kind import NUMBER, SIGN, START, TO, Rule, any_of, is_year, rule
from realtts.text.normalize.quantity import PER, Quantity
from realtts.text.normalize.symbols import ANY_CASE, UNITS

if TYPE_CHECKING:
    from realtts.text.normalize.language import Language

__all__ = ["Amounts"]

_POINT = r"(?:\.(?=[,;:)]|\s[a-zà-öø-ÿа-яёα-ω]))?"
"""The point of a shortened unit, where the sentence goes on: ``5 min. later``."""

_END = r"(?![\w\u00b2\u00b3]|['\u2019]\w)"
"""Behind a unit; a letter with an apostrophe is a word: ``En 2020 l'équipe``."""

_NAMES = frozenset("KABNJ")
"""Letters that are a unit behind a space only: 4K, 1A and 2B are names."""

_WORDS = {
    "es": "ha min A", "it": "ha A", "pt": "A", "fr": "Mo Go A", "sv": "min", "da": "min", "no": "min", "pl": "A W",
    "en": "A bar cal gal min sec", "de": "bar A", "nl": "A", "ru": "г В", "tr": "ha", "ms": "A", "sw": "A",
}  # fmt: skip
"""Units that are words or abbreviations too, so that they are none behind a year: *En 2020 ha subido*."""

_HAS = re.compile(
    r"\s(?:(?:già|mai|sempre|anche|solo|ya|sido|stato|stata)\b|\w+(?:[aiu]to|[aí]do|ado|sto|tto|rso|so|cho)\b)"
)
"""Behind *ha* in Spanish and Italian where it is no hectare."""

_FEET, _INCHES = "['\u2019\u2032]", '["\u201d\u2033]'
_PLURAL = re.compile(r"\d{3}$|\w-\d+$|[a-z][A-Z]\w* \d+$")
"""Before an *s* that makes a plural or a name: two 747s, a B-52s, the iPhone 6s."""

_LABELLED = re.compile(
    r"(?i:(?<!\w)(?:section|gate|room|row|seat|class|group|platform|apartment|unit|table|figure|appendix|exhibit|block"
    r"|building|floor|terminal|zone|grade|part|article|question|klasse|gruppe|typ|zimmer|gleis|abschnitt|salle|porte"
    r"|puerta|sala|aula|portão|sezione|gruppo|класс|группа|дом))\s$"
)
"""Words whose numbers have letters: Gate 5 A."""

_FEET, _INCHES = "['\u2019\u2032]", '["\u201d\u2033]'
_EXPONENT = re.compile(r"\^\{?([23])\}?")


class Amounts(Quantity):
    """Quantities with units."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        self.signs = {**UNITS, **self.aliases}
        if not self.is_("en"):
            del self.signs["mi"]  # a word of many languages, and used in no other one
        self.words_too = frozenset(_WORDS.get(language.name, "").split())

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        units = any_of(self.signs)
        return [
            *([rule(rf"{START}(\d{{1,3}}){_FEET}\s?(\d{{1,2}}){_INCHES}", self.feet)] if self.is_("en") else []),
            rule(r"(?<=\d)(?:\s?(?:k|c|m|d)?m)\^\{?[23]\}?(?!\w)", self.exponent),
            *([rule(rf"%\s?({NUMBER})", self.percent)] if self.is_("tr") else []),
            rule(rf"{START}({SIGN}{NUMBER}){TO}({NUMBER})\s?({units}){_END}(?!/)", self.unit_range),
            rule(rf"{START}({SIGN}{NUMBER})\s?({units}){_END}{_POINT}{PER}", self.unit),
            rule(rf"{START}({SIGN}{NUMBER})\s?((?i:{any_of(ANY_CASE)})){_END}{_POINT}", self.loose_unit),
            rule(rf"{START}({NUMBER})\s?%-?(ig(?:e[nrsm]?)?)(?!\w)", self.percentage)
            if self.is_("de")
            else rule(rf"{START}({SIGN}{NUMBER})\s?%-?(?=[^\W\d_])", self.percent),
        ]

    def exponent(self, match: re.Match[str]) -> str:
        """Return a unit with a raised exponent."""
        return _EXPONENT.sub(lambda found: "²³"[int(found[1]) - 2], match[0])

    def percentage(self, match: re.Match[str]) -> str:
        """Return a German adjective such as ``50%ige``."""
        return f"{self.spoken(match[1])}prozent{match[2]}"

    def percent(self, match: re.Match[str]) -> str:
        """Return a percentage whose sign stands before the number, or before letters."""
        behind = " " if self.language.space and match[0][-1] in "%-" else ""
        return f"{self.language.unit(match[1], '%')}{behind}"

    def feet(self, match: re.Match[str]) -> str:
        """Return feet and inches."""
        return f"{self.language.unit(match[1], '′')} {self.language.unit(match[2], '″')}"

    def unit(self, match: re.Match[str]) -> str | None:
        """Return a number and a unit."""
        if self.is_word(match):
            return None
        symbol = self.aliases.get(match[2], match[2])
        return self.apart(match, self.language.unit(match[1].replace("\u2013", "-"), symbol)) + self.per(match)

    def is_word(self, match: re.Match[str]) -> bool:
        """Tell whether what looks like a unit is a word or the beginning of a name."""
        number, symbol, rest = match[1], match[2], match.string[match.end(2) :]
        single = len(symbol) == 1 and symbol.isalpha()
        before = match.string[max(0, match.start() - 24) : match.start()]
        if symbol == "s" and match[0][len(number)] != " " and self.is_("en") and _PLURAL.search(f"{before}{number}"):
            return True
        if single and symbol.isupper() and _LABELLED.search(before):
            return True
        if single and symbol in _NAMES and match[0][len(number)] != " ":
            return True
        if is_year(number) and match[0][len(number)] == " " and symbol in self.words_too:
            return True
        if single and symbol.isupper() and re.match(r"\.\s?[^\W\d_]", rest) and match[0][len(number)] == " ":
            return not self.starts_sentence(match.string, match.end(2) + 1)
        return symbol == "ha" and self.is_("es", "it") and _HAS.match(rest) is not None

    def loose_unit(self, match: re.Match[str]) -> str | None:
        """Return a number and a unit in other letters than usual."""
        names = {name.lower(): name for name in UNITS if name.lower() in ANY_CASE}
        return self.apart(match, self.language.unit(match[1].replace("\u2013", "-"), names[match[2].lower()]))

    def unit_range(self, match: re.Match[str]) -> str:
        """Return a range whose unit stands behind both."""
        symbol = self.aliases.get(match[3], match[3])
        return self.language.join(self.spoken(match[1]), self.words.to, self.language.unit(match[2], symbol))
