"""The account of words: what was heard against what was to be said, word by word, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from realtts.listening.libraries import check_libraries
from realtts.listening.likeness import joined_alike, matches
from realtts.listening.loops import without_loops
from realtts.listening.normal import normal_words
from realtts.text.align import align

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.listening.heard import Heard
    from realtts.listening.normal import NormalWord

__all__ = ["Added", "Changed", "Missing", "Pair", "WordAccount", "account_of"]

_OPENING = " \t\n([{\"'“‘„«»"
_CLOSING = " \t\n.,;:!?)]}\"'”’»…。！？、，"


@dataclass(frozen=True)
class Missing:
    """A word of the text that was not heard.

    Attributes:
        text: As it stands in the text.
        span: Start and end character in the text.
        instead: What was heard in its place, normalized; empty: nothing.
    """

    text: str
    span: tuple[int, int]
    instead: str = ""


@dataclass(frozen=True)
class Changed:
    """A word that was heard and written otherwise, such as a name.

    Attributes:
        text: As it stands in the text.
        span: Start and end character in the text.
        heard: What was written, normalized.
    """

    text: str
    span: tuple[int, int]
    heard: str


@dataclass(frozen=True)
class Added:
    """Words that were heard and do not stand in the text.

    Attributes:
        heard: Normalized.
        at: Character of the text behind which they were heard.
        start: Seconds.
    """

    heard: str
    at: int
    start: float


class Pair(NamedTuple):
    """A stretch of the text and when it was heard."""

    span: tuple[int, int]
    start: float
    end: float


@dataclass(frozen=True)
class WordAccount:
    """The words of one text.

    Attributes:
        text: What was to be said.
        heard: What was heard, as the recognizer wrote it.
        words: Words of the reading that is nearest to what was heard, normalized.
        errors: Words of it that are missing, added or replaced, as the word error rate counts them.
        missing: Words that were not heard.
        changed: Words that were written otherwise.
        added: Words that do not stand in the text.
        looped: The recognizer repeated a phrase again and again; the repeats are not counted.
        pairs: When each stretch of the text was heard, in order, as far as it was.
    """

    text: str
    heard: str
    words: int
    errors: int
    missing: tuple[Missing, ...] = ()
    changed: tuple[Changed, ...] = ()
    added: tuple[Added, ...] = ()
    looped: bool = False
    pairs: tuple[Pair, ...] = ()

    @property
    def rate(self) -> float:
        """Word error rate: errors over words of the text; 0.0 is perfect, it may be above 1."""
        return self.errors / max(1, self.words)


class _Place(NamedTuple):
    """A heard word, normalized, with its time."""

    text: str
    start: float
    end: float


class _Block(NamedTuple):
    """A run of words of the text, and what was heard there."""

    equal: bool
    said: range
    heard: range


def account_of(text: str, heard: Heard, language: str | None, readings: Sequence[str] = ()) -> WordAccount:
    """Hold what was heard against a text.

    Args:
        text: What was to be said.
        heard: By a recognizer.
        language: BCP 47 tag; None counts as English.
        readings: Other ways in which the text may be read, such as with its numbers in words. The nearest one counts.

    Raises:
        MissingExtra: A library of ``realtts[listen]`` is not installed.
    """
    check_libraries()
    places = _places(heard, language, bracketed=any(bracket in text for bracket in "([{<"))
    accounts = [_account(text, reading, heard, places, language) for reading in dict.fromkeys((text, *readings))]
    return min(accounts, key=lambda account: (account.rate, len(account.missing)))


def _account(text: str, reading: str, heard: Heard, places: Sequence[_Place], language: str | None) -> WordAccount:
    said = normal_words(reading, language, brackets_are_said=True)
    left = without_loops([place.text for place in places], [word.text for word in said])
    counted = [places[index] for index in left]
    errors, blocks = _compared([word.text for word in said], [place.text for place in counted])
    comparison = _Comparison(text, reading, said, counted)
    for block in blocks:
        comparison.take(block)
    return WordAccount(
        text, heard.text, len(said), errors, tuple(comparison.missing), tuple(comparison.changed),
        tuple(comparison.added), len(left) < len(places), tuple(comparison.pairs),
    )  # fmt: skip


def _places(heard: Heard, language: str | None, *, bracketed: bool) -> list[_Place]:
    """Return the heard words, normalized, each with the time of what it stands for.

    What stands in brackets is noise, unless the text has some as well.
    """
    spans, at = [], 0
    for word in heard.words:
        spans.append((at, at + len(word.text.strip())))
        at = spans[-1][1] + 1
    places, first = [], 0
    for normal in normal_words(heard.text, language, brackets_are_said=bracketed):
        start, end = normal.span
        while first < len(spans) - 1 and spans[first][1] <= start:
            first += 1
        last = first
        while last < len(spans) - 1 and spans[last + 1][0] < end:
            last += 1
        places.append(_Place(normal.text, heard.words[first].start, heard.words[last].end))
    return places


def _compared(said: Sequence[str], heard: Sequence[str]) -> tuple[int, list[_Block]]:
    """Return the number of errors, and runs of equal and of other words in turn."""
    import jiwer

    output = jiwer.process_words(" ".join(said), " ".join(heard))
    blocks: list[_Block] = []
    for chunk in output.alignments[0]:
        block = _Block(
            chunk.type == "equal", range(chunk.ref_start_idx, chunk.ref_end_idx),
            range(chunk.hyp_start_idx, chunk.hyp_end_idx),
        )  # fmt: skip
        if blocks and not blocks[-1].equal and not block.equal:
            before = blocks.pop()
            block = _Block(
                equal=False, said=range(before.said.start, block.said.stop),
                heard=range(before.heard.start, block.heard.stop),
            )  # fmt: skip
        blocks.append(block)
    return output.substitutions + output.deletions + output.insertions, blocks


class _Comparison:
    """What comes of the blocks of a text.

    Args:
        text: What was to be said.
        reading: How it was read.
        said: The words of the reading.
        heard: What was heard.
    """

    def __init__(self, text: str, reading: str, said: Sequence[NormalWord], heard: Sequence[_Place]) -> None:
        self.missing: list[Missing] = []
        self.changed: list[Changed] = []
        self.added: list[Added] = []
        self.pairs: list[Pair] = []
        self._text = text
        self._to_text = align(text, reading)
        self._said = said
        self._heard = heard

    def take(self, block: _Block) -> None:
        """Note what a block tells."""
        if block.equal:
            for index, place in zip(block.said, block.heard, strict=True):
                self._pair(index, place)
        elif joined_alike([self._said[i].text for i in block.said], [self._heard[i].text for i in block.heard]):
            self._change(block.said, block.heard)
        else:
            self._take_apart(block)

    def _take_apart(self, block: _Block) -> None:
        """Match words that are alike one by one; the others are missing or added."""
        said, heard = [self._said[i].text for i in block.said], [self._heard[i].text for i in block.heard]
        instead = " ".join(heard)
        matched = dict(matches(said, heard))
        replaced = " ".join(word for index, word in enumerate(heard) if index not in matched.values())
        for index in range(len(said)):
            if index in matched:
                at = block.heard.start + matched[index]
                self._change(range(block.said[index], block.said[index] + 1), range(at, at + 1))
            else:
                self._miss(block.said[index], replaced if matched else instead)
        if replaced and len(said) == len(matched):
            self._add(block, [block.heard[i] for i in range(len(heard)) if i not in matched.values()])

    def _add(self, block: _Block, indices: Sequence[int]) -> None:
        before = self._span(block.said.start - 1)[1] if block.said.start else 0
        words = [self._heard[index] for index in indices]
        self.added.append(Added(" ".join(word.text for word in words), before, words[0].start))

    def _miss(self, index: int, instead: str) -> None:
        span = self._span(index)
        if self.missing and self.missing[-1].span == span:
            return  # several words of the reading stand for one stretch of the text
        self.missing.append(Missing(self._text[slice(*span)], span, instead))

    def _change(self, said: range, heard: range) -> None:
        span = self._span(said[0])[0], self._span(said[-1])[1]
        words = [self._heard[index] for index in heard]
        written = " ".join(word.text for word in words)
        self.changed.append(Changed(self._text[slice(*span)], span, written))
        self.pairs.append(Pair(span, words[0].start, words[-1].end))

    def _pair(self, index: int, place: int) -> None:
        heard = self._heard[place]
        self.pairs.append(Pair(self._span(index), heard.start, heard.end))

    def _span(self, index: int) -> tuple[int, int]:
        """Return the stretch of the text that a word stands for, without the punctuation around it."""
        start, end = self._to_text(self._said[index].span)
        stretch = self._text[start:end]
        word = stretch.rstrip(_CLOSING).lstrip(_OPENING)
        if not word:
            return start, end
        start += len(stretch) - len(stretch.lstrip(_OPENING))
        return start, start + len(word)
