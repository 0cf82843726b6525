"""Numbers, units, currencies and dates as the words of a language, from the Unicode locale data (CLDR).

Numbers are spelled by unicode-rbnf, everything else comes from Babel: names of currencies and units in the plural that
the number asks for, names of months, the order of dates, and the signs that group and divide numbers.
"""

from __future__ import annotations

import functools
import importlib
import re
from decimal import Decimal
from typing import Any

from realtts.errors import MissingExtra
from realtts.text.normalize.symbols import UNITS
from realtts.text.normalize.words import WORDS

__all__ = ["Language", "check_libraries", "language_of"]

_UNSPACED = frozenset({"ja", "zh"})
"""Languages that are written without spaces between words."""

_POINTED = frozenset({"en", "ja", "zh", "ko", "he", "hi", "ms", "sw", "ar"})
"""Languages that write a point before decimals; all others a comma."""

_DIGITS_OF = {"zh": "零一二三四五六七八九", "ja": "ゼロ 一 二 三 四 五 六 七 八 九".split()}
_FEMININE = re.compile(
    r"(?:es|pt|it)\b.*a$|ru\b.*[ая]$|pl\b.*a$|el\b.*[αη]$|he\b.*ה$|hi\b.*ी$"
    r"|fr (?:livre|heure|minute|seconde|tonne|couronne|roupie|lire|once|calorie|page|roupie)"
    r"|de (?:Minute|Stunde|Sekunde|Tonne|Meile|Lira|Rupie|Krone|Unze|Kalorie|Million|Milliarde|Seite)"
)  # fmt: skip
_NOT_FEMININE = frozenset({"día", "dia", "grama", "quilograma", "programa", "metro", "miligrama", "micrograma"})
_CENTS = {
    "en": {"USD": ("cent", "cents"), "EUR": ("cent", "cents"), "GBP": ("penny", "pence"), "AUD": ("cent", "cents"),
           "CAD": ("cent", "cents"), "NZD": ("cent", "cents"), "INR": ("paisa", "paise")},
    "fr": {"EUR": ("centime", "centimes")},
    "es": {"EUR": ("céntimo", "céntimos"), "USD": ("centavo", "centavos"), "MXN": ("centavo", "centavos")},
    "it": {"EUR": ("centesimo", "centesimi")},
    "pt": {"EUR": ("cêntimo", "cêntimos"), "BRL": ("centavo", "centavos"), "USD": ("centavo", "centavos")},
}  # fmt: skip
_FIRST_WORD = frozenset({"fr", "es", "it", "pt", "ru", "el", "sw", "he", "ar", "ms", "pl"})
_LAST_WORD = frozenset({"en", "da", "sv", "no", "nl", "fi", "ko", "hi"})
"""Where the name of the US dollar has the word dollar."""


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"{name.partition('.')[0]} is not installed", who='normalize="auto"',
            fix='pip install "realtts[normalize]", or give normalize="off"',
        ) from error  # fmt: skip


def check_libraries() -> None:
    """Check that the libraries can be imported.

    Raises:
        MissingExtra: One is not installed.
    """
    _library("babel.units")
    _library("unicode_rbnf")


@functools.lru_cache(32)
def language_of(tag: str) -> Language | None:
    """Return the language of a BCP 47 tag; None if its words are not known.

    Raises:
        MissingExtra: A library is not installed.
    """
    parts = re.split(r"[-_]", tag)
    name = {"nb": "no", "nn": "no", "cmn": "zh", "iw": "he"}.get(parts[0].lower(), parts[0].lower())
    if name not in WORDS:
        return None
    region = next((part.upper() for part in parts[1:] if len(part) == 2), "")
    return Language(name, region)


