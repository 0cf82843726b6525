"""What of a text a provider cannot say: decided by its own vocabulary, named in one way for all of them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.types import Unread
from realtts.errors import UnspeakableText
from realtts.text.check import is_speakable
from realtts.text.edited import EditedText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["ReadableText", "is_picture", "is_silent", "readable_text", "unread_warnings", "unread_words"]

_READ_PUNCTUATION = frozenset("%‰‱&@#§¶/\\")
"""Punctuation to Unicode, but people say it."""

_LETTERS = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th", "ð": "d", "Ð": "D",
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ħ": "h", "Ħ": "H", "ı": "i", "ŋ": "ng",
}  # fmt: skip
"""Letters that Unicode does not take apart, and what they are written as where they are missing."""

_MARKS = {
    **dict.fromkeys("“”„‟«»〝〞『』「」", '"'), **dict.fromkeys("‘’‚‛‹›ʼʻ", "'"), **dict.fromkeys("–—―", "-"),
    **dict.fromkeys("。．｡۔।॥։።", "."), **dict.fromkeys("，、､،՝፣", ","), **dict.fromkeys("？؟՞", "?"),
    **dict.fromkeys("；؛", ";"), "…": "...", "！": "!", "：": ":", "（": "(", "）": ")", "·": "-", "・": " ",
}  # fmt: skip
"""Punctuation, and what has the same effect where it is missing."""

_LEADING = re.compile(r"\A[\s.,;:!?)\]…、。，；：！？]+")
"""What would stand at the beginning without the words that it follows."""

_MOST_SHOWN = 5
_LONGEST_SHOWN = 20


@dataclass(frozen=True)
class ReadableText:
    """A text as a model can read it.

    Attributes:
        edited: The text, and where its characters came from.
        unread: What it does not hold any more of the original, in order.
    """

    edited: EditedText
    unread: tuple[Unread, ...] = ()

    @property
    def text(self) -> str:
        """The text itself."""
        return self.edited.text


def readable_text(text: str, reads: Callable[[str], bool], *, who: str, nothing: str = "") -> ReadableText:
    """Return a text without the characters that a model cannot read.

    A letter with a mark that is missing becomes the letter without it. Punctuation that is missing becomes its nearest
    relative, or nothing, without a word: it has no sound.

    Args:
        text: What is to be said.
        reads: Tells whether the model's vocabulary has a character, as the model's own reading of text prepares it.
        who: The provider, for the message.
        nothing: What to say where nothing is left; "": that the vocabulary has nothing of the text.

    Raises:
        UnspeakableText: Nothing is left that could be said.
    """
    known = {char: reads(char) for char in set(text)}
    missing = "".join(char for char, is_read in known.items() if not is_read)
    edited = EditedText(text)
    unread: tuple[Unread, ...] = ()
    if missing:
        instead = {char: _instead(char, reads) for char in missing}
        runs = re.compile(f"[{re.escape(missing)}]+")
        edited, unread = edited.replaced(_edits(text, runs, instead)), tuple(_unread(text, runs, instead))
        if text.lstrip()[:1] in missing:
            edited = edited.substituted(_LEADING, "")
    if not is_speakable(edited.text):
        raise UnspeakableText(
            nothing or "the model's vocabulary has no letter or digit of it", who=who,
            fix="write it in the script of a language that the model speaks",
        )  # fmt: skip
    return ReadableText(edited, unread)


def unread_words(text: str) -> tuple[Unread, ...]:
    """Return all of a text as unread, word by word, without what has no sound anyway."""
    words = (word.span() for word in re.finditer(r"\S+", text))
    return tuple(Unread(span) for span in words if not all(map(is_silent, text[slice(*span)])))


def unread_warnings(who: str, text: str, unread: Iterable[Unread], *, offset: int = 0) -> tuple[str, ...]:
    """Return the warnings for what a provider does not say as it stands.

    Args:
        who: The provider's name.
        text: The caller's text.
        unread: Stretches of it; neighbours are named together.
        offset: Where the text begins in a longer one, for the places.
    """
    left_out: list[tuple[int, int]] = []
    changed: list[Unread] = []
    for each in sorted(unread, key=lambda item: item.span):
        if each.instead:
            changed.append(each)
        elif left_out and each.span[0] <= left_out[-1][1]:
            left_out[-1] = (left_out[-1][0], max(left_out[-1][1], each.span[1]))
        else:
            left_out.append(each.span)
    warnings = []
    if left_out:
        named = [_named(text, span, offset) for span in left_out]
        warnings.append(f"{who} has no sound for {_listed(named)}: left out")
    if changed:
        named = [f"{_named(text, each.span, offset)} as {each.instead!r}" for each in changed]
        warnings.append(f"{who} reads {_listed(named)}")
    return tuple(warnings)


def is_silent(char: str) -> bool:
    """Tell whether a character has no sound anyway: white space, punctuation that is not said, invisible ones."""
    category = unicodedata.category(char)
    if category[0] in "PZ" or category in {"Cc", "Cf", "Sk"}:
        return char not in _READ_PUNCTUATION
    return False


def is_picture(char: str) -> bool:
    """Tell whether a character is an emoji or another picture, which has no reading of its own in a text."""
    if "\u2190" <= char <= "\u21ff":  # arrows
        return True
    if char < "\u2190" or unicodedata.category(char) not in {"So", "Sk", "Co", "Cn"}:
        return False
    return not ("\u3000" <= char <= "\u33ff" or "\ua000" <= char <= "\ud7ff" or "\ufb00" <= char <= "\ufffc")


def _instead(char: str, reads: Callable[[str], bool]) -> str:
    """Return what is read in a character's place, "" for nothing."""
    plain = _LETTERS.get(char) or _MARKS.get(char)
    if plain is None:
        base = unicodedata.normalize("NFD", char)
        plain = base[0] if len(base) > 1 and unicodedata.category(base[1])[0] == "M" else ""
    return plain if plain and all(map(reads, plain)) else ""


