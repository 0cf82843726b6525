"""Words with their phonemes, cut into what a graph speaks at once, for plugins that read text word by word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

__all__ = ["SaidWord", "Word", "cut_phrases", "is_said", "lay_out"]


@dataclass(frozen=True)
class Word:
    """A word and its symbols in a phrase.

    Attributes:
        span: Where it stands in the text, without the punctuation around it.
        first: Its first symbol in the phrase; stress belongs to the word, punctuation around it does not.
        last: One past its last one.
        follows: Nothing but a space stands between it and the word before.
    """

    span: tuple[int, int]
    first: int
    last: int
    follows: bool = False


@dataclass(frozen=True)
class SaidWord:
    """A word with its phonemes, all of them symbols of the graph."""

    span: tuple[int, int]
    phonemes: str


def is_said(word: str) -> bool:
    """Tell whether a stretch of text has letters or digits, so that it should be heard."""
    return any(char.isalnum() for char in word)


def cut_phrases(
    words: Sequence[SaidWord], *, most: int, ends: Collection[str], least_clause: int | None = None
) -> Iterator[list[SaidWord]]:
    """Yield the words of a sentence in parts that a graph can take, cut behind a clause where there is one.

    Args:
        words: Of the sentence.
        most: Symbols that the graph takes, with a space between two words; a longer word comes in pieces.
        ends: Symbols that end a clause.
        least_clause: Every clause of so many symbols is a part of its own; None: only what is too long is cut.
    """
    part: list[SaidWord] = []
    size = clause_end = 0
    for word in (piece for whole in words for piece in _pieces(whole, most - 1)):
        if part and size + len(word.phonemes) + 1 > most:
            at = clause_end or len(part)
            yield part[:at]
            part, clause_end = part[at:], 0
            size = sum(len(rest.phonemes) + 1 for rest in part)
        part.append(word)
        size += len(word.phonemes) + 1
        if word.phonemes[-1] in ends:
            clause_end = len(part)
            if least_clause is not None and size >= least_clause:
                yield part
                part, size, clause_end = [], 0, 0
    if part:
        yield part


def lay_out(
    words: Sequence[SaidWord], is_sound: Callable[[str], bool], marks: Collection[str], *, first: int = 0
) -> tuple[str, tuple[Word, ...]]:
    """Return the symbols of a phrase, with a space between two words, and the words that are heard.

    Args:
        words: Of the phrase.
        is_sound: Tells whether a symbol is heard; a word without one is left out.
        marks: Punctuation, which does not belong to a word that it stands around.
        first: Number of the first symbol, which may stand behind a pad.
    """
    symbols: str = ""
    heard: list[Word] = []
    for word in words:
        symbols += " " if symbols else ""
        own = [at for at, char in enumerate(word.phonemes, start=first + len(symbols)) if char not in marks]
        symbols += word.phonemes
        if any(map(is_sound, word.phonemes)):
            follows = bool(heard) and heard[-1].last + 1 == own[0]
            heard.append(Word(word.span, own[0], own[-1] + 1, follows))
    return symbols, tuple(heard)


def _pieces(word: SaidWord, most: int) -> Iterator[SaidWord]:
    """Yield a word, in pieces if it alone is too much."""
    for at in range(0, len(word.phonemes), most):
        yield SaidWord(word.span, word.phonemes[at : at + most])
