"""What the speakers of models that speak phrase by phrase share: which phrases come, and what callers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from realtts.contract.timing import timed
from realtts.contract.types import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Mark, Request, Unread
    from realtts.kit.phrases import Word

__all__ = ["PhraseSpeaker", "SpokenPhrase"]

_MOST_SHOWN = 8


class SpokenPhrase(Protocol):
    """What a graph speaks at once."""

    @property
    def words(self) -> Sequence[Word]:
        """Its words, in order; none where nothing is heard."""

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What of the text has no sound, up to here."""

    @property
    def missing(self) -> frozenset[str]:
        """Phonemes that the graph does not have."""


PhraseT = TypeVar("PhraseT", bound=SpokenPhrase)


class PhraseSpeaker:
    """The base of a class that speaks one request.

    Args:
        context: For the times of its stages.
        request: What is asked for.
        rate: Of the samples, in Hz.
        name: What warnings call the one who speaks, such as ``"the voice"``.
    """

    def __init__(self, context: Context, request: Request, *, rate: int, name: str) -> None:
        self._context, self._request, self._rate, self._name = context, request, rate, name
        self._spoken = 0  # samples
        self._unread: tuple[Unread, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._missing: set[str] = set()

    def _phrases(
        self, read: Callable[[str], Iterator[PhraseT]], raw: Callable[[str, tuple[int, int]], PhraseT | None]
    ) -> Iterator[PhraseT]:
        """Yield the phrases of the request; what each loses of the text is told with the next chunk.

        Args:
            read: Yields the phrases of a text.
            raw: Returns the phrase of phonemes that are given in IPA, for a place in the text; None: it has none.
        """
        for phrase in self._of_request(read, raw):
            self._unread += phrase.unread
            missing = sorted(phrase.missing - self._missing)
            if missing:
                self._missing.update(missing)
                shown = " ".join(missing[:_MOST_SHOWN])
                self._warnings += (f"{self._name} lacks the sounds {shown}: words are spoken without them",)
            yield phrase

    def _of_request(
        self, read: Callable[[str], Iterator[PhraseT]], raw: Callable[[str, tuple[int, int]], PhraseT | None]
    ) -> Iterator[PhraseT]:
        text, delivery = self._request.text, self._request.delivery
        if delivery.phonemes:
            phrase = raw(delivery.phonemes, (0, len(text))) if delivery.alphabet == "ipa" else None
            if phrase is not None:
                yield phrase
                return
            said = f"{delivery.phonemes[:40]!r} ({delivery.alphabet[:20]})"
            self._warnings += (f"{self._name} cannot speak {said}: it says the text, {text[:40]!r}",)
        coming = read(text)
        while True:
            with timed(self._context, "phonemes"):
                phrase = next(coming, None)
            if phrase is None:
                return
            yield phrase

    def _chunk(self, samples: NDArray[np.float32], marks: tuple[Mark, ...] = ()) -> Chunk:
        """Return the next chunk, with what is to be told by now."""
        self._spoken += len(samples)
        chunk = Chunk(samples, self._rate, marks, warnings=self._warnings, unread=self._unread)
        self._unread, self._warnings = (), ()
        return chunk

    def _rest(self) -> Iterator[Chunk]:
        """Yield a chunk without samples where there is still something to tell."""
        if self._unread or self._warnings:
            yield self._chunk(np.zeros(0, np.float32))
