"""Abbreviations where they stand for words, and the full stop that ends both them and a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.text.fullstop import stop_ends
from realtts.text.normalize.abbreviations import abbreviations
from realtts.text.normalize.kind import Kind, Rule, is_year
from realtts.text.normalize.scales import scale_form
from realtts.text.words import Paragraph, following, is_abbreviation, starts

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.text.normalize.language import Language

__all__ = ["ShortForms"]

_BEFORE_DAYS = {
    "en": "in of since until till by from to last next this early late mid through on every and or closed open",
    "de": "im seit bis ab vom zum am jeden jede von anfang mitte ende und oder,",
}
"""Words behind which the short name of a month or a day is meant, not a person's or another word."""

_INSTITUTIONS = (
    "театр музей университет институт завод библиотека школа парк больница площадь академия училище стадион премия"
    " фонд аэропорт станция улица проспект центр лицей колледж консерватория дворец галерея"
)
_INSTITUTION = re.compile(
    rf"(?:(?:{'|'.join(word[:5] for word in _INSTITUTIONS.split())})\w*|[А-Я]{{2,}}|\d+)\s$", re.IGNORECASE
)
_NUMBER_BEFORE = re.compile(r"(?:\d|(?<![^\s(])[IVXLC]+)\s?$")
_NUMBER_BEHIND = re.compile(r"\s?\d|\s(?:[IVXLC]{2,}|[VX])(?![\w'’-]|\.(?!\s|$))")
_INSIDE = re.compile(r"(?i:(?<!\w)во?)\s[IVXLC]+\s?$")
_GERMAN_DATE = re.compile(r"\s?\d{1,2}\.(?:\s?\d{1,2}\.|\s[A-Z])")
_STREET = re.compile(
    r"(?:\d(?:st|nd|rd|th)|(?<![^\s])(?!Port|Fort|Mt|West|East|North|South|Lake|The|At|In|On)[A-Z][a-z]+)\s$"
)
_BEHIND_STREET = re.compile(r"\s(?:Station|Bridge|Journal|Library|School)")
_SIGHT = 60
"""Characters before an abbreviation that tell what it stands for."""

_CHURCH = re.compile(r"\s[A-Z][a-z]+")


class ShortForms(Kind):
    """Abbreviations."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        self._words = (abbreviations(language.name) or (None, {}))[1]
        self._before_days = frozenset(_BEFORE_DAYS.get(language.name, "").split())

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        short = abbreviations(self.language.name)
        if short is None:
            return []
        streets = [Rule(re.compile(r"(?<=[a-zäöü])str\.(?!\w)"), self._german_street)] if self.is_("de") else []
        return [*streets, Rule(short[0], self.abbreviation)]

    def abbreviation(self, match: re.Match[str]) -> str | None:
        """Return the words of an abbreviation; its point ends the sentence too where one ends there."""
        before = match.string[max(0, match.start() - _SIGHT) : match.start()]
        rest = match.string[match.end() :]
        said = self._said(match[0], match, before, rest)
        if said is None:
            return None
        return f"{said}{'.' if match[0].endswith('.') and self._ends(match) else ''}"

    def _said(self, short: str, match: re.Match[str], before: str, rest: str) -> str | None:
        if (self.language.name, short) == ("ru", "г."):
            return self._year_or_town(before, rest)
        if (self.language.name, short) == ("ru", "в.") and _INSIDE.search(before):
            return "веке"
        if (self.language.name, short) == ("ru", "им."):
            return "имени" if self._before_name(match) and _INSTITUTION.search(before) else None
        own = {("en", "St."): self._saint_or_street, ("de", "Fr."): self._friday}.get((self.language.name, short))
        if own is not None:
            return own(match, before, rest)
        holds: dict[str, Callable[[], bool]] = {
            "^": lambda: self._before_name(match),
            "#": lambda: _NUMBER_BEHIND.match(rest) is not None,
            "~": lambda: _NUMBER_BEFORE.search(before) is not None,
            "@": lambda: self._is_day(before, rest),
            "!": lambda: not (before[-2:].strip()[-1:].isdigit()),
            "": lambda: True,
        }
        forms = self._words[short]
        said = next((forms[marker] for marker, does in holds.items() if marker in forms and does()), None)
        number = re.search(r"[\d.,]*\d(?=\s?$)", before)
        return scale_form(self.language, number[0], said) if said and number else said

    def _ends(self, match: re.Match[str]) -> bool:
        """Tell whether the point of an abbreviation ends a sentence."""
        text, at = match.string, match.end() - 1
        rest = text[match.end() :]
        short = match[0].rstrip(".")
        if not rest.lstrip(" ").strip("\r\n\"'”»)"):
            return not (rest.endswith("\n") and self._leads(short))
        if not rest[0].isspace():
            return False
        paragraph = Paragraph.of(text, 0, len(text), self.language.name)
        after = following(text, match.end(), len(text))
        if not after.char.isupper():
            return False
        if is_abbreviation(short.split()[-1], self.language.name):
            return stop_ends(paragraph, at, 0, "", after)
        return starts(self.language.name, after)

    def _leads(self, short: str) -> bool:
        """Tell whether more always follows an abbreviation, on the next line if not on its own."""
        return set(self._words[f"{short}."]) <= {"^", "#"} or short.istitle()

    def _before_name(self, match: re.Match[str]) -> bool:
        after = following(match.string, match.end(), len(match.string))
        return after.char.isupper() and not starts(self.language.name, after)

    def _is_day(self, before: str, rest: str) -> bool:
        if re.match(r"\s?\d|\s?[-\u2013/]\s?\w|,\s\d", rest) or re.search(r"\d(?:st|nd|rd|th)?[\s.,]*$", before):
            return True
        words = before.split()
        return bool(words) and (words[-1].lower() in self._before_days or words[-1] in self._words)

    def _year_or_town(self, before: str, rest: str) -> str | None:
        number = re.search(r"(\w+)?\s?(?<![\d.,])(\d+)\s?$", before)
        if number is None:
            if re.search(r"\d$", before.rstrip()):  # a date, or a number with decimals
                return "года" if re.search(r"\.\d{4}$", before.rstrip()) else None
            return "город" if re.match(r"\s?[А-ЯЁ]", rest) else None
        if not (is_year(number[2]) or re.match(r"\s?(?:до\s)?н\.\s?э", rest)):
            return None
        return "году" if (number[1] or "").lower() in {"в", "во", "к", "о", "об"} else "года"

    def _friday(self, match: re.Match[str], before: str, rest: str) -> str | None:
        if self._before_name(match):
            return "Frau"
        if _NUMBER_BEHIND.match(rest) or re.search(r"\d(?:,\d\d)?\s$", before):
            return "Freitag" if _GERMAN_DATE.match(rest) else None  # else francs
        return "Freitag"

    def _saint_or_street(self, match: re.Match[str], before: str, rest: str) -> str:
        after = following(match.string, match.end(), len(match.string))
        if not _CHURCH.match(rest) or starts(self.language.name, after):
            return "Street"
        return "Street" if _STREET.search(before) and _BEHIND_STREET.match(rest) else "Saint"

    def _german_street(self, match: re.Match[str]) -> str:
        return f"straße{'.' if not match.string[match.end() :].strip() else ''}"
