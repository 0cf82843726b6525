"""Ordinal numbers, which every language writes in a way of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.text.normalize.kind import START, Kind, Rule, any_of, rule

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ordinals"]

_NEXT = r"(?=\s[^\W\d])"
_COUNTED = "시간|시(?!\\w)|명|개|살|마리|권|잔|병|그루|켤레"
_DATIVE = re.compile(r"(?:am|vom|zum|bis|dem|den|der|im|ab|seit)\s$", re.IGNORECASE)


class Ordinals(Kind):
    """Ordinal numbers, and days before and behind the name of a month."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        make = {"en": self.english, "fr": self.french, "de": self.german, "ru": self.russian, "nl": self.dutch,
                "sv": self.swedish, "tr": self.turkish}.get(self.language.name)  # fmt: skip
        if make is not None:
            return make()
        if self.is_("es", "it", "pt"):
            return [
                rule(rf"{START}(\d+)\.?[ºo°](?!\w)", self.in_form("masculine")),
                rule(rf"{START}(\d+)\.?ª(?!\w)", self.in_form("feminine")),
            ]
        if self.is_("da", "no", "fi"):
            return [self.day_rule(r"\."), rule(rf"(?i:\b(den|det|de))\s(\d{{1,3}})\.{_NEXT}", self.behind("masculine"))]
        if self.is_("ko"):
            return [rule(rf"{START}(\d{{1,2}})\s?(?={_COUNTED})", self.counted)]
        return [rule(r"第(\d+)", self.in_form("masculine"))] if self.is_("ja", "zh") else []

    def counted(self, match: re.Match[str]) -> str:
        """Return a Korean number of things, which is not the Chinese one that numbers have."""
        return f"{self.language.cardinal(int(match[1]), 'native-attributive')} "

    def in_form(self, form: str) -> Callable[[re.Match[str]], str]:
        """Return what says a match's first group in a form."""
        return lambda match: self.language.ordinal(int(match[1]), form)

    def behind(self, form: str) -> Callable[[re.Match[str]], str]:
        """Return what says a match's second group in a form, its first one before it."""
        return lambda match: f"{match[1]} {self.language.ordinal(int(match[2]), form)}"

    def day_rule(self, point: str = "") -> Rule:
        """Return the rule of a day before the name of a month."""
        return rule(rf"{START}(\d{{1,2}}){point}(?=\s?(?i:{self.months})(?!\w))", self.day)

    @property
    def months(self) -> str:
        """A pattern of the names of months."""
        return any_of(self.language.months)

    def day(self, match: re.Match[str]) -> str:
        """Return the day of a month."""
        form = "neuter-genitive" if self.is_("ru") else ""
        if self.is_("de") and _DATIVE.search(match.string[max(0, match.start() - 8) : match.start()]):
            form = "n"
        return self.language.day(int(match[1]), form)

    def english(self) -> list[Rule]:
        """Return the rules of English."""
        months = self.months
        return [
            rule(rf"{START}(\d+)(?:st|nd|rd|th)(?!\w)", self.in_form("masculine")),
            rule(rf"(?<!\w)((?i:{months}))\.?\s(\d{{1,2}})(?![\w:]|[.,]\d)", self.behind("masculine")),
            rule(rf"{START}(\d{{1,2}})(?=\s(?:of\s)?(?i:{months})(?!\w))", self.in_form("masculine")),
        ]

    def french(self) -> list[Rule]:
        """Return the rules of French."""
        return [
            rule(rf"{START}(\d+)(?:er|e|ème|nd)(?!\w)", self.in_form("masculine")),
            rule(rf"{START}(\d+)(?:re|ère|nde)(?!\w)", self.in_form("feminine")),
        ]

    def german(self) -> list[Rule]:
        """Return the rules of German."""
        return [
            self.day_rule(r"\."),
            rule(rf"(?i:\b(am|vom|zum|beim|im|den|dem|des))\s(\d{{1,3}})\.{_NEXT}", self.behind("n")),
            rule(rf"(?i:\b(der|die|das|jede|jeder))\s(\d{{1,3}})\.{_NEXT}", self.behind("masculine")),
        ]

    def russian(self) -> list[Rule]:
        """Return the rules of Russian."""
        endings = {"й|ый|ий|ой": "masculine", "я|ая": "feminine", "е|ое": "neuter", "го|ого": "masculine-genitive"}
        cases = {"год": "masculine", "года": "masculine-genitive", "году": "masculine-locative"}
        return [
            *(rule(rf"{START}(\d+)-(?:{ending})(?!\w)", self.in_form(form)) for ending, form in endings.items()),
            *(rule(rf"{START}(\d{{4}})(?=\s{word}(?!\w))", self.in_form(form)) for word, form in cases.items()),
            self.day_rule(),
        ]

    def dutch(self) -> list[Rule]:
        """Return the rules of Dutch."""
        return [rule(rf"{START}(\d+)(?:e|de|ste)(?!\w)", self.in_form("masculine"))]

    def swedish(self) -> list[Rule]:
        """Return the rules of Swedish."""
        return [rule(rf"{START}(\d+):[ae](?!\w)", self.in_form("masculine")), self.day_rule()]

    def turkish(self) -> list[Rule]:
        """Return the rules of Turkish."""
        return [
            rule(rf"{START}(\d{{1,3}})\.{_NEXT}", self.in_form("masculine")),
            rule(rf"{START}(\d+)['’](?:inci|ıncı|üncü|uncu)(?!\w)", self.in_form("masculine")),
        ]
