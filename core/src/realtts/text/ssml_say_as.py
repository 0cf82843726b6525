"""Texts of ``<say-as>`` written so that any provider reads them as they are meant.

Digits and letters are set apart, numbers get the endings of ordinals, and dates are written with the name of the month,
in the languages that have an entry here. Times, amounts of money, fractions and units stay as they are: that is how
people write them, and providers read them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.text.sentence import primary_language
from realtts.text.ssml_dates import written_date
from realtts.text.ssml_document import Document, Pause, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.text.edited import Edit
    from realtts.text.ssml_document import Item, SayAs

__all__ = ["SPELLED", "is_known", "written_out"]

SPELLED = frozenset({"characters", "character", "spell-out", "verbatim", "letters"})
_DIGITS = frozenset({"digits", "digit", "number:digits", "telephone", "phone"})
_BLEEPED = frozenset({"expletive", "bleep"})
_AS_IT_IS = frozenset(
    {"cardinal", "number", "time", "duration", "currency", "money", "fraction", "unit", "measure", "address", "name",
     "net", "text"}
)  # fmt: skip

BLEEP_S = 0.5
"""Silence in place of an expletive."""

_GROUP_OR_GAP = re.compile(r"(?P<group>[+*#]?\d+|[+*#]+)|(?P<gap>[-./()\[\]\s\u2010\u2011]+)")
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"M": 1000, "D": 500, "C": 100, "L": 50, "X": 10, "V": 5, "I": 1}


def is_known(say_as: SayAs, language: str | None) -> bool:
    """Tell whether a text of this kind is written as it is read in a language."""
    kind = say_as.kind
    if kind == "ordinal":
        return _ordinal("1", language) is not None
    if kind == "date":
        return written_date("2000-01-02", "ymd", language) is not None
    return kind in SPELLED | _DIGITS | _BLEEPED | _AS_IT_IS


def written_out(document: Document, language: str | None, *, spelling: bool) -> Document:
    """Return the document with the texts of ``<say-as>`` written out, ready to be spoken with what is around them.

    Args:
        document: From `realtts.text.ssml.read_ssml`.
        language: BCP 47 tag of what has none of its own; None: not known.
        spelling: Whether the provider spells by itself: then those texts stay as they are, each by itself.
    """
    if not any(isinstance(item, Run) and item.style.say_as for item in document.items):
        return document
    edits: list[Edit] = []
    items: list[Item] = []
    moved = 0
    for item in document.items:
        if not isinstance(item, Run):
            items.append(item)
            continue
        start = item.start + moved
        for edit in _edits(document.edited.text, item, language, spelling=spelling):
            edits.append(edit)
            moved += len(edit[2]) - (edit[1] - edit[0])
        items += _item(item, start, item.end + moved, spelling=spelling)
    return Document(document.edited.replaced(edits), tuple(items), document.wishes)


def _item(run: Run, start: int, end: int, *, spelling: bool) -> Iterator[Item]:
    say_as = run.style.say_as
    if say_as is None:
        yield Run(start, end, run.style)
    elif say_as.kind in _BLEEPED:
        yield Run(start, end, run.style)
        yield Pause(BLEEP_S, exact=False)
    elif say_as.kind in SPELLED and spelling:
        delivery = replace(run.style.delivery, spelling=True)
        yield Run(start, end, replace(run.style, say_as=None, delivery=delivery))
    else:
        yield Run(start, end, replace(run.style, say_as=None, unit=0))


def _edits(text: str, run: Run, language: str | None, *, spelling: bool) -> Iterator[Edit]:
    say_as, language = run.style.say_as, run.style.language or language
    if say_as is None:
        return
    content = text[run.start : run.end]
    if say_as.kind in _BLEEPED:
        yield run.start, run.end, ""
    elif say_as.kind in _DIGITS:
        yield from _digits_apart(text, run)
    elif say_as.kind in SPELLED and not spelling:
        yield from _letters_apart(text, run)
    else:
        written = {"ordinal": _ordinal, "cardinal": _cardinal, "number": _cardinal}.get(say_as.kind)
        instead = written(content.strip(), language) if written else None
        if say_as.kind == "date":
            instead = written_date(content.strip(), say_as.format, language)
        if instead is not None:
            left = run.start + len(content) - len(content.lstrip())
            yield left, left + len(content.strip()), instead


def _digits_apart(text: str, run: Run) -> Iterator[Edit]:
    """Set digits apart, with commas between their groups."""
    for match in _GROUP_OR_GAP.finditer(text, run.start, run.end):
        start, end = match.span()
        if match.lastgroup == "gap":
            beside = (text[max(start - 1, run.start)], text[end : min(end + 1, run.end)])
            yield start, end, ", " if all(map(str.isdigit, beside)) else " "
        else:
            yield from ((at, at, " ") for at in range(start + 1, end))


def _letters_apart(text: str, run: Run) -> Iterator[Edit]:
    """Set characters apart, small letters as capitals; combining marks stay with their letters."""
    for at in range(run.start, run.end):
        char, following = text[at], text[at + 1 : min(at + 2, run.end)]
        spelled = char.upper() if char.islower() and len(char.upper()) == 1 else char
        apart = following.isprintable() and following.strip() and unicodedata.category(following)[0] != "M"
        if apart or spelled != char:
            yield at, at + 1, f"{spelled} " if apart else spelled


def _cardinal(text: str, _language: str | None) -> str | None:
    if text and _ROMAN.fullmatch(text):
        values = [_ROMAN_VALUES[letter] for letter in text]
        pairs = zip(values, [*values[1:], 0], strict=True)
        return str(sum(-value if value < following else value for value, following in pairs))
    return None


def _ordinal(text: str, language: str | None) -> str | None:
    """Return a number with the ending of an ordinal; None where it is not a plain number or the ending is unknown."""
    number = _cardinal(text, language) or text
    if not (number.isascii() and number.isdigit()):
        return None
    code = primary_language(language) or "en"
    if code == "en":
        ending = "th" if number[-2:] in {"11", "12", "13"} else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
        return number + ending
    if code == "fr":
        return number + ("er" if number == "1" else "e")
    ending = {"es": "º", "pt": "º", "it": "º", "gl": "º", "nl": "e", "sv": ":e", "ru": "-й", "uk": "-й"}.get(code, "")
    if code == "vi":
        return f"thứ {number}"
    return number + ending if ending else None
