"""From a text as people write it to one that sea-g2p reads as it is meant; what it reads rightly stays as it is.

sea-g2p drops some signs (U+2212 minus, `₿`, `‰`), takes some for others (`1.1200` for a month, `hPa` for an hour) and
reads decoration (`**`) aloud. Each rule here puts words, or another spelling, in their place.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Replacement = str | Callable[[re.Match[str]], str]

__all__ = ["rewritten"]

_N = r"\d+(?:[.,]\d+)*"
"""A number as it is written."""

_DIGITS = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")

_DOLLARS = {
    "US": "đô la Mỹ", "A": "đô la Úc", "AU": "đô la Úc", "C": "đô la Canada", "CA": "đô la Canada",
    "HK": "đô la Hồng Kông", "NT": "đô la Đài Loan", "S": "đô la Singapore", "SG": "đô la Singapore",
    "NZ": "đô la Niu Di Lân", "R": "real",
}  # fmt: skip
"""By what stands before the sign."""

_LOST_CURRENCIES = {
    "₫": "đồng", "₿": "bitcoin", "₹": "rupi", "₽": "rúp", "₺": "lira", "₴": "hrip na", "₪": "sê ken", "¢": "xu",
    "₡": "cô lông", "₦": "nai ra", "₲": "guarani", "₵": "xê đi", "₸": "ten ghê", "₮": "tu grích", "₼": "ma nát",
    "₾": "lari", "؋": "áp ga ni", "﷼": "rial", "৳": "taka", "௹": "rupi", "៛": "riel", "₨": "rupi", "฿": "bạt",
    "₱": "pê sô", "₭": "kíp",
}  # fmt: skip
"""Signs that sea-g2p drops, reads before the number where it stands after it, or the other way round."""

_READ_CURRENCIES = {"$": "đô la", "€": "euro", "£": "bảng", "¥": "yên", "₩": "uôn"}
"""Signs that sea-g2p reads, though not after the number and before a slash."""

_SIGNS = {
    "‰": "phần nghìn", "‱": "phần mười nghìn", "§": "mục", "¶": "đoạn", "№": "số", "≪": "nhỏ hơn rất nhiều",
    "≫": "lớn hơn rất nhiều", "℮": "ước lượng", "℅": "nhờ chuyển", "☎": "điện thoại", "☏": "điện thoại",
    "∙": "nhân", "∗": "nhân", "⋅": "nhân", "⊙": "tròn", "∶": "trên", "↑": "tăng", "↓": "giảm",
}  # fmt: skip
"""Signs that sea-g2p drops."""

_UNITS = {
    "hPa": "héc tô pát can", "J": "jun", "mA": "mi li ăm pe", "kA": "ki lô am pe", "mW": "mi li oát", "kV": "ki lô vôn",
    "mV": "mi li vôn", "MV": "mê ga vôn", "L": "lít", "mph": "dặm trên giờ", "ppm": "phần triệu", "ppb": "phần tỷ",
    "fps": "khung hình trên giây", "rpm": "vòng trên phút", "lx": "lúc", "lm": "lumen", "px": "pích xeo",
    "cd": "can đê la", "dam": "đề ca mét", "hm": "héc tô mét", "cl": "xen ti lít",
    "mcg": "mic rô gam", "ns": "na nô giây", "µs": "mic rô giây", "cc": "xê xê", "hp": "mã lực", "HP": "mã lực",
    "Bq": "béc cơ ren", "Sv": "xi vớt", "mSv": "mi li xi vớt", "µSv": "mic rô xi vớt", "VA": "vôn am pe",
    "kVA": "ki lô vôn am pe", "dm³": "đê xi mét khối", "dm3": "đê xi mét khối", "mol": "mon",
}  # fmt: skip
"""Units that sea-g2p reads as something else, or as letters."""

_PER = {
    "m²": "mét vuông", "m2": "mét vuông", "m³": "mét khối", "m3": "mét khối", "km²": "ki lô mét vuông",
    "km2": "ki lô mét vuông", "cm²": "xen ti mét vuông", "cm³": "xen ti mét khối", "s": "giây",
}  # fmt: skip
"""Units that sea-g2p does not know behind a slash."""

_STYLES = frozenset({"<wide", "<circ", "<squa", "<comp", "<font"})
"""How `unicodedata.decomposition` begins for full-width, circled, squared and styled forms."""

_TIME = r"\d{1,2}(?::\d\d(?::\d\d)?|[hg](?:\d\d)?)"
_DATE = r"(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|1[0-2])(?:/\d{4})?"
_TO = r"\s*[-\u2010-\u2015~]\s*"
_UNIT = r"%|‰|°[CF]?|℃|℉|[$€£¥₩₫]|[^\W\d_]{1,5}[²³]?"


def _any(signs: dict[str, str]) -> str:
    return "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True))


def _spelled(digits: str) -> str:
    return " ".join(_DIGITS[int(digit)] for digit in digits)


def _decimal(match: re.Match[str]) -> str:
    """Return a number with four decimals; one that ends like a year of our time stays a month."""
    if 1900 <= int(match[2]) <= 2100:
        return match[0]
    return f"{match[1]} chấm {_spelled(match[2])}"


def _grouped(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match[1])


def _mark_behind_digit(match: re.Match[str]) -> str:
    """Return inches for a straight quotation mark behind a digit, unless it closes what one before it has opened."""
    return ' "' if match.string.count('"', 0, match.start()) % 2 else " inch"


def _dates(match: re.Match[str]) -> str:
    day = match[1] if "/" not in match[1] else f"ngày {match[1]}"
    return f"{day} đến ngày {match[2]}"


_MINUS = "\u2212\ufe63\uff0d"
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015~"


@dataclass(frozen=True)
class _Rule:
    """A pattern and what is put in its place.

    Attributes:
        needs: Characters of which a line has one, or the pattern is not tried; empty: it always is.
        pattern: What is looked for in a line.
        replacement: As `re.sub` takes it.
    """

    needs: str
    pattern: re.Pattern[str]
    replacement: Replacement


def _rule(needs: str, pattern: str, replacement: Replacement, flags: int = 0) -> _Rule:
    return _Rule(needs, re.compile(pattern, flags), replacement)


_RULES = (
    # Decoration of lists, titles and emphasis, which is deliberately silent.
    _rule("#*•‣▪●◦◆■►▶–—-+", r"^[ \t]*(?:#{1,6}|[*•‣▪●◦◆■►▶–—-]|\+(?=\s+[^\W\d]))[ \t]+", ""),
    _rule("*", r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*]+?)(?<=[^\s*])\1(?![\w*])", r"\2"),
    _rule("~", r"~~(?=\S)([^~]+)~~", r"\1"),
    # Quotes: one behind a digit is taken for a prime.
    _rule("'‘", r"(?<!\w)['‘]([^'‘’]+)['’](?!\w)", r"“\1 ”"),
    _rule("”“»", r"(?<=\d)([”“»])", r" \1"),
    _rule("'’\u2032", r"(\d)[\u2032'’]\s*(\d{1,2}(?:[.,]\d+)?)\s*(?:[\u2033\"”]|'')", r"\1 phút \2 giây "),
    _rule("\u2033", r"(\d)\s*\u2033", r"\1 inch"),
    _rule('"', r"(?<=\d)\"(?!\w)", _mark_behind_digit),
    _rule("'’\u2032", r"(\d)\s*[\u2032'’](?![\w'’])", r"\1 phút"),
    # Numbers.
    _rule("'’_", r"(?<![\d.,+])(\d{1,3}(?:['’_]\d{3})+)(?![\d'’])", _grouped),
    _rule(",", r"(?<![\d.,+])([1-9]\d{0,2}(?:[ \u00a0\u2009\u202f]\d{3})+)(?=,\d)", _grouped),
    _rule(".", r"(?<![\d.,/-])(?<!tháng )(?<!quý )(0?[1-9]|1[0-2])\.(\d{4})(?![\d/-]|[.,]\d)", _decimal),
    _rule("\u2044", r"(?<=\d)\u2044(?=\d)", "/"),
    _rule("*\u2217\u2219\u22c5", r"(?<=\d)\s*[*\u2217\u2219\u22c5]\s*(?=\d)", " × "),
    _rule("s", r"\b((?:1[89]|20)\d0)s\b", r"những năm \1"),
    # Dates and times.
    _rule("/", r"\b(\d{4})/(\d{1,2})/(\d{1,2})\b", r"\3/\2/\1"),
    _rule("/", rf"\b({_DATE}|\d{{1,2}}){_TO}({_DATE})(?![\d/])", _dates),
    _rule(":", r"(?<![\d:])24:00(?![\d:])", "24h00"),
    _rule(_DASHES, rf"\b({_TIME}){_TO}({_TIME})(?!\w)", r"\1 đến \2"),
    # Signs of currencies.
    _rule("$", rf"(?<!\w)({_any(_DOLLARS)})\$\s*({_N})", lambda match: f"{match[2]} {_DOLLARS[match[1]]}"),
    _rule("¥￥", rf"(?<!\w)(?:CN|RMB)\s?[¥￥]\s*({_N})", r"\1 nhân dân tệ"),
    _rule("/", rf"(?<=\d)(\s*)({_any(_READ_CURRENCIES)})(?=\s*/)", lambda match: f" {_READ_CURRENCIES[match[2]]}"),
    _rule(
        "".join(_LOST_CURRENCIES),
        rf"(?<!\d)(?<!\d )({_any(_LOST_CURRENCIES)})\s*({_N})",
        lambda match: f"{match[2]} {_LOST_CURRENCIES[match[1]]}",
    ),
    _rule(
        "".join(_LOST_CURRENCIES),
        rf"\s?({_any(_LOST_CURRENCIES)})",
        lambda match: f" {_LOST_CURRENCIES[match[1]]}",
    ),
    _rule("/", r"(\d)\s*đ(?=\s*/)", r"\1 đồng"),
    _rule("/", r"(?<=\d)\s*euros?(?=\s*/)", " ê rô", re.IGNORECASE),
    # Signs between and before numbers.
    _rule(_DASHES, rf"(?<![\d.,])({_N}\s?({_UNIT})){_TO}({_N}\s?\2)(?!\w)", r"\1 đến \3"),
    _rule(_MINUS, rf"(?<=[\w)\]%°])(?:[{_MINUS}]|[ ][{_MINUS}][ ])(?=[\w(\[])", " trừ "),
    _rule(_MINUS, rf"\s?[{_MINUS}]\s?", " âm "),
    _rule("\u2010\u2011\u2012\u2013", r"(?:(?<=^)|(?<=[\s(\[=:]))(?<!\d )[\u2010-\u2013](?=\d)", "âm "),
    _rule("-", r"(?<!\w)-(?=[$€£¥₩]\s?\d)", "âm "),
    _rule("\u2012\u2015~", r"(?<=\d)[\u2012\u2015~](?=\d)", "-"),
    # Units.
    _rule("μ", r"(?<=\d)(\s?)μ(?=[^\W\d])", r"\1µ"),
    _rule("", rf"(?<=\d)\s?({_any(_UNITS)})(?![\w/²³])", lambda match: f" {_UNITS[match[1]]}"),
    _rule(
        "/",
        rf"(?<=\d)(\s?[^\W\d_]+[²³]?)/({_any(_PER)})(?!\w)",
        lambda match: f"{match[1]} trên {_PER[match[2]]}",
    ),
    _rule("p", r"\b(240|360|480|720|1080|1440|2160)p\b", r"\1 pê"),
    _rule("".join(_SIGNS), rf"\s?({_any(_SIGNS)})\s?", lambda match: f" {_SIGNS[match[1]]} "),
)
_PLAIN_LINE = re.compile("[ A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0300-\u036f\u1e00-\u1eff.,;:!?…“”()\r\n]*")
"""A line of words: no digits, no signs."""
_STYLED = re.compile("[\u2000-\U0010ffff]")


def rewritten(text: str) -> str:
    """Return the text with everything spelled in a way that sea-g2p reads.

    Args:
        text: One line or several; its lines stay lines, and its sentences end where they did.
    """
    return "".join(map(_rewritten, text.splitlines(keepends=True)))


def _rewritten(line: str) -> str:
    if _PLAIN_LINE.fullmatch(line):
        return unicodedata.normalize("NFC", line)
    line = unicodedata.normalize("NFC", _STYLED.sub(lambda match: _plain(match[0]), line))
    for rule in _RULES:
        if not rule.needs or any(char in line for char in rule.needs):
            line = rule.pattern.sub(rule.replacement, line)
    return line


def _plain(char: str) -> str:
    """Return a full-width, circled or otherwise styled form as plain letters and digits.

    Fractions and raised digits stay, which are read as such.
    """
    if char in _SIGNS or char == "…" or unicodedata.decomposition(char)[:5] not in _STYLES:
        return char
    plain = unicodedata.normalize("NFKC", char)
    return plain if plain.isascii() or len(plain) == 1 else char
