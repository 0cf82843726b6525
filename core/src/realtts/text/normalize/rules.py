"""What stands for words in a text (numbers, dates, amounts, signs, addresses) and how it is said, kind by kind.

Kinds are looked for in order: what an earlier one has put into words, a later one does not see.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.text.normalize import roman
from realtts.text.normalize.abbreviations import abbreviations
from realtts.text.normalize.clock import clock
from realtts.text.normalize.symbols import ALIASES, ANY_CASE, CODES, CURRENCIES, UNITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.text.normalize.language import Language

__all__ = ["Rule", "rules_for"]

_N = r"(?:\d{1,3}(?:[ \u00a0\u202f\u2009'’]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)"
"""A number as it is written: groups, decimals."""

_SIGN = r"(?:(?<![\w.,)%°/-])[-\u2212]|(?<![^\s(])\u2013(?=\d))?"
"""A minus that belongs to the number behind it; after a word or a number it is a dash."""

_TO = r"\s?[-\u2010-\u2013]\s?|\s?[~\u301c\uff5e]\s?"
_PER = rf"(?:\s?/\s?(?P<per>{'|'.join(re.escape(u) for u in sorted(UNITS, key=len, reverse=True) if u[0].isalpha())}" \
    r"|[^\W\d_\u00b2\u00b3]{2,})(?![\w\u00b2\u00b3]))?"
"""What a price or a quantity refers to: ``/kg``, ``/month``."""

_VULGAR = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5),
           "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅐": (1, 7),
           "⅑": (1, 9), "⅒": (1, 10)}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺₀₁₂₃₄₅₆₇₈₉", "0123456789-+0123456789")
_SCALES = {
    "en": "k=thousand K=thousand M=million mn=million m=million bn=billion B=billion T=trillion",
    "de": "Mio.=Millionen Mio=Millionen Mrd.=Milliarden Mrd=Milliarden Tsd.=tausend",
    "fr": "k=mille M=millions Md=milliards Mds=milliards",
    "es": "k=mil M=millones", "it": "k=mila M=milioni", "pt": "k=mil M=milhões", "ru": "тыс.=тысяч млн=миллионов"
    " млрд=миллиардов", "pl": "tys.=tysięcy mln=milionów mld=miliardów", "nl": "k=duizend M=miljoen",
    "sv": "k=tusen M=miljoner mkr=miljoner", "ja": "万=万 億=億 兆=兆", "zh": "万=万 亿=亿", "ko": "만=만 억=억 조=조",
}  # fmt: skip
_SCALE_WORDS = r"thousand|million|billion|trillion|Millionen|Milliarden|millions?|milliards?|mil|millones|milioni" \
    r"|miliardi|milhões|bilhões|миллион(?:ов|а)?|миллиард(?:ов|а)?|miljoen|miljard|miljoner|miljarder|millioner"


@dataclass(frozen=True)
class Rule:
    """One kind of thing that is put into words.

    Attributes:
        kind: What it is.
        pattern: How it is written.
        said: Its words; None: it is left as it is.
    """

    kind: str
    pattern: re.Pattern[str]
    said: Callable[[re.Match[str]], str | None]


@functools.lru_cache(32)
def rules_for(language: Language) -> tuple[Rule, ...]:
    """Return the rules of a language, in the order in which they are applied."""
    return _Rules(language).all()


def _any(names: object) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))  # type: ignore[call-overload]


class _Rules:
    """The rules of one language."""

    def __init__(self, language: Language) -> None:
        self.language, self.words = language, language.words
        self.units_ = _any({**UNITS, **ALIASES.get(language.name, {})})
        self.scales = dict(entry.split("=") for entry in _SCALES.get(language.name, "").split())

    def all(self) -> tuple[Rule, ...]:
        """Return them in order."""
        short = abbreviations(self.language.name)
        rules = [
            ("address", r"(?:https?://|ftp://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]]", self.address),
            ("e-mail", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", self.address),
            ("domain", r"(?<![\w@.])(?:[a-z0-9-]+\.)+(?:com|org|net|io|edu|gov|info|dev|de|fr|es|it|nl|pl|ru|jp|cn|kr"
             r"|uk|br|eu)(?:/[^\s<>\"']*[^\s<>\"'.,;:!?)\]])?(?!\w)", self.address),
            ("abbreviation", short[0].pattern, self.abbreviation) if short else None,
            ("phone", r"(?<![\w.,/-])(?:\+\d{1,3}[ .-]?)(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,5}(?![\w/])"
             r"|(?<![\w.,/-])\(\d{2,5}\)\s?\d{3,4}(?:[ .-]\d{2,4}){0,4}(?![\w/])"
             r"|(?<![\w.,/-])\d{3}[-.]\d{3}[-.]\d{4}(?![\w/-])"
             r"|(?<![\w.,/-])0\d{1,4}(?:[ /-]\d{2,8}){1,5}(?![\w/-])|(?<![\w.,/-])1\d\d[ -]?\d{4}[ -]?\d{4}(?![\w/-])|(?<![\w.,/-])\d{3}-\d{4}(?![\w/-])", self.phone),
            ("range", r"(?:(?<=\d[./]\d{4})|(?<=:\d\d))\s?[-\u2010-\u2013]\s?(?=\d{1,2}[.:/]\d)",
             lambda m: f" {self.words.to} "),
            ("date", r"(?<![\d./-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\d-])(?:T(?=\d))?", self.iso_date),
            ("date", r"(?<![\d./-])(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/-])", self.date),
            ("date", r"(\d{4})年(\d{1,2})月(\d{1,2})日", self.cjk_date),
            ("year", r"(\d{4})(?=年)", self.year) if self.is_("zh") else None,
            ("decade", r"(?<![\w.,])(?:['’](\d0)|((?:1[0-9]|20)\d0))s(?!\w)", self.decade) if self.is_("en") else None,
            ("feet", r"(?<![\w.,])(\d{1,3})['’′]\s?(\d{1,2})[\"”″]", self.feet) if self.is_("en") else None,
            ("version", r"(?<![\w.,])([vV])?(\d+(?:\.\d+){2,})(?![\w.]*@)(?!\w)", self.version),
            ("version", r"(?<!\w)([vV])\.?\s?(\d+(?:\.\d+)?)(?!\w)", self.version),
            ("time", r"(?<![\d:.,])(\d{1,2})[:.](\d\d)(?=\s(?:Uhr|uur)\b)(?:\s(?:Uhr|uur))", self.time)
             if self.is_("de", "nl") else None,
            ("time", r"(?<![\d:.,])(\d{1,2}):(\d\d)(?::(\d\d))?(?![\d:])(?:\s?([aApP])\.?\s?[mM]\b\.?)?", self.time),
            ("time", r"(?<![\d:.,])(\d{1,2})\s?([aApP])\.?\s?[mM]\b\.?(?!\w)", self.hour) if self.is_("en") else None,
            ("time", r"(?<![\d:.,])(\d{1,2})\s?[hH]\s?(\d\d)(?!\w)", self.time_h) if self.is_("fr", "pt") else None,
            ("money", rf"({_SIGN})({_any(CURRENCIES)})\s?([-\u2212]?{_N})(?:\s?({_any(self.scales)}|{_SCALE_WORDS})"
             rf"(?![\w]))?{_PER}", self.money_before),
            ("money", rf"({_SIGN}{_N})\s?(?:({_any(self.scales)}|{_SCALE_WORDS})\s)?({_any(CURRENCIES)})(?!\w){_PER}",
             self.money_behind),
            ("money", rf"(?<!\w)({'|'.join(CODES)})\s?({_SIGN}{_N})(?!\w)", self.code_before),
            ("money", rf"({_SIGN}{_N})\s?(?:({_any(self.scales)}|{_SCALE_WORDS})\s)?({'|'.join(CODES)})(?!\w){_PER}",
             self.money_behind),
            ("range", rf"(?<![\w.,/]){_SIGN}({_N})({_TO})({_N})\s?({self.units_})(?![\w²³/])", self.unit_range),
            ("unit", rf"(?<![^\W\d_])({_SIGN}{_N})\s?({self.units_})(?![\w²³]){_PER}", self.unit),
            ("unit", rf"(?<![^\W\d_])({_SIGN}{_N})\s?((?i:{_any(ANY_CASE)}))(?![\w²³])", self.loose_unit),
            ("fraction", rf"(?:(\d+)[ ]?)?([{''.join(_VULGAR)}])", self.vulgar),
            ("fraction", r"(?<![\w.,/])(?:(\d+)[ ])?(\d{1,2})[/\u2044](\d{1,3})(?![\w/]|[.,]\d)", self.fraction),
            ("power", rf"({_N})\s?(?:\^\s?|\*\*)\{{?([-\u2212+]?\d+)\}}?", self.power),
            ("power", rf"(?<=[\w)])([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", self.raised),
            ("power", rf"(?<![\w.,])({_N})[eE]([-+]?\d+)(?!\w)", self.scientific),
            ("index", r"[₀-₉]+", lambda m: f" {self.language.cardinal(int(m[0].translate(_RAISED)))} "),
            *self.ordinals(),
            ("roman", roman.PATTERN, self.roman),
            ("ratio", rf"(?<![\w.,:])(\d{{1,5}})\s?:\s?(\d{{1,5}})(?![\w:])", self.ratio),
            ("range", rf"(?<![\w.,/-])({_N})(?:{_TO})({_N})(?![\w/-])", self.range),
            ("section", r"§§?\s?", lambda m: f" {self.words.section} "),
            ("number", r"(?:№|#)\s?(?=\d)", lambda m: f" {self.words.number} "),
            ("number", r"(?<![\w.,+*/=×÷<>-])\+(?=\d)", lambda m: f" {self.words.plus} "),
            ("year", r"(?<![\w.,/:$-])(1[1-9]\d\d|20\d\d)(?![\w/:]|[.,]\d)", self.year) if self.is_(
                "en", "de", "nl", "sv", "da", "no") else None,
            ("sign", r"(?<=[\w)\]])\s?([+=×÷*<>≈±≤≥≠\u2212]|(?<=\d)\s-\s(?=\d))\s?(?=[\w(\[.,+-])", self.sign),
            ("sign", r"[+=×÷<>≈±≤≥≠∞√~](?=\s?\d)|∞", self.sign_before),
            ("sign", r"\s?(?:&amp;|&)\s?", lambda m: f" {self.language.and_word} "),
            ("sign", r"(?<=\w)@(?=\w)|@(?=\w)", lambda m: f" {self.words.at} "),
            ("sign", r"(?<=\d)\s?[xX]\s?(?=\d)", lambda m: f" {'by' if self.is_('en') else self.words.multiplied} "),
            ("number", r"(?<![\w.,])\.(\d+)", lambda m: self.language.join(self.words.point, self.language.digits(m[1]))),
            ("number", rf"({_SIGN}{_N})", self.number),
            ("number", r"(?<=\d)[A-Za-z]|\d+", self.rest),
        ]
        return tuple(
            Rule(kind, re.compile(pattern), said) for kind, pattern, said in (rule for rule in rules if rule)
        )

    def is_(self, *names: str) -> bool:
        """Tell whether this is one of some languages."""
        return self.language.name in names

    # -- numbers -----------------------------------------------------------------------------------------------------

    def number(self, match: re.Match[str]) -> str:
        """Return a number in words, apart from letters beside it."""
        text = match[0]
        if text.lstrip("-\u2212\u2013").count(".") > 1 and not re.fullmatch(r"\D?\d{1,3}(?:\.\d{3})+(?:,\d+)?", text):
            return self.apart(match, self.version_words(text))
        if re.search(r",.*\.,|\.,|,,", text):
            return self.apart(match, self.language.digits(text))
        return self.apart(match, self.language.number(text.replace("\u2013", "-")))

    def rest(self, match: re.Match[str]) -> str | None:
        """Return digits that nothing else has read."""
        return None if match[0].isalpha() else self.apart(match, self.language.digits(match[0]))

    def apart(self, match: re.Match[str], words: str) -> str:
        """Return words with a space on each side where a letter stands."""
        if not self.language.space:
            return words
        text = match.string
        before = " " if match.start() and text[match.start() - 1].isalnum() else ""
        after = " " if match.end() < len(text) and text[match.end()].isalnum() else ""
        return f"{before}{words}{after}"

    def year(self, match: re.Match[str]) -> str:
        """Return a year in words."""
        return self.language.year(int(match[1]))

    def decade(self, match: re.Match[str]) -> str:
        """Return a decade, in English."""
        said = self.language.cardinal(int(match[1])) if match[1] else self.language.year(int(match[2]))
        return f"{said.removesuffix('y')}ies" if said.endswith("y") else f"{said}s"

    def ordinals(self) -> list[tuple[str, str, Callable[[re.Match[str]], str | None]]]:
        """Return the rules for ordinal numbers, which every language writes in its own way."""
        say = self.language.ordinal
        months = _any(self.language.months) or "(?!)"
        plain = lambda match: say(int(match[1]))  # noqa: E731 - of several languages
        day = lambda match: self.language.day(int(match[1]), "neuter-genitive" if self.is_("ru") else "n"  # noqa: E731
                                              if self.is_("de") and re.search(
            r"(?:am|vom|zum|bis|dem|den|der|im|ab|seit)\s$", match.string[: match.start()], re.IGNORECASE) else "")
        found: dict[str, list[tuple[str, Callable[[re.Match[str]], str | None]]]] = {
            "en": [(r"(?<![\w.,])(\d+)(?:st|nd|rd|th)(?!\w)", plain),
                   (rf"(?i:(?<=\b))(?i:({months})\.?)\s(\d{{1,2}})(?![\w:]|[.,]\d)",
                    lambda m: f"{m[1]} {say(int(m[2]))}"),
                   (rf"(?<![\w.,])(\d{{1,2}})(?=\s(?:of\s)?(?i:{months})(?!\w))", plain)],
            "fr": [(r"(?<![\w.,])(\d+)(?:er|e|ème|ème|nd)(?!\w)", plain),
                   (r"(?<![\w.,])(\d+)(?:re|ère|nde)(?!\w)", lambda m: say(int(m[1]), "feminine"))],
            "es": [(r"(?<![\w.,])(\d+)\.?[ºo°](?!\w)", plain),
                   (r"(?<![\w.,])(\d+)\.?ª(?!\w)", lambda m: say(int(m[1]), "feminine"))],
            "nl": [(r"(?<![\w.,])(\d+)(?:e|de|ste)(?!\w)", plain)],
            "sv": [(r"(?<![\w.,])(\d+):[ae](?!\w)", plain), (rf"(?<![\w.,])(\d{{1,2}})(?=\s(?i:{months})(?!\w))", day)],
            "ru": [(r"(?<![\w.,])(\d+)-(?:й|ый|ий|ой)(?!\w)", plain),
                   (r"(?<![\w.,])(\d+)-(?:я|ая)(?!\w)", lambda m: say(int(m[1]), "feminine")),
                   (r"(?<![\w.,])(\d+)-(?:е|ое)(?!\w)", lambda m: say(int(m[1]), "neuter")),
                   (r"(?<![\w.,])(\d+)-(?:го|ого)(?!\w)", lambda m: say(int(m[1]), "masculine-genitive")),
                   (r"(?<![\w.,])(\d{4})(?=\sгод(?:а|у)?(?!\w))", lambda m: say(
                       int(m[1]), "masculine-genitive" if m.string[m.end():].startswith(" года") else
                       "masculine-locative" if m.string[m.end():].startswith(" году") else "masculine")),
                   (rf"(?<![\w.,])(\d{{1,2}})(?=\s(?i:{months})(?!\w))", day)],
            "de": [(rf"(?<![\w.,])(\d{{1,2}})\.(?=\s?(?i:{months})(?!\w))", day),
                   (r"(?i:\b(am|vom|zum|beim|im|den|dem|des))\s(\d{1,3})\.(?=\s[^\W\d])",
                    lambda m: f"{m[1]} {say(int(m[2]), 'n')}"),
                   (r"(?i:\b(der|die|das|jede|jeder))\s(\d{1,3})\.(?=\s[^\W\d])", lambda m: f"{m[1]} {say(int(m[2]))}")],
            "tr": [(r"(?<![\w.,])(\d{1,3})\.(?=\s[^\W\d])", plain), (r"(?<![\w.,])(\d+)['’](?:inci|ıncı|üncü|uncu)(?!\w)",
                    plain)],
            "ja": [(r"第(\d+)", plain)], "zh": [(r"第(\d+)", plain)],
        }  # fmt: skip
        found["it"] = found["pt"] = found["es"]
        found["da"] = found["no"] = found["fi"] = [
            (rf"(?<![\w.,])(\d{{1,2}})\.(?=\s(?i:{months})(?!\w))", day),
            (r"(?i:\b(den|det|de))\s(\d{1,3})\.(?=\s[^\W\d])", lambda m: f"{m[1]} {say(int(m[2]))}"),
        ]
        return [("ordinal", pattern, said) for pattern, said in found.get(self.language.name, [])]

    def vulgar(self, match: re.Match[str]) -> str:
        """Return a fraction that is one character, perhaps behind a whole number."""
        return self.apart(match, self.fraction_words(match[1], *_VULGAR[match[2]]))

    def feet(self, match: re.Match[str]) -> str:
        """Return feet and inches."""
        return f"{self.language.unit(match[1], '′')} {self.language.unit(match[2], '″')}"

    def fraction(self, match: re.Match[str]) -> str:
        """Return a fraction."""
        return self.fraction_words(match[1], int(match[2]), int(match[3]))

    def fraction_words(self, whole: str | None, upper: int, lower: int) -> str:
        """Return a fraction in words."""
        say, words = self.language.cardinal, self.words
        if self.is_("zh", "ja", "ko"):
            part = self.language.join(say(lower), words.over, say(upper))
            between = {"zh": "又", "ja": "と"}.get(self.language.name, "")
            return self.language.join(say(int(whole)), between, part) if whole else part
        if (upper, lower) in {(1, 2), (1, 4)}:
            part = words.half if lower == 2 else words.quarter
            if whole and self.is_("en"):
                part = part.replace("one ", "a ")
        elif self.is_("en") and 1 < lower <= 100:
            name = {2: "half", 4: "quarter"}.get(lower) or self.language.ordinal(lower)
            part = f"{say(upper)} {name}" + ("" if upper == 1 else "s" if name != "half" else "")
        else:
            part = self.language.join(say(upper), words.over, say(lower))
        return self.language.join(say(int(whole)), self.language.and_word, part) if whole else part

    def power(self, match: re.Match[str]) -> str:
        """Return a number and its exponent."""
        return self.power_words(self.language.number(match[1]), match[2])

    def raised(self, match: re.Match[str]) -> str:
        """Return a raised exponent behind a letter or number."""
        return f" {self.power_words('', match[1].translate(_RAISED))}"

    def power_words(self, base: str, exponent: str) -> str:
        """Return base and exponent in words."""
        if self.is_("en") and exponent in {"2", "3"}:
            return self.language.join(base, "squared" if exponent == "2" else "cubed")
        said = self.language.number(exponent.replace("+", ""))
        if self.is_("zh", "ja", "ko"):
            return self.language.join(base, {"zh": "的", "ja": "の", "ko": "의"}[self.language.name], said,
                                      {"zh": "次方", "ja": "乗", "ko": "제곱"}[self.language.name])  # fmt: skip
        return self.language.join(base, self.words.power, said)

    def scientific(self, match: re.Match[str]) -> str:
        """Return a number with a power of ten."""
        ten = self.power_words(self.language.cardinal(10), match[2])
        return self.language.join(self.language.number(match[1]), self.words.multiplied, ten)

    def roman(self, match: re.Match[str]) -> str | None:
        """Return a Roman number behind a name, a century or a part of a book."""
        return roman.words(match, self.language)

    # -- dates and times ---------------------------------------------------------------------------------------------

    def iso_date(self, match: re.Match[str]) -> str | None:
        """Return a date that begins with the year."""
        return self.date_words(match, int(match[1]), int(match[3]), int(match[4]))

    def cjk_date(self, match: re.Match[str]) -> str | None:
        """Return a date with the signs for year, month and day."""
        return self.date_words(match, int(match[1]), int(match[2]), int(match[3]))

    def date(self, match: re.Match[str]) -> str | None:
        """Return a date that begins with the day, or with the month in the United States."""
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if len(match[4]) == 2:
            year += 2000 if year < 70 else 1900
        american = self.is_("en") and self.language.region in {"", "US", "PH"} and match[2] != "."
        if (american and first <= 12) or second > 12:
            first, second = second, first
        return self.date_words(match, year, second, first)

    def date_words(self, match: re.Match[str], year: int, month: int, day: int) -> str | None:
        """Return a date in words; None if there is no such day."""
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        before = match.string[: match.start()]
        form = "n" if self.is_("de") and re.search(r"(?i)\b(?:am|vom|zum|bis|dem|den|ab|seit)\s$", before) else ""
        end = " " if match[0].endswith("T") else ""
        return self.language.date(year, month, day, form) + end

    def time(self, match: re.Match[str]) -> str | None:
        """Return a time of day."""
        groups = (*match.groups(), None, None)
        hours, minutes, seconds = int(match[1]), int(match[2]), groups[2]
        if hours > 24 or minutes > 59:
            return None
        said = clock(self.language, hours, minutes, int(seconds) if seconds else None, half=bool(groups[3]))
        return f"{said} {groups[3].lower()} m" if groups[3] else said

    def time_h(self, match: re.Match[str]) -> str | None:
        """Return a time such as ``14h30``."""
        return clock(self.language, int(match[1]), int(match[2]), None) if int(match[1]) <= 24 else None

    def hour(self, match: re.Match[str]) -> str:
        """Return an hour such as ``3 pm``."""
        return f"{self.language.cardinal(int(match[1]))} {match[2].lower()} m"

    # -- amounts -----------------------------------------------------------------------------------------------------

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
        if match[2] in {"K", "A", "B", "N", "J"} and match[0][len(match[1])] != " ":
            return None  # 4K, 1A and 2B are names
        symbol = ALIASES.get(self.language.name, {}).get(match[2], match[2])
        return self.apart(match, self.language.unit(match[1].replace("\u2013", "-"), symbol)) + self.per(match)

    def loose_unit(self, match: re.Match[str]) -> str | None:
        """Return a number and a unit in other letters than usual."""
        names = {name.lower(): name for name in UNITS if name.lower() in ANY_CASE}
        return self.apart(match, self.language.unit(match[1].replace("\u2013", "-"), names[match[2].lower()]))

    def unit_range(self, match: re.Match[str]) -> str:
        """Return a range whose unit stands behind both."""
        low = self.language.number(match[1])
        symbol = ALIASES.get(self.language.name, {}).get(match[4], match[4])
        return self.language.join(low, self.words.to, self.language.unit(match[3], symbol))

    def range(self, match: re.Match[str]) -> str:
        """Return a range of numbers, or of years."""
        ends = [self.maybe_year(match[1]), self.maybe_year(match[2])]
        return self.language.join(ends[0], self.words.to, ends[1])

    def maybe_year(self, text: str) -> str:
        """Return a number, as a year if it looks like one."""
        is_year = len(text) == 4 and text.isdigit() and 1100 <= int(text) <= 2099 and not self.is_("ru", "zh")
        return self.language.year(int(text)) if is_year else self.language.number(text)

    def ratio(self, match: re.Match[str]) -> str:
        """Return a score or a ratio."""
        return self.language.join(
            self.language.cardinal(int(match[1])), self.words.ratio, self.language.cardinal(int(match[2]))
        )

    # -- signs and addresses -----------------------------------------------------------------------------------------

    def sign(self, match: re.Match[str]) -> str:
        """Return a sign between two terms."""
        words = self.words
        named = {"+": words.plus, "=": words.equals, "×": words.multiplied, "*": words.multiplied,
                 "÷": words.divided, "<": words.less, ">": words.greater, "≈": words.about, "±": words.plus_minus,
                 "≤": f"{words.less} {words.equals}", "≥": f"{words.greater} {words.equals}",
                 "≠": f"{words.minus} {words.equals}", "-": words.minus, "\u2212": words.minus}  # fmt: skip
        return f" {named[match[1].strip()]} " if self.language.space else named[match[1].strip()]

    def sign_before(self, match: re.Match[str]) -> str | None:
        """Return a sign before a number."""
        words = self.words
        named = {"+": words.plus, "=": words.equals, "×": words.multiplied, "÷": words.divided, "<": words.less,
                 ">": words.greater, "≈": words.about, "±": words.plus_minus, "~": words.about,
                 "≤": f"{words.less} {words.equals}", "≥": f"{words.greater} {words.equals}"}  # fmt: skip
        said = named.get(match[0])
        return None if said is None else f" {said} "

    def abbreviation(self, match: re.Match[str]) -> str:
        """Return the words of an abbreviation; its point ends the sentence where nothing follows."""
        short = abbreviations(self.language.name)
        assert short is not None
        said = short[1][match[0]]
        rest = match.string[match.end() :]
        if self.is_("ru") and match[0] == "г." and re.match(r"\s?[А-ЯЁ]", rest):
            said = "город"
        if self.is_("en") and match[0] == "St.":
            said = "Saint" if re.match(r"\s[A-Z]", rest) else "Street"
        ends = match[0].endswith(".") and not rest.lstrip(" ").strip("\r\n\"'”»)")[:1]
        return f"{said}{'.' if ends else ''}"

    def phone(self, match: re.Match[str]) -> str:
        """Return a telephone number digit by digit, with a pause between its groups."""
        groups = re.findall(r"\d+", match[0])
        said = (", " if self.language.space else "、").join(self.language.digits(group) for group in groups)
        return self.language.join(self.words.plus, said) if match[0].startswith("+") else said

    def version(self, match: re.Match[str]) -> str | None:
        """Return a version, or the address of a machine; None for a number in groups of three digits."""
        groups = match[2].split(".")
        is_address = len(groups) == 4 and all(int(group) < 256 for group in groups)
        if not match[1] and all(len(group) == 3 for group in groups[1:]) and not is_address:
            return None
        letter = f"{'version' if self.is_('en', 'fr') else 'v'} " if match[1] else ""
        return letter + self.version_words(match[2])

    def version_words(self, text: str) -> str:
        """Return numbers between points."""
        word = self.words.dot if self.language.space else self.words.point
        return self.language.join(*f" {word} ".join(self.language.number(part) for part in text.split(".")).split(" "))

    def address(self, match: re.Match[str]) -> str:
        """Return an address of the internet: words, numbers, and the names of what stands between them."""
        text = re.sub(r"^(?:https?|ftp)://", "", match[0])
        words = self.words
        named = {".": words.dot, "@": words.at, "/": words.slash, "-": words.dash, "_": words.underscore, ":": ":",
                 "+": words.plus, "=": words.equals, "&": self.language.and_word, "?": "?", "#": words.number,
                 "%": "%", "~": words.about}  # fmt: skip
        text = text.replace("www.", "w w w .", 1) if text.startswith("www.") else text
        parts = re.findall(r"\d+|[^\W\d_]+|[^\s]", text.rstrip("/"))
        said = [self.language.number(p) if p.isdigit() else named.get(p, p) for p in parts]
        return " ".join(word for word in said if word not in {":", "?", "%"})
