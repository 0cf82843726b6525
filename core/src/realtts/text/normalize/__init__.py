"""Text normalization: numbers, dates, amounts, units, signs and abbreviations become words.

For models that read letters only as well as they were trained to. The libraries are those of the extra
``realtts[normalize]``: unicode-rbnf spells numbers, Babel knows the locale data of the Unicode consortium.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from realtts.text.edited import EditedText
from realtts.text.normalize.language import check_libraries, language_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realtts.text.edited import Edit
    from realtts.text.normalize.kind import Rule

__all__ = ["check_libraries", "guess_language", "is_known", "normalized"]

_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7a3]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("el", re.compile(r"[\u0370-\u03ff]{2}")),
)


def normalized(text: EditedText, language: str) -> EditedText:
    """Return the text with everything that stands for words put into words.

    Args:
        text: Behind the other steps of the front end.
        language: BCP 47 tag, see `is_known`.

    Raises:
        MissingExtra: A library is not installed.
    """
    from realtts.text.normalize.minus import minus_in_words
    from realtts.text.normalize.rules import rules_for

    spoken = language_of(language)
    if spoken is None:
        return text
    text = text.substituted(_FOREIGN_DIGITS, lambda match: "".join(str(unicodedata.digit(char)) for char in match[0]))
    text = minus_in_words(text, spoken)
    rules = rules_for(spoken)
    edits: list[Edit] = []
    for start, end in _stretches(text.text):
        stretch = EditedText(text.text[start:end])
        after = _in_words(stretch, rules)
        if after is not stretch:
            edits += [(start + first, start + last, words) for first, last, words in after.edits()]
    return text.replaced(edits) if edits else text


def _in_words(text: EditedText, rules: Iterable[Rule]) -> EditedText:
    characters = frozenset(text.text)
    for rule in rules:
        if not rule.needs or not rule.needs.isdisjoint(characters):
            text = text.substituted(rule.pattern, lambda match, said=rule.said: _kept(said(match), match))  # type: ignore[misc]
    return text.substituted(_SPACES, " ")


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """Yield stretches of a text in which rules can be looked for one by one, so that most need not be.

    They end with lines, and in long lines between two words in small letters, where nothing can stand that is put into
    words as a whole.
    """
    start = 0
    for match in _CUTS.finditer(text):
        if match[0] == "\n" or match.end() - start >= _LONG:
            yield start, match.end()
            start = match.end()
    if start < len(text):
        yield start, len(text)


def is_known(language: str) -> bool:
    """Tell whether the words of a language are known."""
    return language_of(language) is not None


def guess_language(text: str) -> str:
    """Return the language whose script a text is written in; English for Latin letters."""
    return next((language for language, script in _SCRIPTS if script.search(text)), "en")


def _kept(said: str | None, match: re.Match[str]) -> str:
    if said is None:
        return match[0]
    # Spaces that hold words apart are not wanted where the text begins or ends, or where there is one already.
    text = match.string
    if not match.start() or text[match.start() - 1].isspace():
        said = said.lstrip()
    if match.end() == len(text) or not text[match.end()].isalnum():
        said = said.rstrip()
    return said


_FOREIGN_DIGITS = re.compile(r"(?:(?![0-9])\d)+")
_SMALL = "[a-zß-öø-ÿа-яё]"
_BEHIND_WORD = "|".join(rf"(?<=\s{_SMALL}{{{length}}})" for length in (2, 3, 4))
_CUTS = re.compile(rf"\n|(?:{_BEHIND_WORD}) (?={_SMALL}{{2}})|(?<=[。！？])")
_LONG = 150
"""Characters of a stretch inside a line."""

_SPACES = re.compile(r"(?<=\S) {2,}(?=\S)")