class Language:
    """The words of one language.

    Args:
        name: ISO 639 code, a key of `WORDS`.
        region: ISO 3166 code; empty: not known.

    Attributes:
        name: As given.
        region: As given.
        words: Of its signs.
        space: Between words: a space or nothing.
        months: Names of months in small letters, long and short, without a point, with their numbers.
    """

    def __init__(self, name: str, region: str = "") -> None:
        self.name, self.region, self.words = name, region, WORDS[name]
        self.space = "" if name in _UNSPACED else " "
        self._babel = _library("babel")
        self._numbers, self._units = _library("babel.numbers"), _library("babel.units")
        rbnf = _library("unicode_rbnf")
        self._engine, self._purpose = rbnf.RbnfEngine.for_language(name), rbnf.FormatPurpose
        self._locale = self._babel.Locale.parse(name)
        names = self._locale.months["format"]
        self.months = {
            word.lower().rstrip("."): number for width in ("wide", "abbreviated") for number, word in names[width].items()
        }
        if name in {"ja", "zh", "ko"}:
            self.months = {}

    # -- numbers -----------------------------------------------------------------------------------------------------

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
        forms = self._engine.format_number(number).text_by_ruleset
        chosen = forms.get(f"spellout-cardinal-{gender}") if gender else None
        if gender == "masculine" and self.name == "he":
            chosen = forms.get("spellout-cardinal-masculine")
        return _tidy(chosen or forms.get("spellout-numbering") or next(iter(forms.values())))

    def ordinal(self, number: int, form: str = "masculine") -> str:
        """Return an ordinal number in words; the cardinal one where the language data has no ordinals.

        Args:
            number: As written.
            form: Gender or case, as the rule sets of CLDR are called: ``"feminine"``, ``"n"`` (German ``-n``).
        """
        try:
            forms = self._engine.format_number(number, self._purpose.ORDINAL).text_by_ruleset
        except (ValueError, KeyError):
            return self.cardinal(number)
        for name in (f"spellout-ordinal-{form}", "spellout-ordinal-masculine", "spellout-ordinal", *forms):
            if name in forms:
                return _tidy(forms[name])
        return self.cardinal(number)

    @functools.lru_cache(512)  # noqa: B019 - languages live for ever
    def year(self, number: int) -> str:
        """Return a year in words."""
        if self.name in {"en", "de", "nl", "sv", "da", "no"} and 1100 <= number <= 2099:
            if 2000 <= number <= 2009 or (self.name != "en" and number >= 2000):
                return self.cardinal(number)
            return _tidy(str(self._engine.format_number(number, self._purpose.YEAR).text))
        if self.name == "zh":
            return self.digits(str(number)).replace("零", "〇")
        if self.name == "ru":
            return _tidy(str(self._engine.format_number(number, self._purpose.YEAR).text))
        return self.cardinal(number)

    def digits(self, text: str) -> str:
        """Return digits one by one; other characters are left out."""
        spelled = _DIGITS_OF.get(self.name)
        words = [spelled[int(d)] if spelled else self.cardinal(int(d)) for d in text if d.isdigit()]
        return (self.space or "").join(words)

    def number(self, text: str, gender: str = "") -> str:
        """Return a number as people write it, with groups, decimals and a sign, in words."""
        sign, whole, decimals = self.parts(text)
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

    # -- what is counted ---------------------------------------------------------------------------------------------

    def unit(self, text: str, symbol: str) -> str:
        """Return a number and the unit behind it, whose sign is a key of `UNITS`, in words."""
        value = self.value(text)
        written = str(self._units.format_unit(value, UNITS[symbol], "long", locale=self._locale))
        figure = str(self._numbers.format_decimal(value, locale=self._locale))
        if figure not in written:  # a dual, whose word says the number
            return _tidy(written)
        gender = self._gender(UNITS[symbol])
        before, after = written.split(figure, 1)
        if self.name == "zh" and symbol in {"%", "‰"}:
            return self.join({"%": "百分之", "‰": "千分之"}[symbol], self.number(text))
        if self.name == "ko" and symbol == "h" and value == value.to_integral_value() and 0 < value < 100:
            gender = "native-attributive"
        return self.join(self._signs(before), self.number(text, gender), self._signs(after))

    def unit_name(self, symbol: str) -> str:
        """Return the name of one unit."""
        written = str(self._units.format_unit(1, UNITS[symbol], "long", locale=self._locale))
        return self._signs(re.sub(r"\d", "", written))

    def money(self, text: str, code: str, *, short: bool, scale: str = "") -> str:
        """Return an amount in words.

        Args:
            text: The number.
            code: ISO 4217.
            short: A sign was written, so that it is ``dollars`` and not ``US dollars``.
            scale: Word behind the number, such as ``million``.
        """
        negative, whole, decimals = self.parts(text)
        name = self.currency(code, self.value(text) if not scale else Decimal(1_000_000), short=short)
        gender = self._gender_of(self.currency(code, Decimal(1), short=short))
        if scale:
            of = {"fr": "de", "es": "de", "pt": "de", "it": "di"}.get(self.name, "")
            of = "" if scale in {"mil", "mille"} else of
            return self.join(self.number(text), scale, of, name)
        minor = _CENTS.get(self.name, {}).get(code)
        if len(decimals) == 2 and self.space and self.name not in {"ar", "he", "hi", "ko"}:
            name = self.currency(code, Decimal(whole), short=short)
            said = [self.cardinal(int(whole), gender), name]
            if int(decimals):
                cents = self.cardinal(int(decimals), "masculine" if minor else "")
                said += [self.join(self.and_word, cents, minor[int(decimals) != 1])] if minor else [cents]
            if not int(whole) and int(decimals) and minor:
                said = [self.join(cents, minor[int(decimals) != 1])]
            return self.join(self.words.minus if negative else "", *said)
        return self.join(self.number(text, gender), name)

    def currency(self, code: str, count: Decimal, *, short: bool) -> str:
        """Return the name of a currency in the plural that a count asks for."""
        if code == "BTC":
            return "bitcoins" if self.name in {"en", "fr", "es", "pt"} and count != 1 else "bitcoin"
        name = str(self._numbers.get_currency_name(code, count, self._locale))
        name = name.lower() if self.name in {"pt", "ms"} else name
        if short and code in {"RUB", "CNY"} and self.name in {"ru", "zh"}:
            return "元" if self.name == "zh" else re.split(r"[ \u00a0]", name)[-1]
        if short and (self.name == "en" or code == "USD"):
            words = re.split(r"[ \u00a0-]", name)
            if self.name in _FIRST_WORD:
                return words[0]
            if self.name in _LAST_WORD or self.name == "de":
                return words[-1]
            return name.removeprefix("米")
        return name

    @property
    def and_word(self) -> str:
        """The word of ``&``."""
        pattern = str(self._locale.list_patterns["standard"]["2"])
        word = pattern.replace("{0}", "").replace("{1}", "").strip()
        return {"、": "と", "": ","}.get(word, word)

    def date(self, year: int | None, month: int, day: int | None, form: str = "") -> str:
        """Return a date in words, in the order of the language.

        Args:
            year: None: not said.
            month: From 1 to 12.
            day: None: not said.
            form: Of the day's ordinal, where it has one.
        """
        pattern = str(self._babel.dates.get_date_format("long", self._locale).pattern)
        said: list[str] = []
        for token in re.findall(r"'[^']*'|y+|M+|d+|[^'yMd]+", pattern):
            if token[0] == "y":
                said.append(self.year(year) if year is not None else "")
            elif token[0] == "M":
                said.append(self._month(month, token))
            elif token[0] == "d":
                said.append(self.day(day, form) if day is not None else "")
            elif not self.space:
                said.append(token if {"年": year, "日": day}.get(token, 1) is not None else "")
            elif (word := token.strip("' .,")) and not (year is None and said and said[-1] == ""):
                said.append(word)
        if self.name in {"es", "pt"} and year is None:
            said = [word for word in said if word]
            said = said[:-1] if said and said[-1] == "de" else said
        if self.name == "ru":
            said = ["года" if word == "г" else word for word in said]
        return self.join(*said).replace(" ב ", " ב")

    def day(self, day: int, form: str = "") -> str:
        """Return the day of a month in words."""
        if self.name in {"en", "sv", "da", "no", "fi", "de"}:
            return self.ordinal(day, form or ("r" if self.name == "de" else "masculine"))
        if self.name == "ru":
            return self.ordinal(day, form or "neuter")
        if day == 1 and self.name in {"fr", "es", "pt", "it"}:
            return self.ordinal(1)
        return self.cardinal(day)

    def _month(self, month: int, token: str) -> str:
        if self.name == "ko":
            return {6: "유월", 10: "시월"}.get(month) or f"{self.cardinal(month)}월"
        if not self.space:
            return self.cardinal(month) + ("月" if token == "MMMM" else "")
        name = str(self._locale.months["format"]["wide"][month])
        return re.sub(r"\d+", lambda match: self.cardinal(int(match[0])), name)

    # -- joining -----------------------------------------------------------------------------------------------------

    def join(self, *words: str) -> str:
        """Return words put together as the language writes them; empty ones are left out."""
        return self.space.join(word.strip() for word in words if word and word.strip())

    def _signs(self, text: str) -> str:
        """Return a unit's name without the signs that some languages keep in it."""
        named = {"ko": {"%": "퍼센트", "‰": "퍼밀"}, "ar": {"٪": "بالمئة", "\u200e%": "بالمئة"}, "vi": {"%": "phần trăm", "‰": "phần nghìn", "độ C": "độ xê"}}
        for sign, word in named.get(self.name, {}).items():
            text = text.replace(sign, word)
        return _tidy(text.replace("/", f" {self.words.per} "))

    def _gender(self, unit: str) -> str:
        written = str(self._units.format_unit(1, unit, "long", locale=self._locale))
        return self._gender_of(re.sub(r"[\d\s]+", " ", written).strip())

    def _gender_of(self, noun: str) -> str:
        first = noun.split()[0] if noun.split() else ""
        if first not in _NOT_FEMININE and _FEMININE.match(f"{self.name} {first}"):
            return "feminine"
        return "neuter" if self.name == "el" and not first.endswith("ς") else "masculine"


def _tidy(text: str) -> str:
    return re.sub(r"[ \u00a0\u202f]+", " ", text.replace("\u00ad", "").replace("\u200f", "").replace("\u200e", "")).strip()


def _is_code(whole: str) -> bool:
    """Tell whether digits are no quantity: they begin with a zero, or there are too many."""
    return len(whole) > 15 or (len(whole) > 1 and whole[0] == "0")
