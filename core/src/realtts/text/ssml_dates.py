"""Dates written with the name of the month, as people read them aloud."""

from __future__ import annotations

import re

from realtts.text.sentence import primary_language

__all__ = ["written_date"]

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
}
"""As they stand behind a day."""

_FORMS = {
    "en": ("{month} {day}", "{month} {day}, {year}", "{month} {year}"),
    "de": ("{day}. {month}", "{day}. {month} {year}", "{month} {year}"),
    "es": ("{day} de {month}", "{day} de {month} de {year}", "{month} de {year}"),
    "pt": ("{day} de {month}", "{day} de {month} de {year}", "{month} de {year}"),
    "vi": ("ngày {day} tháng {month}", "ngày {day} tháng {month} năm {year}", "tháng {month} năm {year}"),
    "zh": ("{month}月{day}日", "{year}年{month}月{day}日", "{year}年{month}月"),
    "ja": ("{month}月{day}日", "{year}年{month}月{day}日", "{year}年{month}月"),
    "ko": ("{month}월 {day}일", "{year}년 {month}월 {day}일", "{year}년 {month}월"),
}
_USUAL = ("{day} {month}", "{day} {month} {year}", "{month} {year}")
_NUMBERED = frozenset({"vi", "zh", "ja", "ko"})
_PIVOT = 70
"""Years of two digits from here on are of the century before."""

_ISO = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")


def written_date(text: str, order: str, language: str | None) -> str | None:
    """Return a date in words and numbers.

    Args:
        text: Such as ``"30/11/2026"`` or ``"20261130"``.
        order: Order of day, month and year, such as ``"dmy"`` or ``"yyyymmdd"``; empty: known for ``2026-11-30`` only.
        language: BCP 47 tag; None is English.

    Returns:
        None: The language has no entry here, or the text is no date in that order.
    """
    code = primary_language(language) or "en"
    if code not in _MONTHS and code not in _NUMBERED:
        return None
    order = re.sub(r"(.)\1+", r"\1", re.sub("[^dmy]", "", order)) or ("ymd" if _ISO.fullmatch(text) else "")
    parts = _parts(text, order)
    if parts is None or "m" not in parts:
        return None
    month = int(parts["m"])
    day = int(parts.get("d", "1"))
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    form = _FORMS.get(code, _USUAL)[0 if "y" not in parts else 1 if "d" in parts else 2]
    if "d" not in parts and "y" not in parts:
        return None
    year = parts.get("y", "")
    if len(year) == 2:
        year = f"{20 if int(year) < _PIVOT else 19}{year}"
    name = str(month) if code in _NUMBERED else _MONTHS[code].split()[month - 1]
    return form.format(day=day, month=name, year=year)


def _parts(text: str, order: str) -> dict[str, str] | None:
    """Return the digits of day, month and year by the letter of each."""
    numbers = re.findall(r"\d+", text)
    if len(numbers) == 1 and len(order) > 1:
        sizes = [4 if letter == "y" else 2 for letter in order]
        if len(numbers[0]) != sum(sizes):
            return None
        digits, numbers = numbers[0], []
        for size in sizes:
            numbers.append(digits[:size])
            digits = digits[size:]
    if not order or len(set(order)) != len(order) or len(numbers) != len(order) or re.search(r"[^\W\d]", text):
        return None
    return dict(zip(order, numbers, strict=True))
