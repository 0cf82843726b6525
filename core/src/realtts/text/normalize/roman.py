"""Roman numbers behind names, centuries and parts of books."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.text.normalize.kings import is_king, king
from realtts.text.normalize.pronoun import is_first
from realtts.text.words import Following, following, starts

if TYPE_CHECKING:
    from realtts.text.normalize.language import Language

__all__ = ["PATTERN", "value_of", "words"]

_CENTURY = (
    "century|siècles?|secol[oi]|век(?:а|е|у|ом|ов)?|столети[еяю]|Jahrhunderts?|Weltkriegs?|wiek(?:u|iem)?|eeuw"
    "|yüzyıl(?:da|ın|ı)?"
)
PATTERN = (
    r"(?<![\w.'’-])(?:([^\W\d_][^\W\d_]*)(\s))?(?=[IVXLC])(M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})"
    r"(?:IX|IV|V?I{0,3}))(ème|ère|e|er|re|º|ª)?(?!\w|['’](?!s(?!\w)))"
    rf"(?:\.?\s({_CENTURY})(?!\w)|\.(?=[,;:]|\s[a-zà-ÿ]))?"
)

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_WORKS = (
    "chapter book part psalm volume kapitel teil band chapitre tome partie capítulo tomo parte capitolo rozdział tom"
    " глава том hoofdstuk deel bowl olympiad wrestlemania chương phần tập page pages página páginas pagina pagine seite"
    " strona страница bladzijde sidan side"
)
_LONG_WORKS = frozenset(_WORKS.split())
"""Words whose numbers are high, and may hold any letter."""

_OTHERS = (
    "war act section type phase class level article title division figure table appendix scene stage tier mark unit"
    " module theorem klasse typ akt abschnitt anhang weltkrieg acte annexe guerre acto guerra anexo atto sezione часть"
    " kapittel del luku osa bölüm ww artikel artículo artigo articolo artykuł статья nummer number"
)
_COUNTED = _LONG_WORKS | frozenset(_OTHERS.split())
"""Words whose numbers are below forty: Type C, Class L and Section CC are names."""

_LOW = re.compile(r"[IVX]+")
_MEDICAL = re.compile(r"\s(?:drip|fluids?|line|bag|pole|therapy|access|infusion|antibiotics?|treatment|medications?)\b")
"""What *IV* is an abbreviation before."""

_LONG = 5
"""Letters of a number that is hardly an abbreviation."""

_CENTURIES_NAMES = "siglo siglos século séculos century siècle siècles secolo secoli век века kỷ"
_CENTURIES = frozenset(_CENTURIES_NAMES.split())
_AND = frozenset(("y", "e", "et", "ed", "and", "и", "ou", "o"))
_SEVERAL = re.compile(r"(?:siglos|séculos|siècles|secoli|centuries)\s\S{1,20}(?:\s\w{1,3})?\s\w{1,2}$")
_FRENCH_MARKS = frozenset(("e", "er", "re", "ème", "ère"))
_FRENCH_WORDS = frozenset("LC")
"""Numbers that are a word with their mark: *Le chat*, *Ce soir*."""

_DATIVE = frozenset(("im", "am", "dem", "den", "des", "vom", "zum", "beim", "seit"))
_RUSSIAN_ENDINGS = {
    "а": "masculine-genitive", "я": "neuter-genitive", "е": "masculine-locative", "у": "masculine-dative",
    "ом": "masculine-ablative", "ов": "plural-genitive",
}  # fmt: skip


def value_of(roman: str) -> int:
    """Return the value of a Roman number."""
    values = [_VALUES[char] for char in roman]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def words(match: re.Match[str], language: Language) -> str | None:
    """Return what a match of `PATTERN` says; None where the letters are no number."""
    name, space, roman, mark, century = match.groups()
    if not roman or (mark in _FRENCH_MARKS and not _is_marked(roman, mark, century, language)):
        return None
    number, before = value_of(roman), (name or "").lower()
    head = f"{name}{space}" if name else ""
    if century or mark or before in _CENTURIES or (before in _AND and _SEVERAL.search(match.string[: match.end(1)])):
        tail = f" {century}" if century else ""
        return f"{head}{_of_century(number, before, mark, century or '', language)}{tail}"
    if (roman == "I" and language.name == "en" and not is_first(match, name or "")) or _is_initial(match, language):
        return None
    if name and is_king(name) and _LOW.fullmatch(roman):
        return head + king(name, number, language)
    is_number = _is_counted(before, roman) or _is_behind_name(match, language)
    return head + language.cardinal(number) if is_number else None


def _of_century(number: int, before: str, mark: str | None, century: str, language: Language) -> str:
    """Return an ordinal number in the form that stands beside the name of a century."""
    if language.name in {"es", "pt", "vi"} and not mark:
        return language.cardinal(number)
    form = "feminine" if mark in {"ª", "re", "ère"} else "masculine"
    if language.name == "de" and before in _DATIVE:
        form = "n"
    if language.name == "ru":
        stem = "столети" if century.startswith("столети") else "век"
        form = _RUSSIAN_ENDINGS.get(century.removeprefix(stem), "neuter" if stem != "век" else "masculine")
        form = "neuter" if century == "столетие" else form
    if language.name == "pl":
        form = {"wieku": "genitive"}.get(century, "masculine")
        form = "locative" if century == "wieku" and before == "w" else form
    return language.ordinal(number, form)


def _is_marked(roman: str, mark: str, century: str | None, language: Language) -> bool:
    """Tell whether small letters behind a number make an ordinal of it."""
    if language.name == "nl":
        return mark == "e" and century is not None
    return language.name == "fr" and roman not in _FRENCH_WORDS


def _is_counted(before: str, roman: str) -> bool:
    if before not in _COUNTED:
        return False
    return _LOW.fullmatch(roman) is not None or (before in _LONG_WORKS and len(roman) > 1)


def _is_initial(match: re.Match[str], language: Language) -> bool:
    """Tell whether a letter is the initial of a name: *George V. Higgins*, *Paul C. Smith*."""
    text, roman, at = match.string, match[3], match.end(3)
    if len(roman) != 1 or text[at : at + 1] != ".":
        return False
    after = following(text, at + 1, len(text))
    return after.char.isupper() and (text[at + 1 : at + 2].isalpha() or not starts(language.name, after))


def _is_behind_name(match: re.Match[str], language: Language) -> bool:
    """Tell whether a number of several letters stands behind a name: *Apple II*, *Rocky IV*; not *My CV*, *The CLI*."""
    name, roman, rest = match[1] or "", match[3], match.string[match.end() :]
    if not name[:1].isupper() or name.isupper() or len(roman) == 1:
        return False
    if starts(language.name, Following(name[0], name, initial=False, opened=False)):
        return False
    if roman == "IV" and _MEDICAL.match(rest):
        return False
    return _LOW.fullmatch(roman) is not None or len(roman) >= _LONG
