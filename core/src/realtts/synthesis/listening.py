"""Listening to pieces before anybody gets them: whether their words are all there, and when each is spoken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.exception_text import describe_error
from realtts.kit.seeds import derive_seed
from realtts.listening import listen, word_marks
from realtts.synthesis.takes import Take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.types import Chunk, Mark
    from realtts.listening import Hearing, Missing
    from realtts.synthesis.rows import Row
    from realtts.synthesis.words_asked import WordsAsked

__all__ = ["MOST_RETRIES", "PieceListener"]

MOST_RETRIES = 2
"""Times that a piece is spoken again because of its words."""

_MOST_NAMED = 5


class PieceListener:
    """The listener to all pieces of a call."""

    def __init__(self) -> None:
        self._repeats_itself = False  # the provider speaks the same, whatever the seed

    def settle(self, row: Row, asked: WordsAsked) -> bool:
        """Let a piece stand, with timings where they are wanted, or begin it again with another seed.

        Args:
            row: With its audio.
            asked: What its call asks.

        Returns:
            Whether it stands.
        """
        aligns = asked.align and not any(mark.kind == "word" for chunk in row.chunks for mark in chunk.marks)
        if not (asked.check_words or aligns):
            return True
        try:
            hearing = _listened(row, asked)
        except Exception as error:  # the speech is there: it is handed over, and the caller is told
            row.warnings.append(f"{row.shown} was not listened to: {describe_error(error)}")
            return True
        if asked.check_words:
            missing = _spoken_of(hearing.account.missing, row)
            if missing and self._speaks_again(row, hearing, missing):
                return False
            hearing = _chosen(row, hearing, missing)
        if aligns:
            row.chunks = _with_marks(row.chunks, word_marks(hearing.account, row.seconds))
        return True

    def _speaks_again(self, row: Row, hearing: Hearing, missing: tuple[Missing, ...]) -> bool:
        """Note a take that lacks words, and begin the piece again unless that was done, or cannot help."""
        samples = _samples(row.chunks)
        if any(np.array_equal(samples, _samples(take.chunks)) for take in row.takes):
            self._repeats_itself = True
        row.takes.append(Take(row.chunks, row.seconds, row.finish, row.first_at, hearing, missing))
        if self._repeats_itself or len(row.takes) > MOST_RETRIES or row.plan.cancelled.is_set():
            return False
        row.warnings.append(f"{row.shown} lacked {_named(missing, row)} and was spoken again with another seed")
        row.retake(derive_seed(row.piece.request.seed, f"words {len(row.takes)}"))
        return True


def _listened(row: Row, asked: WordsAsked) -> Hearing:
    samples, rate = _samples(row.chunks), row.chunks[0].sample_rate
    return listen(asked.recognizer, samples, rate, row.request.text, language=row.request.language or asked.language)


def _chosen(row: Row, hearing: Hearing, missing: Sequence[Missing]) -> Hearing:
    """Let the row have its best take, and return what was heard of that."""
    takes, row.takes = row.takes, []
    if not missing:
        return hearing
    best = min(takes, key=lambda take: (len(take.missing), take.hearing.account.rate))
    row.chunks, row.seconds, row.finish, row.first_at = best.chunks, best.seconds, best.finish, best.first_at
    times = "once" if len(takes) == 1 else f"{len(takes)} times"
    row.warnings.append(f"{row.shown} lacks {_named(best.missing, row)}, though it was spoken {times}")
    return best.hearing


def _samples(chunks: Sequence[Chunk]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.concatenate([chunk.samples for chunk in chunks])


def _spoken_of(missing: Sequence[Missing], row: Row) -> tuple[Missing, ...]:
    """Return the words without those of which the provider says itself that it does not say them as they stand."""
    unread = [each.span for chunk in row.chunks for each in chunk.unread]
    return tuple(
        word for word in missing if not any(start < word.span[1] and word.span[0] < end for start, end in unread)
    )


def _named(missing: Sequence[Missing], row: Row) -> str:
    """Return words as the caller has written them, with their places."""
    plan, start = row.plan, row.piece.start
    names = []
    for word in missing[:_MOST_NAMED]:
        first, last = plan.to_original((word.span[0] + start, word.span[1] + start))
        line = plan.text.count("\n", 0, first) + 1
        column = first - plan.text.rfind("\n", 0, first)
        names.append(f"{(plan.text[first:last] or word.text)!r} (line {line}, column {column})")
    rest = len(missing) - _MOST_NAMED
    return ", ".join(names) + (f" and {rest} more words" if rest > 0 else "")


def _with_marks(chunks: Sequence[Chunk], marks: Sequence[Mark]) -> list[Chunk]:
    """Return the chunks with the marks that begin in each."""
    result, left, reached = [], list(marks), 0.0
    for index, chunk in enumerate(chunks):
        reached += chunk.duration
        last = index == len(chunks) - 1
        here = [mark for mark in left if last or mark.start < reached]
        left = left[len(here) :]
        result.append(replace(chunk, marks=(*chunk.marks, *here)))
    return result
