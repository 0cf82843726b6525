"""Amounts of money."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from realtts.text.normalize.kind import NUMBER, SIGN, START, Rule, any_of, fixed, rule
from realtts.text.normalize.quantity import PER, SCALE_WORDS, Quantity
from realtts.text.normalize.scales import scale_form
from realtts.text.normalize.symbols import CODES, CURRENCIES

if TYPE_CHECKING:
    import re

__all__ = ["Money"]

_PAIRS = {
    "ru": (r"руб(?:\.|л(?:ь|я|ей))?|₽", r"коп(?:\.|е(?:йка|йки|ек))?", "RUB", "копейка копейки копеек", "feminine"),
    "pl": (r"zł(?:\.|ot(?:y|e|ych))?", r"gr(?:\.|osz(?:y|e)?)?", "PLN", "grosz grosze groszy", "masculine"),
    "de": (r"€|Euro|EUR", r"[cC]t\.?|Cents?", "EUR", "Cent Cent Cent", "masculine"),
}
"""Language -> how a currency's two units are written behind their numbers, its code, and the name of the smaller one:
of one, of a few and of many, and its gender."""

_AMOUNT = rf"(?:{NUMBER}|\.\d+)"
_DASH = r"\s?[-\u2010-\u2013~\u301c\uff5e]\s?"


class Money(Quantity):
    """Amounts of money, with the sign or the code of the currency on either side."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        scale, codes, signs = f"{any_of(self.scales)}|{SCALE_WORDS}", any_of(CODES), self._signs()
        return [
            fixed(r"(?<=\d),[-\u2013\u2014]+(?![\w-])", ""),  # 5,- €
            *self._pairs(),
            rule(rf"{START}(\d+)([€$])(\d\d)(?!\w)", self.money_around),
            *([rule(rf"{START}(\d+)\s(€)\s(\d\d)(?!\w)", self.money_around)] if self.is_("fr") else []),
            *([rule(r"(?<=[元块角分钱])/(?=[\u4e00-\u9fff])", lambda _: "每")] if self.is_("zh") else []),
            rule(
                rf"({signs})\s?({_AMOUNT}){_DASH}(?:{signs})?\s?({_AMOUNT})(?:\s?({scale})(?!\w))?(?![\w%]|[.,]\d)",
                self.range_before,
            ),
            rule(
                rf"{START}({NUMBER}){_DASH}({NUMBER})\s?(?:({scale})\s?)?({signs}|{codes})(?!\w){PER}",
                self.range_behind,
            ),
            rule(rf"({SIGN})({signs})\s?([-\u2212]?{_AMOUNT})(?:\s?({scale})(?!\w))?{PER}", self.money_before),
            rule(rf"{START}({SIGN}{NUMBER})\s?(?:({scale})\s?)?({signs})(?!\w){PER}", self.money_behind),
            rule(rf"(?<!\w)({codes})\s?({SIGN}{NUMBER})(?!\w)", self.code_before),
            rule(rf"{START}({SIGN}{NUMBER})\s?(?:({scale})\s)?({codes})(?!\w){PER}", self.money_behind),
            *self._cents(),
            rule(rf"(?<![\w$€£¥])([{_BARE}])(?![\w$€£¥])", self.bare, _BARE),
        ]

    def _signs(self) -> str:
        """Return a pattern of signs; one that begins with a letter does not end a word."""
        names = [name for name in (*CURRENCIES, *self.local) if not (name == "Ft" and self.is_("en"))]  # feet
        lettered = any_of(name for name in names if name[0].isalpha())
        return rf"(?<![^\W\d_])(?:{lettered})|{any_of(name for name in names if not name[0].isalpha())}"

    def _pairs(self) -> list[Rule]:
        if self.language.name not in _PAIRS:
            return []
        whole, part, *_ = _PAIRS[self.language.name]
        return [
            rule(rf"{START}({NUMBER})\s?(?:{whole})\s(\d\d?)\s?(?:{part})(?!\w)", self.pair),
            rule(rf"{START}(\d\d?)\s?(?:{part})(?!\w)", lambda match: self.part(int(match[1]))),
        ]

    def pair(self, match: re.Match[str]) -> str:
        """Return an amount whose two units are both written."""
        code = _PAIRS[self.language.name][2]
        return self.language.join(self.language.money(match[1], code, short=True), self.part(int(match[2])))

    def part(self, number: int) -> str:
        """Return an amount of the smaller unit."""
        *_, names, gender = _PAIRS[self.language.name]
        one, few, many = names.split()
        last = number % 10 if number % 100 not in range(11, 15) else 0
        is_one = number == 1 or (last == 1 and self.is_("ru"))
        name = one if is_one else few if last in {2, 3, 4} else many
        return self.language.join(self.language.cardinal(number, gender), name)

    def _cents(self) -> list[Rule]:
        if not self.is_("en"):
            return []
        return [rule(rf"{START}(\d+)\s?¢", lambda match: f"{self.spoken(match[1])} cent{'s' * (match[1] != '1')}")]

    def money_around(self, match: re.Match[str]) -> str:
        """Return an amount whose sign stands in the place of the comma."""
        return self.amount(f"{match[1]}{'.' if self.is_('en') else ','}{match[3]}", match[2], None, short=True)

    def range_before(self, match: re.Match[str]) -> str:
        """Return a range of amounts whose sign stands before the first or before both."""
        first = self.spoken(match[2])
        last = self.amount(match[3], match[1], match[4], short=True)
        return self.apart(match, self.language.join(first, self.words.to, last))

    def range_behind(self, match: re.Match[str]) -> str:
        """Return a range of amounts whose sign stands behind both."""
        last = self.amount(match[2], match[4], match[3], short=match[4] not in CODES)
        return self.language.join(self.spoken(match[1]), self.words.to, last) + self.per(match)

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
        code = self.local.get(sign) or CURRENCIES.get(sign, sign)
        if sign in {"¥", "￥"} and self.is_("zh"):
            code = "CNY"
        said = scale_form(self.language, text, self.scales.get(scale, scale)) if scale else ""
        short = short and (len(sign) < 3 or sign in self.local)
        return self.language.money(text.replace("\u2013", "-"), code, short=short, scale=said)

    def bare(self, match: re.Match[str]) -> str:
        """Return the name of a currency whose sign stands alone."""
        code = "CNY" if match[1] == "¥" and self.is_("zh") else CURRENCIES[match[1]]
        return self.apart(match, self.language.currency(code, Decimal(5), short=True))


_BARE = "$€£¥₹₩₽₺₫₪₴₱₿"
