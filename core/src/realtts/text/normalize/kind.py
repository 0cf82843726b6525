"""What the kinds of things that are put into words have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.text.words import following, starts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from realtts.text.normalize.language import Language

__all__ = ["DIGITS", "NUMBER", "SIGN", "START", "TO", "Kind", "Rule", "any_of", "fixed", "is_year", "rule"]

DIGITS = "0123456789"

NUMBER = r"(?:\d{1,3}(?:[ \u00a0\u202f\u2009'’]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)"
"""A number as it is written: groups, decimals."""

START = r"(?<![\w.,])"
"""Before a number; what begins inside one is none, and to try it there would cost the square of its length."""

SIGN = r"(?:(?<![\w.,)%°/-])[-\u2212]|(?<![^\s(])\u2013(?=\d))?"
"""A minus that belongs to the number behind it; after a word or a number it is a dash."""

TO = r"(?:\s?[-\u2010-\u2013]\s?|\s?[~\u301c\uff5e]\s?)"
"""Between the ends of a range."""


_ATTACHED = re.compile(
    r"(?:을|를|은|는|이|가|의|에|로|으로|와|과|도|부터|까지|씩|쯤|에서|보다|마다|입니다|이다|였다|예요|이에요)(?![가-힣])|[만억조천백]"
)
"""Particles, which Korean writes at the word that they belong to, and scales of numbers."""


@dataclass(frozen=True)
class Rule:
    """One kind of thing that is put into words.

    Attributes:
        pattern: How it is written.
        said: Its words; None: it is left as it is.
        needs: Characters of which a text has one, or the pattern is not tried in it; none: it always is.
    """

    pattern: re.Pattern[str]
    said: Callable[[re.Match[str]], str | None]
    needs: frozenset[str] = frozenset()


class Kind:
    """Rules of one kind in one language; derived classes say them in methods.

    Args:
        language: Whose words.
    """

    def __init__(self, language: Language) -> None:
        self.language, self.words = language, language.words

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        raise NotImplementedError

    def is_(self, *names: str) -> bool:
        """Tell whether this is one of some languages."""
        return self.language.name in names

    def spoken(self, text: str) -> str:
        """Return a number with a dash for a minus as one with a minus, in words."""
        return self.language.number(text.replace("\u2013", "-"))

    def apart(self, match: re.Match[str], words: str) -> str:
        """Return words with a space on each side where a letter stands."""
        if not self.language.space:
            return words
        text = match.string
        before = " " if match.start() and text[match.start() - 1].isalnum() else ""
        attached = self.is_("ko") and _ATTACHED.match(text, match.end())
        after = " " if text[match.end() : match.end() + 1].isalnum() and not attached else ""
        return f"{before}{words}{after}"

    def starts_sentence(self, text: str, at: int) -> bool:
        """Tell whether what follows a full stop begins a sentence, by its first word.

        Args:
            text: In which it stands.
            at: Behind the full stop.
        """
        return starts(self.language.name, following(text, at, len(text)))


def rule(pattern: str, said: Callable[[re.Match[str]], str | None], needs: str = DIGITS) -> Rule:
    """Return a rule; all but a few need a digit."""
    return Rule(re.compile(pattern), said, frozenset(needs))


def fixed(pattern: str, words: str, needs: str = DIGITS) -> Rule:
    """Return a rule that always says the same, apart from its neighbours."""
    return Rule(re.compile(pattern), lambda match: f" {words} ", frozenset(needs))  # noqa: ARG005 - of a rule


def is_year(text: str) -> bool:
    """Tell whether a number may be a year: four digits from 1100 to 2099."""
    return len(text) == 4 and text.isdigit() and 1100 <= int(text) <= 2099


def any_of(names: Iterable[str]) -> str:
    """Return a pattern of any of some names, the longest first."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)"