def _edits(text: str, runs: re.Pattern[str], instead: dict[str, str]) -> Iterator[tuple[int, int, str]]:
    """Yield the edits that take the characters of runs out of a text, one by one where others take their place."""
    at = 0
    for run in runs.finditer(text):
        start, end = run.span()
        if any(map(instead.__getitem__, run[0])):
            yield from ((start + n, start + n + 1, instead[char]) for n, char in enumerate(run[0]))
        else:
            edit = _without(text, start, end, at)
            yield edit
            end = edit[1]
        at = end


def _without(text: str, start: int, end: int, at: int) -> tuple[int, int, str]:
    """Return the edit that removes characters, and a space that would be one too many.

    Args:
        text: The text.
        start: First character to remove.
        end: One past the last one.
        at: Where the edit before ended.
    """
    before, after = text[max(at, start - 1) : start], text[end : end + 1]
    if not before and after.isspace():
        return start, end + 1, ""
    if before.isspace() and (not after or after.isspace() or is_silent(after)):
        return start - 1, end, ""
    # A sign between two words separates them; a letter in a word does not.
    run = text[start:end]
    apart = before.isalnum() and after.isalnum() and not any(map(str.isalnum, run))
    return start, end, " " if apart and not _is_mark(run) else ""


def _is_mark(run: str) -> bool:
    return all(unicodedata.category(char) in {"Mn", "Me", "Cf", "Sk"} or char in "'’ʼ" for char in run)


def _unread(text: str, runs: re.Pattern[str], instead: dict[str, str]) -> Iterator[Unread]:
    for run in runs.finditer(text):
        start = run.start()
        for at, char in enumerate(run[0], start):
            if not is_silent(char):
                yield Unread((at, at + 1), instead[char])


def _named(text: str, span: tuple[int, int], offset: int) -> str:
    start, end = span
    shown = text[start : min(end, start + _LONGEST_SHOWN)]
    return f"{shown!r} at {offset + start}"


def _listed(named: Sequence[str]) -> str:
    more = f" and {len(named) - _MOST_SHOWN} more" if len(named) > _MOST_SHOWN else ""
    return f"{', '.join(named[:_MOST_SHOWN])}{more}"
