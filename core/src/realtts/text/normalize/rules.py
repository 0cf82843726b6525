"""The rules of a language, kind after kind: what an earlier one has put into words, a later one does not see."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.text.normalize.addresses import Addresses, Phones, Versions
from realtts.text.normalize.amounts import Amounts
from realtts.text.normalize.bare import Bare
from realtts.text.normalize.calendar import Calendar
from realtts.text.normalize.counting import Counting
from realtts.text.normalize.figures import Fractions, Numbers, Ranges
from realtts.text.normalize.money import Money
from realtts.text.normalize.ordinals import Ordinals
from realtts.text.normalize.short_forms import ShortForms
from realtts.text.normalize.signs import Romans, Signs
from realtts.text.normalize.times import Times
from realtts.text.normalize.weekdays import Weekdays

if TYPE_CHECKING:
    from realtts.text.normalize.kind import Rule
    from realtts.text.normalize.language import Language

__all__ = ["rules_for"]

_KINDS = (
    Weekdays, ShortForms, Addresses, Calendar, Times, Phones, Versions, Money, Amounts, Bare, Counting, Fractions,
    Ordinals, Romans, Ranges, Signs, Numbers,
)  # fmt: skip
"""In their order: a date has points as a version has, a price has a fraction's slash, and a number is part of all."""


_UNSPACED = frozenset({"ja", "ko", "zh"})
_MINUS = "(?<![\\w.,)%°/"
_COUNTING = "零〇一二三四五六七八九十百千万億亿年月日号號分秒点點時时度가-힣"
"""Behind these a hyphen is no minus: they are what another rule has made of a number, or stand behind one."""


@functools.lru_cache(32)
def rules_for(language: Language) -> tuple[Rule, ...]:
    """Return the rules of a language, in the order in which they are applied."""
    rules = (rule for kind in _KINDS for rule in kind(language).rules())
    return tuple(map(_unspaced, rules) if language.name in _UNSPACED else rules)


def _unspaced(rule: Rule) -> Rule:
    """Return a rule of a language whose words stand beside numbers without a space.

    Its own letters are no letters to the pattern, so that only Latin ones hold a number or a sign fast.
    """
    pattern = rule.pattern.pattern.replace(_MINUS, f"{_MINUS}{_COUNTING}")
    return replace(rule, pattern=re.compile(pattern, rule.pattern.flags & ~re.UNICODE | re.ASCII))
