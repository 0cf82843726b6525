"""Amounts of money, quantities with units, and what they refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.text.normalize.kind import NUMBER, SIGN, START, TO, Kind, Rule, any_of, fixed, rule
from realtts.text.normalize.symbols import ALIASES, ANY_CASE, CODES, CURRENCIES, UNITS

if TYPE_CHECKING:
    import re

    from realtts.text.normalize.language import Language

__all__ = ["Amounts"]

_SCALES = {
    "en": "k=thousand K=thousand M=million mn=million m=million bn=billion B=billion T=trillion",
    "de": "Mio.=Millionen Mio=Millionen Mrd.=Milliarden Mrd=Milliarden Tsd.=tausend",
    "fr": "k=mille M=millions Md=milliards Mds=milliards",
    "es": "k=mil M=millones", "it": "k=mila M=milioni", "pt": "k=mil M=milhões", "ru": "тыс.=тысяч млн=миллионов"
    " млрд=миллиардов", "pl": "tys.=tysięcy mln=milionów mld=miliardów", "nl": "k=duizend M=miljoen",
    "sv": "k=tusen M=miljoner mkr=miljoner", "ja": "万=万 億=億 兆=兆", "zh": "万=万 亿=亿", "ko": "만=만 억=억 조=조",
}  # fmt: skip
_SCALE_WORDS = (
    r"thousand|million|billion|trillion|Millionen|Milliarden|millions?|milliards?|mil|millones|milioni"
    r"|miliardi|milhões|bilhões|миллион(?:ов|а)?|миллиард(?:ов|а)?|miljoen|miljard|miljoner|miljarder|millioner"
)

_PER = (
    rf"(?:\s?/\s?(?P<per>{any_of(unit for unit in UNITS if unit[0].isalpha())}"
    r"|[^\W\d_\u00b2\u00b3]{2,})(?![\w\u00b2\u00b3]))?"
)
"""What a price or a quantity refers to: ``/kg``, ``/month``."""

_POINT = r"(?:\.(?=[,;:)]|\s[a-zà-öø-ÿа-яёα-ω]))?"
"""The point of a shortened unit, where the sentence goes on: ``5 min. later``."""

_NAMES = frozenset("KABNJ")
"""Letters that are a unit behind a space only: 4K, 1A and 2B are names."""


class Amounts(Kind):
    """Amounts of money and quantities with units."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        self.scales = dict(entry.split("=") for entry in _SCALES.get(language.name, "").split())
        self.aliases = ALIASES.get(language.name, {})

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        scale, units = f"{any_of(self.scales)}|{_SCALE_WORDS}", any_of({**UNITS, **self.aliases})
        signs = any_of(CURRENCIES)
        return [
            fixed(r"(?<=\d),[-\u2013\u2014]+(?![\w-])", ""),  # 5,- €
            rule(
                rf"({SIGN})({signs})\s?([-\u2212]?{NUMBER})(?:\s?({scale})(?!\w))?{_PER}",
                self.money_before,
            ),
            rule(rf"{START}({SIGN}{NUMBER})\s?(?:({scale})\s?)?({signs})(?!\w){_PER}", self.money_behind),
            rule(rf"(?<!\w)({any_of(CODES)})\s?({SIGN}{NUMBER})(?!\w)", self.code_before),
            rule(rf"{START}({SIGN}{NUMBER})\s?(?:({scale})\s)?({any_of(CODES)})(?!\w){_PER}", self.money_behind),
            *([rule(rf"%\s?({NUMBER})", self.percent)] if self.is_("tr") else []),
            rule(rf"{START}({SIGN}{NUMBER}){TO}({NUMBER})\s?({units})(?![\w²³/])", self.unit_range),
            rule(rf"{START}({SIGN}{NUMBER})\s?({units})(?![\w²³]){_POINT}{_PER}", self.unit),
            rule(rf"{START}({SIGN}{NUMBER})\s?((?i:{any_of(ANY_CASE)}))(?![\w²³]){_POINT}", self.loose_unit),
            *([rule(rf"{START}(\d{{1,3}})['’′]\s?(\d{{1,2}})[\"”″]", self.feet)] if self.is_("en") else []),
        ]

    def percent(self, match: re.Match[str]) -> str:
        """Return a percentage whose sign stands before the number."""
        return self.language.unit(match[1], "%")

    def feet(self, match: re.Match[str]) -> str:
        """Return feet and inches."""
        return f"{self.language.unit(match[1], '′')} {self.language.unit(match[2], '″')}"

    def money_before(self, match: re.Match[str]) -> str:
        """Return an amount whose sign stands before it."""
        text = match[1] + match[3]
        return self.apart(match, self.amount(text, match[2], match[4], short=True)) + self.per(match)

    def money_behind(self, match: re.Match[str]) -> str:
        """Return an amount whose sign or code stands behind it."""
        return self.amount(match[1], match[3], match[2], short=match[3] not in CODES) + self.per(match)

    def code_before(self, match: re.Match[str]) -> str:
        """Return an amount whose code stands before it."""
        return self.amount(match[2], match[1], None, short=False)

    def amount(self, text: str, sign: str, scale: str | None, *, short: bool) -> str:
        """Return an amount of a currency in words."""
        code = CURRENCIES.get(sign, sign)
        if sign in {"¥", "￥"} and self.is_("zh"):
            code = "CNY"
        said = self.scales.get(scale, scale) if scale else ""
        return self.language.money(text.replace("\u2013", "-"), code, short=short and len(sign) < 3, scale=said)

    def per(self, match: re.Match[str]) -> str:
        """Return what a price or a number refers to."""
        unit = match["per"]
        if not unit:
            return ""
        name = self.language.unit_name(unit) if unit in UNITS else unit
        return self.language.join("", self.words.per, name) if not self.language.space else f" {self.words.per} {name}"

    def unit(self, match: re.Match[str]) -> str | None:
        """Return a number and a unit."""
        if match[2] in _NAMES and match[0][len(match[1])] != " ":
            return None
        symbol = self.aliases.get(match[2], match[2])
        return self.apart(match, self.language.unit(match[1].replace("\u2013", "-"), symbol)) + self.per(match)

    def loose_unit(self, match: re.Match[str]) -> str | None:
        """Return a number and a unit in other letters than usual."""
        names = {name.lower(): name for name in UNITS if name.lower() in ANY_CASE}
        return self.apart(match, self.language.unit(match[1].replace("\u2013", "-"), names[match[2].lower()]))

    def unit_range(self, match: re.Match[str]) -> str:
        """Return a range whose unit stands behind both."""
        symbol = self.aliases.get(match[3], match[3])
        return self.language.join(self.spoken(match[1]), self.words.to, self.language.unit(match[2], symbol))
