"""Units without a number, as in ``per m²`` and ``in °C``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.text.normalize.kind import Kind, Rule, any_of, rule
from realtts.text.normalize.symbols import ALIASES

if TYPE_CHECKING:
    import re

    from realtts.text.normalize.language import Language

__all__ = ["Bare"]

_UNITS = ("m²", "km²", "cm²", "ft²", "m³", "cm³", "km³", "km/h", "m/s", "m/s²", "°C", "°F", "℃", "℉")
_PERCENT = {"zh": "百分比", "ja": "パーセント", "ko": "퍼센트", "ar": "بالمئة"}
_INSIDE = {("ru", "в "): "процентах", ("pl", "w "): "procentach"}


class Bare(Kind):
    """Units and percent signs that no number stands before."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        percent = language.unit_name("%")
        self._percent = _PERCENT.get(language.name, percent)
        self._aliases = {sign: unit for sign, unit in ALIASES.get(language.name, {}).items() if unit in _UNITS}

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        return [
            rule(rf"(?<![\w°])({any_of({*_UNITS, *self._aliases})})(?![\w²³])", self.unit, "²³/°℃℉"),
            rule(r"(?<![\w%])%(?![\w%])", self.percent, "%"),
        ]

    def unit(self, match: re.Match[str]) -> str:
        """Return the name of a unit."""
        return self.apart(match, self.language.unit_name(self._aliases.get(match[1], match[1])))

    def percent(self, match: re.Match[str]) -> str:
        """Return the name of the percent sign."""
        inside = match.string[max(0, match.start() - 3) : match.start()].lower().lstrip()
        return self.apart(match, _INSIDE.get((self.language.name, inside), self._percent))
