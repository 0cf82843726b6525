"""The one variant of espeak: sentence by sentence through the C library."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.hooks import hookimpl
from realtts.contract.types import Chunk, Unread, Voice
from realtts.errors import InvalidOption, UnspeakableText, VoiceUnsupported
from realtts.text import paragraphs, pieces, sentences
from realtts_espeak.catalogue import DEFAULT_VOICE, BuiltinVoice, Catalogue, read_catalogue
from realtts_espeak.delivery import VARIANTS, delivered, rate_factor
from realtts_espeak.fitting import cuts, is_silent
from realtts_espeak.hazards import names_punctuation
from realtts_espeak.letters import readable
from realtts_espeak.library import SAMPLE_RATE, fresh_library
from realtts_espeak.marks import Onset, unheard, word_marks
from realtts_espeak.minus import with_minus
from realtts_espeak.numerals import number_edges, reading
from realtts_espeak.options import EspeakOptions
from realtts_espeak.phonemes import mnemonics
from realtts_espeak.runs import pronounced, spelled
from realtts_espeak.synthesis import MAX_RATE, MIN_RATE, Manner, plain_text, speak, taken_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.delivery import Delivery
    from realtts.contract.types import Mark, Request, VoiceInfo

__all__ = ["Espeak", "Plain"]

_MAX_CHARS = 1000
"""Longer sentences are cut: this bounds the memory of a call, and how long other threads wait."""

_PAUSING = frozenset(",;:.!?…、，；：。！？؛،।")


@dataclass(frozen=True)
class Espeak:
    """The loaded model: the library itself is loaded anew for every sentence.

    Attributes:
        catalogue: The voices and variants of the library.
    """

    catalogue: Catalogue


class Plain:
    """The hooks of the plain variant."""

    @hookimpl
    def load(self, context: Context) -> Espeak:
        """Load the library once to see that it works and what it can speak with.

        Raises:
            BrokenProvider: Library or data are missing, or cannot be loaded.
        """
        with fresh_library() as library:
            return Espeak(read_catalogue(library))

    @hookimpl
    def voices(self, context: Context, model: Espeak) -> Sequence[VoiceInfo]:
        """Return all voices; variants are an option."""
        return model.catalogue.infos()

    @hookimpl
    def generate(self, context: Context, model: Espeak, request: Request) -> Iterator[Chunk]:
        """Speak, one chunk per sentence, with the marks of its words.

        The seed is not needed, equal requests give equal samples.

        Raises:
            VoiceNotFound: No such voice.
            VoiceUnsupported: A recording to clone was given.
            UnknownLanguage: No voice speaks the language.
            InvalidOption: No such variant.
            UnspeakableText: espeak finds no word in the text.
        """
        options = EspeakOptions.of(request)
        voice = _voice(model.catalogue, request)
        name = _named(model.catalogue, voice, options, request.delivery)
        speed = request.speed * rate_factor(request.delivery)
        manner, warnings = _manner(name, options, speed)
        manner, of_delivery = delivered(manner, request.delivery)
        warnings += of_delivery
        audible = False
        for chunk in _spoken(request, voice.language, manner):
            yield replace(chunk, warnings=(*warnings, *chunk.warnings))
            audible, warnings = audible or len(chunk.samples) > 0, ()
        if not audible and not request.cancelled():
            raise UnspeakableText(
                f"espeak-ng finds nothing to say in {request.text[:40]!r}",
                who="espeak",
                fix="give it words, or a voice that knows the script",
            )

    @hookimpl
    def unload(self, context: Context, model: Espeak) -> None:
        """Do nothing: no state outlives a sentence."""


def _voice(catalogue: Catalogue, request: Request) -> BuiltinVoice:
    if isinstance(request.voice, Voice):
        raise VoiceUnsupported(
            "it cannot clone a voice from a recording",
            who="espeak",
            fix="choose an id of voices(), or a provider that clones",
        )
    if request.voice is not None:
        return catalogue.voice(request.voice)
    return catalogue.speaker(request.language or DEFAULT_VOICE)


def _named(catalogue: Catalogue, voice: BuiltinVoice, options: EspeakOptions, delivery: Delivery) -> str:
    """Return what espeak calls the voice, with the variant of the option or else of the gender that is asked for."""
    variant = VARIANTS.get(delivery.gender, "")
    if options.variant or not variant:
        return catalogue.named(voice, options.variant)
    try:
        return catalogue.named(voice, variant)
    except InvalidOption:  # the names are too long together for espeak
        return catalogue.named(voice, "")


def _spoken(request: Request, language: str, manner: Manner) -> Iterator[Chunk]:
    """Yield the chunks of a request: its phonemes, its letters or its text."""
    delivery = request.delivery
    if delivery.phonemes:
        names = mnemonics(delivery.phonemes, delivery.alphabet, manner.voice)
        if names is not None:
            yield from pronounced(request.text, names, manner, request.cancelled)
            return
        unsaid = f"espeak-ng cannot speak {delivery.phonemes[:40]!r} ({delivery.alphabet[:20]}): it says the text"
        yield Chunk(np.zeros(0, np.float32), SAMPLE_RATE, warnings=(f"{unsaid}, {request.text[:40]!r}",))
    if delivery.spelling:
        yield from spelled(request.text, manner, request.cancelled)
    else:
        yield from _plain(request, language, manner)


def _manner(voice: str, options: EspeakOptions, speed: float) -> tuple[Manner, tuple[str, ...]]:
    """Return how to speak, and what the user should know about it."""
    words_per_minute = round(options.rate * speed)
    rate = min(max(words_per_minute, MIN_RATE), MAX_RATE)
    warnings: tuple[str, ...] = ()
    if rate != words_per_minute:
        warnings = (f"espeak speaks {MIN_RATE} to {MAX_RATE} words per minute: {rate} instead of {words_per_minute}",)
    punctuation = options.punctuation and names_punctuation(voice)
    if punctuation != options.punctuation:
        warnings += ("espeak-ng 1.52 cannot name punctuation with this voice: the option punctuation is left out",)
    manner = Manner(voice, rate, options.pitch, options.pitch_range, options.volume, options.word_gap, punctuation)
    return manner, warnings


def _plain(request: Request, language: str, manner: Manner) -> Iterator[Chunk]:
    edited = readable(with_minus(plain_text(request.text), manner.voice), manner)
    text = edited.text
    spans = _spans(text, language)
    start, end = next(spans, (0, 0))
    offset = 0
    unread = tuple(map(Unread, taken_out(request.text)))
    while start < end:
        following, following_end = next(spans, (0, 0))
        last = following == following_end
        # With the white space behind it, which tells espeak where a paragraph ends: its pause is longer.
        for part in _parts(text, start, end if last else following, manner, last=last):
            piece = text[part.start : part.end]
            reader = reading(piece, manner)
            utterance = speak(piece, reader, request.cancelled, end_pause=part.pause)
            if utterance.cancelled:
                return
            piece, unsaid = _without_silent(piece, utterance.words, reader)
            places = ((part.start + left, part.start + right) for left, right in unsaid)
            unread += tuple(Unread(edited.to_original(place)) for place in places)
            marks = word_marks(piece, utterance.words, utterance.samples, SAMPLE_RATE)
            if marks or utterance.samples.any():
                placed = _moved(marks, offset, part.start)
                placed = tuple(replace(mark, span=edited.to_original(mark.span)) for mark in placed)
                yield Chunk(utterance.samples, SAMPLE_RATE, placed, unread=unread)
                offset += len(utterance.samples)
                unread = ()
        start, end = following, following_end
    if offset and unread:
        yield Chunk(np.zeros(0, np.float32), SAMPLE_RATE, unread=unread)


@dataclass(frozen=True)
class _Part:
    """A stretch that espeak can hold, and whether the pause behind it is wanted."""

    start: int
    end: int
    pause: bool


def _parts(text: str, start: int, end: int, manner: Manner, *, last: bool) -> Iterator[_Part]:
    """Yield a sentence whole, or in parts if espeak cannot hold it."""
    stretch = text[start:end]
    ends = {0, *cuts(stretch, manner.voice, named=manner.punctuation), *number_edges(stretch, manner), end - start}
    for left, right in pairwise(start + place for place in sorted(ends)):
        # Cut at a mark, a part ends with its pause; cut elsewhere, the next one follows at once.
        pause = not last if right == end else text[left:right].rstrip()[-1:] in _PAUSING
        yield _Part(left, right, pause)


def _without_silent(text: str, onsets: Sequence[Onset], manner: Manner) -> tuple[str, list[tuple[int, int]]]:
    """Return a text with spaces for what espeak did not speak, and where that is."""
    unsaid = [span for span in unheard(text, onsets) if is_silent(text[slice(*span)], manner.voice)]
    if not unsaid:
        return text, []
    blanked = list(text)
    for left, right in unsaid:
        blanked[left:right] = " " * (right - left)
    return "".join(blanked), unsaid


def _spans(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Yield sentences, cut where they are too long; paragraph by paragraph, so that a book starts at once."""
    for top, bottom in paragraphs(text):
        for left, right in sentences(text[top:bottom], language):
            start, end = top + left, top + right
            if end - start <= _MAX_CHARS:
                yield start, end
            else:
                for piece in pieces(text[start:end], _MAX_CHARS, language):
                    yield start + piece.start, start + piece.end


def _moved(marks: list[Mark], offset: int, start: int) -> tuple[Mark, ...]:
    """Return marks of a sentence as marks of the request."""
    seconds = offset / SAMPLE_RATE
    return tuple(
        replace(
            mark,
            start=mark.start + seconds,
            end=mark.end + seconds,
            span=(mark.span[0] + start, mark.span[1] + start),
        )
        for mark in marks
    )
