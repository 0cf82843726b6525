"""Dates, years and decades."""

from __future__ import annotations

import re

from realtts.text.normalize.counting import NOT_COUNTED
from realtts.text.normalize.kind import START, Kind, Rule, any_of, fixed, rule
from realtts.text.normalize.ordinals import english_months, german_day_form

__all__ = ["Calendar"]

_DAY_WORDS = {
    "de": "am vom zum bis dem den ab seit", "fr": "le du au", "es": "el del al", "it": "il dal al del", "nl": "op",
    "pt": "em dia de até", "da": "den", "no": "den", "sv": "den", "pl": "dnia", "vi": "ngày", "en": "on",
}  # fmt: skip
"""Words before the day and the month of a date without a year."""

_PROGRAM = re.compile(
    r"(?i:(?<![^\W_])(?:v|ver|version|versión|versione|versão|versie|wersja|версия|release|build|python|ios|ipados|android|macos"
    r"|node|ubuntu|debian|linux|kernel|firefox|chrome|java|php|perl|ruby|django|windows|update|patch|section|chapter|kapitel"
    r"|abschnitt|ip))[.:]?\s?$"
)
"""What stands before the number of a version rather than a date."""

_RU_YEAR = r"(?:\s?(?:года|г\.?)(?!\w))?"


