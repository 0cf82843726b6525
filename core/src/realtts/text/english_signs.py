"""Signs and numbers in words: what is left of them behind the core's normalizer, or all where it is off.

The lexicon would leave out most signs without a word, and some numbers with them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.text.edited import EditedText

__all__ = ["in_words"]

_CURRENCIES = {
    "$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "₩": "won", "₽": "rubles",
    "₿": "bitcoins", "₺": "lira", "₪": "shekels", "₫": "dong", "₴": "hryvnias", "₦": "naira", "₱": "pesos",
    "฿": "baht",
}  # fmt: skip

_SIGNS = {
    **_CURRENCIES, "¢": "cents", "%": "percent", "‰": "per mille", "&": "and", "@": "at", "#": "hash",
    "§": "section", "¶": "paragraph", "/": "slash", "\\": "backslash", "⁄": "over", "+": "plus", "=": "equals",
    "<": "less than", ">": "greater than", "|": "bar", "~": "tilde", "^": "caret", "°": "degrees",
    "©": "copyright", "®": "registered", "™": "trademark", "×": "times", "÷": "divided by", "±": "plus or minus",
    "\u2212": "minus", "√": "square root of", "∞": "infinity", "∑": "sum", "∏": "product", "∫": "integral",
    "≈": "approximately", "≠": "not equal to", "≤": "at most", "≥": "at least", "µ": "micro", "μ": "micro",
    "Ω": "ohms", "π": "pi", "№": "number",
}  # fmt: skip

_AMOUNT = re.compile(rf"([{re.escape(''.join(_CURRENCIES))}])\s?(\d+(?:,\d{{3}})*(?:\.\d+)?)")
_MINUS = re.compile(r"(?<![\w)\]%°])[-\u2013](?=[.,]?\d)")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d*\.?\d+")
_ENDED = re.compile(r"(?<![\w.,])(\d+)(st|nd|rd|th|'?s)\b")
_SINGLE_NUMBER = re.compile("[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2189\u2460-\u249b]")
_ABOUT = re.compile(r"(?<!\S)~(?=\s*\w)")
_SIGN = re.compile(f"[{re.escape(''.join(_SIGNS))}]")
_DASH = re.compile(r"\s[-\u2013]+\s|\s*(?:\u2014|--+)\s*|(?<=\w)\u2013(?=\w)")
_APART = re.compile(r"[_\u2022\u00b7]|(?<=\w)\u2026(?=\w)")

_TOO_MUCH_SPACE = re.compile(r"[ \t]+(?=[,.;:!?)\u2026])|(?<=\()[ \t]+|\A[ \t]+")

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_SCALES = ("", " thousand", " million", " billion", " trillion")
_MOST_DIGITS = 3 * len(_SCALES)
_FIRST_YEAR, _LAST_YEAR = 1100, 2099


def in_words(text: EditedText) -> EditedText:
    """Return the text without a digit and without a sign that has a name."""
    text = text.substituted(_AMOUNT, r"\2 \1")
    text = text.substituted(_MINUS, " minus ")
    text = text.substituted(_ENDED, lambda match: _ended(match[1], match[2]))
    text = text.substituted(_NUMBER, lambda match: f" {_number(match[0])} ")
    text = text.substituted(_SINGLE_NUMBER, _single)
    text = text.substituted(_ABOUT, " about ")
    text = text.substituted(_SIGN, lambda match: f" {_SIGNS[match[0]]} ")
    text = text.substituted(_DASH, " \u2014 ").substituted(_APART, " ")
    return text.substituted(_TOO_MUCH_SPACE, "")


def _number(written: str) -> str:
    whole, point, decimals = written.replace(",", "").partition(".")
    words = _whole(whole, year=not point and "," not in written) if whole else ""
    return f"{words} point {_one_by_one(decimals)}".strip() if point else words


def _ended(digits: str, ending: str) -> str:
    """Return an ordinal, or a number in the plural: "21st", "1990s"."""
    head, joint, last = re.fullmatch(r"(.*?)([ -]?)(\w+)", _whole(digits, year=ending.endswith("s"))).groups()  # type: ignore[union-attr]
    if ending.endswith("s"):
        last = f"{last[:-1]}ies" if last.endswith("y") else f"{last}es" if last == "six" else f"{last}s"
    elif last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return f"{head}{joint}{last}"


def _whole(digits: str, *, year: bool) -> str:
    if len(digits) > _MOST_DIGITS or (digits[0] in "0\u0660\u0966" and len(digits) > 1):
        return _one_by_one(digits)
    number = int(digits)
    if year and _FIRST_YEAR <= number <= _LAST_YEAR and number % 1000 >= 10:
        return _year(number)
    return _cardinal(number)


def _year(number: int) -> str:
    century, rest = divmod(number, 100)
    if not rest:
        return f"{_below_hundred(century)} hundred"
    return f"{_below_hundred(century)} {'oh ' if rest < 10 else ''}{_below_hundred(rest)}"


def _cardinal(number: int) -> str:
    if number == 0:
        return _ONES[0]
    groups = []
    for scale in _SCALES:
        number, group = divmod(number, 1000)
        if group:
            groups.append(f"{_below_thousand(group)}{scale}")
    return " ".join(reversed(groups))


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    return " ".join([*words, _below_hundred(rest)] if rest else words)


def _below_hundred(number: int) -> str:
    if number < len(_ONES):
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{_ONES[ones]}" if ones else _TENS[tens]


def _one_by_one(digits: str) -> str:
    return " ".join(_ONES[unicodedata.digit(char)] for char in digits)


def _single(match: re.Match[str]) -> str:
    """Return a character that is a number of its own, such as a superscript, in words."""
    value = unicodedata.numeric(match[0], 0.5)
    if value != int(value):
        return _FRACTIONS.get(match[0], match[0])
    return f" {_cardinal(int(value))} "


_FRACTIONS = {"½": " one half ", "¼": " one quarter ", "¾": " three quarters ", "⅓": " one third ", "⅔": " two thirds "}
