"""Numbers, units, currencies and dates as the words of a language, from the Unicode locale data (CLDR).

Numbers are spelled by unicode-rbnf, everything else comes from Babel: names of currencies and units in the plural that
the number asks for, names of months, the order of dates, and the signs that group and divide numbers.
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal

from realtts.text.normalize.numbers import Figures, library, tidy
from realtts.text.normalize.symbols import UNITS
from realtts.text.normalize.words import WORDS

__all__ = ["Language", "check_libraries", "language_of"]

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

_OWN_FIRST = frozenset({("pt", "BRL"), ("pl", "PLN"), ("ms", "MYR"), ("vi", "VND")})
_OWN_LAST = frozenset({("sv", "SEK"), ("da", "DKK"), ("no", "NOK"), ("de", "CHF"), ("ko", "KRW"), ("hi", "INR")})
"""Languages and their own currencies, and where in its name the word is that stands for all of it."""


def check_libraries() -> None:
    """Check that the libraries can be imported.

    Raises:
        MissingExtra: One is not installed.
    """
    library("babel.units")
    library("unicode_rbnf")


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


class Language(Figures):
    """The words of one language.

    Args:
        name: ISO 639 code, a key of `WORDS`.
        region: ISO 3166 code; empty: not known.

    Attributes:
        months: Names of months in small letters, long and short, without a point, with their numbers.
    """

    def __init__(self, name: str, region: str = "") -> None:
        super().__init__(name, region)
        self._babel = library("babel")
        self._numbers, self._units = library("babel.numbers"), library("babel.units")
        self._locale = self._babel.Locale.parse(name)
        names = self._locale.months["format"]
        self.months: dict[str, int] = {}
        if name not in {"ja", "zh", "ko"}:
            words = (pair for width in ("wide", "abbreviated") for pair in names[width].items())
            self.months = {word.lower().rstrip("."): number for number, word in words}

    def unit(self, text: str, symbol: str) -> str:
        """Return a number and the unit behind it, whose sign is a key of `UNITS`, in words."""
        if self.name == "ko" and symbol in {"%", "‰"}:
            return self.join(self.number(text), {"%": "퍼센트", "‰": "퍼밀"}[symbol])
        if self.name == "zh" and symbol in {"%", "‰"}:
            return self.join({"%": "百分之", "‰": "千分之"}[symbol], self.number(text))
        value = self.value(text)
        written = self._with_unit(value, UNITS[symbol])
        figure = str(self._numbers.format_decimal(value, locale=self._locale))
        if figure not in written:  # a dual, whose word says the number
            return tidy(written)
        gender = self._gender(UNITS[symbol])
        before, after = written.split(figure, 1)
        if self.name == "ko" and symbol == "h" and value == value.to_integral_value() and 0 < value < 100:
            gender = "native-attributive"
        return self.join(self._signs(before), self.number(text, gender), self._signs(after))

    def plural(self, text: str) -> str:
        """Return the plural category of a number as people write it: ``"one"``, ``"few"``, ``"many"``, ``"other"``."""
        return str(self._locale.plural_form(self.value(text)))

    def unit_name(self, symbol: str) -> str:
        """Return the name of one unit."""
        written = self._with_unit(5 if "temperature" in UNITS[symbol] else 1, UNITS[symbol])
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
            counted = {"de": "feminine"}.get(self.name, "feminine" if scale.startswith("тысяч") else "masculine")
            if self.name == "fr" and of and name[0] in "aeiouhéâ":
                return self.join(self.number(text, counted), scale, f"d'{name}")
            return self.join(self.number(text, counted), scale, of, name)
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
        if short and (self.name, code) in _OWN_FIRST:
            return name.split()[0]
        if short and (self.name, code) in _OWN_LAST:
            return name.split()[-1]
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
        if self.name == "vi" and year is not None and said[-1:] == [self.year(year)]:
            said.insert(-1, "năm")
        if self.name == "ru":
            said = ["года" if word == "г" else word for word in said]
        return self.join(*said).replace(" ב ", " ב")

    def month_of_year(self, month: int, year: int) -> str:
        """Return a month and its year in words."""
        if self.name in {"zh", "ja"}:
            return f"{self.year(year)}年{self._month(month, 'MMMM')}"
        if self.name == "ko":
            return f"{self.year(year)}년 {self._month(month, 'MMMM')}"
        context = "stand-alone" if self.name in {"ru", "pl", "fi", "el"} else "format"
        name = re.sub(r"\d+", lambda match: self.cardinal(int(match[0])), self._locale.months[context]["wide"][month])
        return self.join(name, {"es": "de", "pt": "de", "vi": "năm"}.get(self.name, ""), self.year(year))

    def day(self, day: int, form: str = "") -> str:
        """Return the day of a month in words; German has the endings ``"n"``, ``"e"`` and ``"r"``."""
        if self.name == "de":
            return self.ordinal(day, "" if form == "e" else form or "r")
        if self.name in {"en", "sv", "da", "no", "fi"}:
            return self.ordinal(day, form or "masculine")
        if self.name == "ru":
            return self.ordinal(day, form or "neuter")
        if self.name == "pl":
            return self.ordinal(day, form or "genitive")
        if day == 1 and self.name in {"fr", "es", "pt", "it"}:
            return self.ordinal(1)
        return self.cardinal(day)

    def _month(self, month: int, field: str) -> str:
        if self.name == "ko":
            return {6: "유월", 10: "시월"}.get(month) or f"{self.cardinal(month)}월"
        if not self.space:
            return self.cardinal(month) + ("月" if field == "MMMM" else "")
        name = str(self._locale.months["format"]["wide"][month])
        return re.sub(r"\d+", lambda match: self.cardinal(int(match[0])), name)

    def _signs(self, text: str) -> str:
        """Return a unit's name without the signs that some languages keep in it."""
        named = {
            "ar": {"٪": "بالمئة", "\u200e%": "بالمئة"},
            "vi": {"%": "phần trăm", "‰": "phần nghìn", "độ C": "độ xê"},
        }
        for sign, word in named.get(self.name, {}).items():
            text = text.replace(sign, word)
        return tidy(text.replace("/", f" {self.words.per} "))

    def _with_unit(self, value: Decimal | int, unit: str) -> str:
        """Return a number in figures with its unit's word."""
        written = str(self._units.format_unit(value, unit, "long", locale=self._locale))
        if unit in written:  # some versions of the data have the word in the short form alone
            written = str(self._units.format_unit(value, unit, "short", locale=self._locale))
        return written

    def _gender(self, unit: str) -> str:
        written = self._with_unit(1, unit)
        return self._gender_of(re.sub(r"[\d\s]+", " ", written).strip())

    def _gender_of(self, noun: str) -> str:
        first = noun.split(maxsplit=1)[0] if noun.split() else ""
        if first not in _NOT_FEMININE and _FEMININE.match(f"{self.name} {first}"):
            return "feminine"
        return "neuter" if self.name == "el" and not first.endswith("ς") else "masculine"
