"""A text as phrases: what the graph speaks at once, with the place of each word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.types import Unread
from realtts.errors import UnspeakableText
from realtts.kit.marks import bare_span
from realtts.kit.phrases import Word, is_said
from realtts.kit.placing import is_sound, is_stress, place_words
from realtts.text import EditedText, paragraphs, pieces, sentences
from realtts_piper.phonemizers import phonemizer_of
from realtts_piper.reading import Reader, apart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts_piper.voice import PiperVoice

__all__ = ["Phrase", "Phrases"]

_MOST_CHARS = 400
"""A longer sentence is cut: the graph's memory grows with the square of it."""

_WORD = re.compile(r"\S+")
_RAW = re.compile(r"[\s/\[\].|]+")


@dataclass(frozen=True)
class Phrase:
    """What the graph speaks at once.

    Attributes:
        ids: Numbers of its symbols.
        words: In order.
        unread: What of the text has no sound, up to here.
        missing: Phonemes that the voice does not have.
    """

    ids: tuple[int, ...]
    words: tuple[Word, ...]
    unread: tuple[Unread, ...] = ()
    missing: frozenset[str] = frozenset()


class Phrases:
    """Makes phrases of texts as one voice reads them.

    Args:
        voice: Its configuration.

    Raises:
        BrokenProvider, MissingExtra, CheckpointMismatch: As `phonemizer_of`.
    """

    def __init__(self, voice: PiperVoice) -> None:
        self._voice = voice
        self._phonemizer = phonemizer_of(voice)
        self._reader = Reader(voice, self._phonemizer)

    def of(self, text: str) -> Iterator[Phrase]:
        """Yield the phrases of a text, sentence by sentence; one may have no words, only what is not read.

        Raises:
            UnspeakableText: Nothing of it can be said.
        """
        readable = self._reader.read(text)
        edited = readable.edited.replaced(apart(readable.text))
        unread = readable.unread
        for start, end in self._sentences(edited.text):
            for phrase in self._sentence(edited, start, end):
                yield Phrase(phrase.ids, phrase.words, unread + phrase.unread, phrase.missing)
                unread = ()

    def unread(self, text: str) -> tuple[Unread, ...]:
        """Return what of a text has no sound.

        Raises:
            UnspeakableText: All of it.
        """
        phrases = list(self.of(text))
        if not any(phrase.words for phrase in phrases):
            raise UnspeakableText(
                f"the voice has no sound for {text[:40]!r}", who="provider 'piper'",
                fix=f"give it words of its language, {self._voice.tags[0]}",
            )  # fmt: skip
        return tuple(each for phrase in phrases for each in phrase.unread)

    def raw(self, phonemes: str, span: tuple[int, int]) -> Phrase | None:
        """Return a phrase of phonemes that are given in IPA; None: the voice has none of them."""
        import unicodedata

        given = list(unicodedata.normalize("NFD", _RAW.sub(" ", phonemes).strip()))
        have = [phoneme for phoneme in given if phoneme in self._voice.phoneme_id_map]
        if not any(map(is_sound, have)):
            return None
        ids, places = self._voice.ids(have)
        missing = frozenset(phoneme for phoneme in given if phoneme not in self._voice.phoneme_id_map)
        return Phrase(tuple(ids), (Word(span, places[0][0], places[-1][1]),), (), missing)

    def _sentences(self, text: str) -> Iterator[tuple[int, int]]:
        language = self._voice.tags[0]
        for top, bottom in paragraphs(text):
            for left, right in sentences(text[top:bottom], language):
                start, end = top + left, top + right
                if end - start <= _MOST_CHARS:
                    yield start, end
                    continue
                for piece in pieces(text[start:end], _MOST_CHARS, language):
                    yield start + piece.start, start + piece.end

    def _sentence(self, edited: EditedText, start: int, end: int) -> Iterator[Phrase]:
        text = edited.text[start:end]
        places = [match.span() for match in _WORD.finditer(text)]
        said = self._phonemizer.vowelled(text)
        words = said.split()
        if len(words) != len(places):  # what writes vowels has joined or parted words
            said, words = text, [text[slice(*place)] for place in places]
        alone = [self._phonemizer.word(word) for word in words]
        spans = [edited.to_original(bare_span(edited.text, (start + left, start + right))) for left, right in places]
        silent = [index for index, word in enumerate(words) if is_said(word) and not any(map(is_sound, alone[index]))]
        unread = tuple(Unread(spans[index]) for index in silent)
        at = 0
        spoken = self._phonemizer.sentences(said)
        for number, phonemes in enumerate(spoken):
            last = number == len(spoken) - 1
            taken = len(words) if last else at + _share(phonemes, alone[at:])
            yield self._phrase(phonemes, alone[at:taken], spans[at:taken], unread if last else ())
            at = taken
        if not spoken and unread:
            yield Phrase((), (), unread)

    def _phrase(
        self,
        phonemes: list[str],
        alone: Sequence[Sequence[str]],
        spans: Sequence[tuple[int, int]],
        unread: tuple[Unread, ...],
    ) -> Phrase:
        ids, places = self._voice.ids(phonemes)
        words: list[Word] = []
        lost: list[Unread] = []
        ended = 0  # of the word before, in phonemes
        for span, place in zip(spans, place_words(phonemes, alone), strict=True):
            if place is None:
                continue
            begin = _with_stress(phonemes, place[0])
            first, last = places[begin][0], places[max(place[0], place[1] - 1)][1]
            if place[0] == place[1]:
                words.append(Word(span, first, first))
            elif any(places[at][0] < places[at][1] for at in range(*place) if is_sound(phonemes[at])):
                follows = all(phoneme.isspace() for phoneme in phonemes[ended:begin]) and bool(words)
                words.append(Word(span, first, last, follows))
                ended = place[1]
            else:
                lost.append(Unread(span))
        missing = {phoneme for phoneme in phonemes if phoneme not in self._voice.phoneme_id_map}
        return Phrase(tuple(ids), tuple(words), unread + tuple(lost), frozenset(filter(is_sound, missing)))


def _with_stress(phonemes: Sequence[str], first: int) -> int:
    """Return where a word begins whose first sound is at a place: with the stress before it."""
    while first and is_stress(phonemes[first - 1]):
        first -= 1
    return first


def _share(phonemes: Sequence[str], alone: Sequence[Sequence[str]]) -> int:
    """Return how many of the coming words are in this sentence: espeak-ng ends sentences by rules of its own."""
    left = sum(map(is_sound, phonemes))
    count = 0
    for word in alone:
        size = sum(map(is_sound, word))
        if size and left < (size + 1) // 2:
            break
        left -= size
        count += 1
    return count
