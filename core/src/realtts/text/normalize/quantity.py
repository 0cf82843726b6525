"""What amounts of money and quantities with units have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.text.normalize.kind import Kind, any_of
from realtts.text.normalize.symbols import ALIASES, LOCAL_CURRENCIES, UNITS

if TYPE_CHECKING:
    import re

    from realtts.text.normalize.language import Language

__all__ = ["PER", "SCALE_WORDS", "Quantity"]

_SCALES = {
    "en": "k=thousand K=thousand M=million mn=million m=million bn=billion B=billion T=trillion",
    "de": "Mio.=Millionen Mio=Millionen Mrd.=Milliarden Mrd=Milliarden Tsd.=tausend",
    "fr": "k=mille M=millions Md=milliards Mds=milliards",
    "es": "k=mil M=millones", "it": "k=mila M=milioni", "pt": "k=mil M=milhões", "ru": "тыс.=тысяч млн=миллионов"
    " млрд=миллиардов", "pl": "tys.=tysięcy mln=milionów mld=miliardów", "nl": "k=duizend M=miljoen",
    "sv": "k=tusen M=miljoner mkr=miljoner", "ja": "万=万 億=億 兆=兆", "zh": "万=万 亿=亿", "ko": "만=만 억=억 조=조",
}  # fmt: skip
SCALE_WORDS = (
    r"thousand|million|billion|trillion|Millionen|Milliarden|Million|Milliarde|millions?|milliards?|mil|millones"
    r"|milioni|miliardi|milhões|bilhões|миллион(?:ов|а)?|миллиард(?:ов|а)?|miljoen|miljard|miljoner|miljarder"
    r"|millioner|tysi[ąę]c[ey]?|tysiąc|milion(?:ów|y|a)?|miliard(?:ów|y|a)?|тысяч[аи]?|triệu|tỷ|milyon|milyar|juta"
)

PER = (
    rf"(?:\s?/\s?(?P<per>{any_of(unit for unit in UNITS if unit[0].isalpha())}"
    r"|[^\W\d_\u00b2\u00b3]{2,}|[\u4e00-\u9fff]{1,2})(?![\w\u00b2\u00b3]))?"
)
"""What a price or a quantity refers to: ``/kg``, ``/month``."""


class Quantity(Kind):
    """Amounts of money or of anything else, and what they refer to."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        self.scales = dict(entry.split("=") for entry in _SCALES.get(language.name, "").split())
        self.aliases = ALIASES.get(language.name, {})
        self.local = LOCAL_CURRENCIES.get(language.name, {})

    def per(self, match: re.Match[str]) -> str:
        """Return what a price or a number refers to."""
        unit = match["per"]
        if not unit:
            return ""
        name = self.language.unit_name(unit) if unit in UNITS else unit
        return self.language.join("", self.words.per, name) if not self.language.space else f" {self.words.per} {name}"
