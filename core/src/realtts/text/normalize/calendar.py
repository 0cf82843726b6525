"""Dates, times of day, years and decades."""

from __future__ import annotations

import re

from realtts.text.normalize.clock import clock
from realtts.text.normalize.kind import START, Kind, Rule, any_of, fixed, rule

__all__ = ["Calendar"]

_DAY_WORDS = {
    "de": "am vom zum bis dem den ab seit", "fr": "le du au", "es": "el del al", "it": "il dal al del", "nl": "op",
    "pt": "em dia de até", "da": "den", "no": "den", "sv": "den", "pl": "dnia",
}  # fmt: skip
"""Words before the day and the month of a date without a year."""


class Calendar(Kind):
    """Dates, times of day and decades."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        return [
            fixed(r"(?:(?<=\d[./]\d{4})|(?<=:\d\d))\s?[-\u2010-\u2013]\s?(?=\d{1,2}[.:/]\d)", self.words.to),
            rule(r"(?<![\d./-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\d-])(?:T(?=\d))?", self.iso_date),
            rule(r"(?<![\d./-])(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/-])", self.date),
            rule(r"(\d{4})年(\d{1,2})月(\d{1,2})日", self.cjk_date),
            *self.of_language(),
            rule(r"(?<![\d:.,])(\d{1,2}):(\d\d)(?::(\d\d))?(?![\d:])(?:\s?([aApP])\.?\s?[mM]\b\.?)?", self.time),
        ]

    def of_language(self) -> list[Rule]:
        """Return the rules that one language alone has."""
        if self.is_("en"):
            return [
                rule(rf"{START}(?:['’](\d0)|((?:1[0-9]|20)\d0))s(?!\w)", self.decade),
                fixed(r"(?<=\d[aApP][mM])\s?[-\u2013]\s?(?=\d)", self.words.to),
                rule(r"(?<![\d:.,])(\d{1,2})\s?([aApP])\.?\s?[mM]\b\.?(?!\w)", self.hour),
            ]
        found = []
        if self.is_("es", "it", "pt"):  # keyboards have a degree sign for the mark of an ordinal number
            months = any_of(self.language.months)
            found.append(rule(rf"{START}1[°º](?=\s(?:de\s)?(?i:{months})(?!\w))", lambda _: self.language.ordinal(1)))
        if self.is_("zh"):
            found.append(rule(r"(\d{4})(?=年)", lambda match: self.language.year(int(match[1]))))
        if self.is_("de", "nl"):
            found.append(rule(r"(?<![\d:.,])(\d{1,2})[:.](\d\d)\s(?:Uhr|uur)\b", self.time))
        if self.is_("fr", "pt"):
            found.append(rule(r"(?<![\d:.,])(\d{1,2})\s?[hH]\s?(\d\d)(?!\w)", self.time_h))
        if self.language.name in _DAY_WORDS:
            before = any_of(_DAY_WORDS[self.language.name].split())
            sign = r"\." if self.is_("de", "da", "no") else "/"
            end = r"\.?" if sign == r"\." else ""
            pattern = rf"(?i:\b({before}))\s(\d{{1,2}}){sign}(\d{{1,2}}){end}(?![\w/]|[.,]\d)"
            found.append(rule(pattern, self.short_date))
        return found

    def short_date(self, match: re.Match[str]) -> str | None:
        """Return a date without a year."""
        day, month = int(match[2]), int(match[3])
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        return f"{match[1]} {self.language.date(None, month, day, 'n' if self.is_('de') else '')}"

    def decade(self, match: re.Match[str]) -> str:
        """Return a decade, in English."""
        said = self.language.cardinal(int(match[1])) if match[1] else self.language.year(int(match[2]))
        return f"{said.removesuffix('y')}ies" if said.endswith("y") else f"{said}s"

    def iso_date(self, match: re.Match[str]) -> str | None:
        """Return a date that begins with the year."""
        return self.date_words(match, int(match[1]), int(match[3]), int(match[4]))

    def cjk_date(self, match: re.Match[str]) -> str | None:
        """Return a date with the signs for year, month and day."""
        return self.date_words(match, int(match[1]), int(match[2]), int(match[3]))

    def date(self, match: re.Match[str]) -> str | None:
        """Return a date that begins with the day, or with the month in the United States."""
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if len(match[4]) == 2:
            year += 2000 if year < 70 else 1900
        american = self.is_("en") and self.language.region in {"", "US", "PH"} and match[2] != "."
        if (american and first <= 12) or second > 12:
            first, second = second, first
        return self.date_words(match, year, second, first)

    def date_words(self, match: re.Match[str], year: int, month: int, day: int) -> str | None:
        """Return a date in words; None if there is no such day."""
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        before = match.string[: match.start()]
        form = "n" if self.is_("de") and re.search(r"(?i)\b(?:am|vom|zum|bis|dem|den|ab|seit)\s$", before) else ""
        end = " " if match[0].endswith("T") else ""
        return self.language.date(year, month, day, form) + end

    def time(self, match: re.Match[str]) -> str | None:
        """Return a time of day."""
        groups = (*match.groups(), None, None)
        hours, minutes, seconds = int(match[1]), int(match[2]), groups[2]
        if hours > 24 or minutes > 59:
            return None
        said = clock(self.language, hours, minutes, int(seconds) if seconds else None, half=bool(groups[3]))
        return f"{said} {groups[3].lower()} m" if groups[3] else said

    def time_h(self, match: re.Match[str]) -> str | None:
        """Return a time such as ``14h30``."""
        return clock(self.language, int(match[1]), int(match[2]), None) if int(match[1]) <= 24 else None

    def hour(self, match: re.Match[str]) -> str:
        """Return an hour such as ``3 pm``."""
        return f"{self.language.cardinal(int(match[1]))} {match[2].lower()} m"
