"""The rules of a language, kind after kind: what an earlier one has put into words, a later one does not see."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from realtts.text.normalize.addresses import Addresses, Phones, Versions
from realtts.text.normalize.amounts import Amounts
from realtts.text.normalize.calendar import Calendar
from realtts.text.normalize.counting import Counting
from realtts.text.normalize.figures import Fractions, Numbers, Ranges
from realtts.text.normalize.ordinals import Ordinals
from realtts.text.normalize.signs import Abbreviations, Romans, Signs

if TYPE_CHECKING:
    from realtts.text.normalize.kind import Rule
    from realtts.text.normalize.language import Language

__all__ = ["rules_for"]

_KINDS = (
    Abbreviations, Addresses, Calendar, Phones, Versions, Amounts, Counting, Fractions, Ordinals, Romans, Ranges, Signs,
    Numbers,
)  # fmt: skip
"""In their order: a date has points as a version has, a price has a fraction's slash, and a number is part of all."""


@functools.lru_cache(32)
def rules_for(language: Language) -> tuple[Rule, ...]:
    """Return the rules of a language, in the order in which they are applied."""
    return tuple(rule for kind in _KINDS for rule in kind(language).rules())
