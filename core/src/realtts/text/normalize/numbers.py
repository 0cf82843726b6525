"""Whole numbers, decimals, ordinals and years as words, spelled by unicode-rbnf."""

from __future__ import annotations

import functools
import importlib
import re
from decimal import Decimal
from typing import Any

from realtts.errors import MissingExtra
from realtts.text.normalize.polish import polish_ordinal
from realtts.text.normalize.words import WORDS

__all__ = ["Figures", "library", "tidy"]

_UNSPACED = frozenset({"ja", "zh"})
"""Languages that are written without spaces between words."""

_POINTED = frozenset({"en", "ja", "zh", "ko", "he", "hi", "ms", "sw", "ar"})
"""Languages that write a point before decimals; all others a comma."""

_DIGITS_OF: dict[str, tuple[str, ...]] = {"zh": tuple("零一二三四五六七八九"), "ja": ("ゼロ", *"一二三四五六七八九")}


def library(name: str) -> Any:
    """Import a library of the extra.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"{name.partition('.')[0]} is not installed", who='normalize="auto"',
            fix='pip install "realtts[normalize]", or give normalize="off"',
        ) from error  # fmt: skip


class Figures:
    """The numbers of one language.

    Args:
        name: ISO 639 code, a key of `WORDS`.
        region: ISO 3166 code; empty: not known.

    Attributes:
        name: As given.
        region: As given.
        words: Of its signs.
        space: Between words: a space or nothing.
    """

    def __init__(self, name: str, region: str = "") -> None:
        self.name, self.region, self.words = name, region, WORDS[name]
        self.space = "" if name in _UNSPACED else " "
        rbnf = library("unicode_rbnf")
        self._engine, self._purpose = rbnf.RbnfEngine.for_language(name), rbnf.FormatPurpose

    @functools.lru_cache(4096)  # noqa: B019 - languages live for ever
    def cardinal(self, number: int, gender: str = "") -> str:
        """Return a whole number in words.

        Args:
            number: Up to 15 digits; longer ones are spelled digit by digit.
            gender: ``"masculine"``, ``"feminine"`` or ``"neuter"``, of what is counted; empty: of a bare number.
        """
        if number < 0:
            return self.join(self.words.minus, self.cardinal(-number, gender))
        if len(str(number)) > 15:
            return self.digits(str(number))
        if not number and self.name in _DIGITS_OF:
            return _DIGITS_OF[self.name][0]
        forms = self._engine.format_number(number).text_by_ruleset
        chosen = forms.get(f"spellout-cardinal-{gender}") if gender else None
        if gender == "masculine" and self.name == "he":
            chosen = forms.get("spellout-cardinal-masculine")
        return tidy(chosen or forms.get("spellout-numbering") or next(iter(forms.values())))

    def ordinal(self, number: int, form: str = "masculine") -> str:
        """Return an ordinal number in words; the cardinal one where the language data has no ordinals.

        Args:
            number: As written.
            form: Gender or case, as the rule sets of CLDR are called: ``"feminine"``, ``"n"`` (German ``-n``).
        """
        if self.name == "pl":
            hundreds, rest = divmod(number, 100)
            if last := polish_ordinal(rest, form):
                return self.join(self.cardinal(100 * hundreds) if hundreds else "", last)
        try:
            forms = self._engine.format_number(number, self._purpose.ORDINAL).text_by_ruleset
        except (ValueError, KeyError):
            return self.cardinal(number)
        for name in (f"spellout-ordinal-{form}", "spellout-ordinal-masculine", "spellout-ordinal", *forms):
            if name in forms:
                return tidy(forms[name])
        return self.cardinal(number)

    @functools.lru_cache(512)  # noqa: B019 - languages live for ever
    def year(self, number: int) -> str:
        """Return a year in words."""
        if self.name in {"en", "de", "nl", "sv", "da", "no"} and 1100 <= number <= 2099:
            if 2000 <= number <= 2009 or (self.name != "en" and number >= 2000):
                return self.cardinal(number)
            return tidy(str(self._engine.format_number(number, self._purpose.YEAR).text))
        if self.name == "zh":
            return self.digits(str(number)).replace("零", "〇")
        if self.name == "ru":
            return tidy(str(self._engine.format_number(number, self._purpose.YEAR).text))
        return self.cardinal(number)

    def digits(self, text: str) -> str:
        """Return digits one by one; other characters are left out."""
        spelled = _DIGITS_OF.get(self.name)
        words = [spelled[int(d)] if spelled else self.cardinal(int(d)) for d in text if d.isdigit()]
        return (self.space or "").join(words)

    def number(self, text: str, gender: str = "") -> str:
        """Return a number as people write it, with groups, decimals and a sign, in words."""
        sign, whole, decimals = self.parts(text)
        gender = "" if decimals else gender
        said = self.cardinal(int(whole), gender) if not _is_code(whole) else self.digits(whole)
        if decimals:
            said = self.join(said, self.words.point, self.digits(decimals))
        return self.join(self.words.minus, said) if sign else said

    def parts(self, text: str) -> tuple[bool, str, str]:
        """Return a number's parts: whether it is negative, its whole digits, its decimals (perhaps none)."""
        text = text.strip()
        negative = text[:1] in "-\u2212" and bool(text)
        text = re.sub(r"[^\d.,]", "", text)
        own, other = (".", ",") if self.name in _POINTED else (",", ".")
        if other in text and own in text:
            last = max(text.rfind("."), text.rfind(","))
            return negative, re.sub(r"\D", "", text[:last]) or "0", text[last + 1 :]
        for sign in (own, other):
            if text.count(sign) == 1:
                whole, decimals = text.split(sign)
                if sign == other and len(decimals) == 3 and whole not in {"", "0"}:
                    return negative, whole + decimals, ""
                return negative, whole or "0", decimals
        return negative, re.sub(r"\D", "", text) or "0", ""

    def value(self, text: str) -> Decimal:
        """Return the value of a number as people write it."""
        negative, whole, decimals = self.parts(text)
        value = Decimal(f"{whole}.{decimals}" if decimals else whole)  # one of 1.0 would be in the plural
        return -value if negative else value

    def join(self, *words: str) -> str:
        """Return words put together as the language writes them; empty ones are left out."""
        return self.space.join(word.strip() for word in words if word and word.strip())


def tidy(text: str) -> str:
    """Return a text of the locale data with plain spaces and without marks for typesetting."""
    return re.sub(
        r"[ \u00a0\u202f]+", " ", text.replace("\u00ad", "").replace("\u200f", "").replace("\u200e", "")
    ).strip()


def _is_code(whole: str) -> bool:
    """Tell whether digits are no quantity: they begin with a zero, or there are too many."""
    return len(whole) > 15 or (len(whole) > 1 and whole[0] == "0")