class Calendar(Kind):
    """Dates and decades."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        behind = _RU_YEAR if self.is_("ru") else ""
        return [
            fixed(r"(?:(?<=\d[./]\d{4})|(?<=:\d\d))\s?[-\u2010-\u2013]\s?(?=\d{1,2}[.:/]\d)", self.words.to),
            rule(r"(?<![\d./-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\d-])(?:T(?=\d))?", self.iso_date),
            rule(
                rf"(?<![\d./-])(\d{{1,2}})([./-])(\d{{1,2}})\2(\d{{4}}|\d{{2}})(?![\d/-]|\.\d){behind}",
                self.date,
            ),
            rule(r"(\d{4})年(\d{1,2})月(\d{1,2})日", self.cjk_date),
            rule(r"(?<![\d./-])(0[1-9]|1[0-2])/((?:19|20)\d\d)(?![\d/])", self.month_and_year),
            rule(r"(?<![\d./-])((?:19|20)\d\d)-(0[1-9])(?![\d-])", self.year_and_month),
            *self.of_language(),
        ]

    def of_language(self) -> list[Rule]:
        """Return the rules that one language alone has."""
        rules: list[Rule] = []
        name, months = self.language.name, any_of(self.language.months)
        if name == "en":
            rules.append(rule(rf"{START}(?:['’](\d0)|((?:1[0-9]|20)\d0))s(?!\w)", self.decade))
            before = r"(?i:(?<!\w)(?:the|his|her|their|my|our|your|its|mid|early|late|in|low|high|upper)[\s-])"
            rules.append(rule(rf"({before})(?:(\d0)|((?:1[0-9]|20)\d0))s(?!\w)", self.decade_behind))
            rules += self._english_ranges(english_months(self.language.months))
        if name == "de":
            rules.append(rule(rf"{START}((?:1[1-9]|20)\d0)er(n?)(?!\w)", self.german_decade))
            days = rf"{START}(\d{{1,2}})\.\s?([-\u2013/])\s?(\d{{1,2}})\.(?=\s?(?i:{months})(?!\w))"
            rules.append(rule(days, self.german_days))
        if name in {"es", "it", "pt"}:  # keyboards have a degree sign for the mark of an ordinal number
            rules.append(rule(rf"{START}1[°º](?=\s(?:de\s)?(?i:{months})(?!\w))", lambda _: self.language.ordinal(1)))
            rules.append(rule(rf"{START}(\d{{1,2}})°(?=\s([a-zà-ÿ]{{3,}})(?![\w'’]))", self.keyboard_ordinal))
        if name == "zh":
            years = r"(?<!\d)(\d{4})\s?[-\u2013~\u301c\uff5e]\s?(?=\d{4}年)"
            rules.append(rule(years, lambda match: self.language.year(int(match[1])) + self.words.to))
            rules.append(rule(r"(\d{4})(?=年)", lambda match: self.language.year(int(match[1]))))
        if name == "ko":
            rules.append(rule(r"(?<!\d)(6|10)(?=월)", lambda match: "유" if match[1] == "6" else "시"))
        if name in _DAY_WORDS:
            before = any_of(_DAY_WORDS[name].split())
            sign = r"\." if self.is_("de", "da", "no") else "/"
            end = r"\.?" if sign == r"\." else r"(?!\sof(?!\w))" if name == "en" else ""
            pattern = rf"(?i:\b({before}))\s(\d{{1,2}}){sign}(\d{{1,2}}){end}(?![\w/]|[.,]\d)"
            rules.append(rule(pattern, self.short_date))
        if self.is_("de", "da", "no"):
            rules.append(rule(r"(?<![\w.,])(\d{1,2})\.(\d{1,2})\.(?!\w)", self.bare_date))
        if self.language.space:
            rules.append(rule(r"(?<![\w'’])['’](\d\d)(?![\w'’])", lambda match: self.language.cardinal(int(match[1]))))
        return rules

    def _english_ranges(self, months: str) -> list[Rule]:
        """Return the rules of days from one to another in a month: ``May 3-5``, ``3-5 May``."""
        dash, day = r"\s?[-\u2010-\u2013]\s?", r"(\d{1,2})(?:st|nd|rd|th)?"
        return [
            rule(rf"(?<!\w)({months})\.?\s{day}{dash}{day}(?![\w:-]|[.,]\d)", self.days_behind),
            rule(rf"{START}{day}{dash}{day}(?=\s(?:of\s)?{months}(?!\w))", self.days_before),
        ]

    def days_behind(self, match: re.Match[str]) -> str:
        """Return days behind the name of a month."""
        first, last = (self.language.ordinal(int(day)) for day in match.groups()[1:])
        return f"{match[1]} {first} {self.words.to} {last}"

    def days_before(self, match: re.Match[str]) -> str:
        """Return days before the name of a month."""
        first, last = (self.language.ordinal(int(day)) for day in match.groups())
        return f"{first} {self.words.to} {last}"

    def german_days(self, match: re.Match[str]) -> str:
        """Return several days of a month."""
        first, last = (self.language.day(int(match[n]), self.german_form(match)) for n in (1, 3))
        return f"{first} {'und' if match[2] == '/' else self.words.to} {last}"

    def bare_date(self, match: re.Match[str]) -> str | None:
        """Return a date without a year where a number with two full stops can be nothing else."""
        day, month = int(match[1]), int(match[2])
        return self.language.date(None, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None

    def keyboard_ordinal(self, match: re.Match[str]) -> str | None:
        """Return an ordinal number that is written with a degree sign; degrees are followed by no noun."""
        if match[2] in NOT_COUNTED[self.language.name]:
            return None
        return self.language.ordinal(int(match[1]), "masculine-adjective" if self.is_("es") else "masculine")

    def short_date(self, match: re.Match[str]) -> str | None:
        """Return a date without a year."""
        day, month = int(match[2]), int(match[3])
        if self.is_("en"):
            if match[0][match.start(2) - match.start() :] in {"9/11", "24/7", "50/50"}:
                return None
            day, month = self.ordered(day, month, "/")
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        return f"{match[1]} {self.language.date(None, month, day, 'n' if self.is_('de') else '')}"

    def german_decade(self, match: re.Match[str]) -> str:
        """Return a decade, in German: *die 1990er*, *in den 1980ern*."""
        return f"{self.language.year(int(match[1]))}er{match[2]}"

    def decade(self, match: re.Match[str]) -> str:
        """Return a decade, in English."""
        said = self.language.cardinal(int(match[1])) if match[1] else self.language.year(int(match[2]))
        return f"{said.removesuffix('y')}ies" if said.endswith("y") else f"{said}s"

    def decade_behind(self, match: re.Match[str]) -> str:
        """Return a decade, or an age or temperature between two tens, behind the word that tells so."""
        said = self.language.cardinal(int(match[2])) if match[2] else self.language.year(int(match[3]))
        return f"{match[1]}{said.removesuffix('y')}{'ies' if said.endswith('y') else 's'}"

    def iso_date(self, match: re.Match[str]) -> str | None:
        """Return a date that begins with the year."""
        return self.date_words(match, int(match[1]), int(match[3]), int(match[4]))

    def cjk_date(self, match: re.Match[str]) -> str | None:
        """Return a date with the signs for year, month and day."""
        return self.date_words(match, int(match[1]), int(match[2]), int(match[3]))

    def month_and_year(self, match: re.Match[str]) -> str:
        """Return a month and its year: ``03/2026``."""
        return self.language.month_of_year(int(match[1]), int(match[2]))

    def year_and_month(self, match: re.Match[str]) -> str:
        """Return a year and its month: ``2026-03``."""
        return self.language.month_of_year(int(match[2]), int(match[1]))

    def date(self, match: re.Match[str]) -> str | None:
        """Return a date that begins with the day, or with the month in the United States."""
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if match[2] == "." and self.is_version(match):
            return None
        if len(match[4]) == 2:
            year += 2000 if year < 70 else 1900
        day, month = self.ordered(first, second, match[2])
        return self.date_words(match, year, month, day)

    def is_version(self, match: re.Match[str]) -> bool:
        """Tell whether three numbers with full stops are a version; dates in English are hardly written so."""
        short = len(match[4]) == 2 and not (len(match[1]) == len(match[3]) == 2)
        return (self.is_("en") and short) or _PROGRAM.search(match.string[: match.start()]) is not None

    def ordered(self, first: int, second: int, sign: str) -> tuple[int, int]:
        """Return day and month of a date's first two numbers."""
        american = self.is_("en") and self.language.region in {"", "US", "PH"} and sign != "."
        if (american and first <= 12) or second > 12:
            first, second = second, first
        return first, second

    def date_words(self, match: re.Match[str], year: int, month: int, day: int) -> str | None:
        """Return a date in words; None if there is no such day."""
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        end = " " if match[0].endswith("T") else ""
        return self.language.date(year, month, day, self.german_form(match)) + end

    def german_form(self, match: re.Match[str]) -> str:
        """Return the ending of a day in German, by what stands before it."""
        return german_day_form(match.string, match.start()) if self.is_("de") else ""
