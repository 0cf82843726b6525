"""Thousands, millions and milliards behind a number, in the form that the number asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.text.normalize.language import Language

__all__ = ["scale_form"]

_SLAVIC = (
    ("тысяча", "тысячи", "тысяч", "тысячи"), ("миллион", "миллиона", "миллионов", "миллиона"),
    ("миллиард", "миллиарда", "миллиардов", "миллиарда"), ("tysiąc", "tysiące", "tysięcy", "tysiąca"),
    ("milion", "miliony", "milionów", "miliona"), ("miliard", "miliardy", "miliardów", "miliarda"),
)  # fmt: skip
_FORMS = {forms[2]: dict(zip(("one", "few", "many", "other"), forms, strict=True)) for forms in _SLAVIC}
"""By the plural category of the number; the last one is for decimals."""

_SINGULAR = {
    "Millionen": "Million", "Milliarden": "Milliarde", "millions": "million", "milliards": "milliard",
    "millones": "millón", "milioni": "milione", "miliardi": "miliardo", "milhões": "milhão", "bilhões": "bilhão",
    "miljoner": "miljon", "miljarder": "miljard", "millioner": "million",
}  # fmt: skip


def scale_form(language: Language, number: str, word: str) -> str:
    """Return a word such as ``million`` in the form that stands behind a number.

    Args:
        language: Whose word it is.
        number: As it is written.
        word: In the form for many.
    """
    if word in _FORMS:
        return _FORMS[word][language.plural(number)]
    return _SINGULAR[word] if word in _SINGULAR and language.name != "en" and language.value(number) == 1 else word
