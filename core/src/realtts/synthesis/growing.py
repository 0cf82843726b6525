"""The plan of a text that is still being written: pieces come one after the other, as soon as they are certain.

What they are depends on the text alone, not on how and when it came.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts import text as texts
from realtts.errors import InvalidOption, InvalidText, TextTooLong, UnspeakableText
from realtts.kit.seeds import piece_seed
from realtts.synthesis.growing_text import GrowingText
from realtts.synthesis.pauses import PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S
from realtts.synthesis.piece_queue import PieceQueue
from realtts.synthesis.pieces import Piece
from realtts.synthesis.plan import make_outline
from realtts.text.arriving import SentenceFeed
from realtts.text.check import check_characters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.registry.extensions import Extensions
    from realtts.settings import Settings
    from realtts.synthesis.plan import Ask, Outline, Plan
    from realtts.text.arriving import Arrived

__all__ = ["Growth", "grow_plan"]

LONGEST_SENTENCE = 500
"""Characters after which a sentence without an end is cut, of providers that take texts of any length."""


def grow_plan(ask: Ask, *, spec: ProviderSpec, settings: Settings, extensions: Extensions) -> Growth:
    """Check all arguments of a call whose text is still to come, and begin its plan.

    Raises:
        InputError: The language, seed, speed or an option is wrong, or the text would be SSML.
    """
    outline = make_outline(ask, spec=spec, settings=settings, extensions=extensions)
    if outline.markup or outline.own_markup:
        raise InvalidOption(
            "SSML can be read as a whole only", who=outline.who, fix="join the text to one string, or leave out ssml="
        )
    return Growth(outline, spec, settings)


class Growth:
    """The growing of one plan.

    Args:
        outline: The checked arguments.
        spec: Who speaks.
        settings: Of the provider.

    Attributes:
        plan: What grows.
        queue: Where its pieces go.
        template: What the requests of its pieces are made from.
    """

    def __init__(self, outline: Outline, spec: ProviderSpec, settings: Settings) -> None:
        self._outline, self.template = outline, outline.template
        self._spec = spec
        self._most = settings.max_text_chars
        self._join = settings.stream_lookahead
        self._longest = spec.max_chars or LONGEST_SENTENCE
        # As the whole text would be cut: a piece waits until it is certain what goes with it.
        self._whole = spec.max_chars is not None and self._join >= spec.max_chars
        longest = self._longest * 8 if self._whole else self._longest
        self._feed = SentenceFeed(outline.template.language, longest)
        self._items = self._size = 0  # of what was written
        self._written = GrowingText(outline)
        self._held, self._held_ends = "", True  # prepared, and not yet in pieces
        self._last_end = 0  # of the last piece in what is held
        self._between: str | None = None  # prepared text behind the last piece; None: there is no piece
        self._ended = True  # whether a sentence ends with the last piece
        self.queue = PieceQueue(outline.template.voice)
        self.plan: Plan = replace(outline.plan, pieces=[], to_original=self._written.to_original, growth=self.queue)

    def push(self, item: object) -> None:
        """Take what was written next.

        Raises:
            InputError: It is no string, or the text cannot be spoken.
            ExtensionError: An extension failed.
        """
        who = self._outline.who
        if not isinstance(item, str):
            raise InvalidText(
                f"item {self._items} of the text is a {type(item).__name__}, not a str", who=who,
                fix="hand over strings, and nothing where there is no text",
            )  # fmt: skip
        check_characters(item, who, self._size)
        self._items, self._size = self._items + 1, self._size + len(item)
        if self._size > self._most:
            raise TextTooLong(
                f"the text has more than {self._most:,} characters so far", who=who,
                fix="raise the setting max_text_chars, or begin a new stream",
            )  # fmt: skip
        self._add(self._feed.push(item))

    def finish(self) -> None:
        """Note that all of the text was written. Raises as `push`."""
        self._add(self._feed.finish())
        self._flush(last=True)
        if not self.plan.pieces:
            texts.check_text(self.plan.text, max_chars=self._most, who=self._outline.who)
            raise UnspeakableText("there is nothing to say in it", who=self._outline.who, fix="give some words")
        self.queue.end()

    def fail(self, error: BaseException) -> None:
        """Note that the text ends with an error; sentences that were complete are spoken before it is raised."""
        try:
            self._flush(last=True)
        finally:
            self.queue.end(error)

    def _add(self, arrived: Sequence[Arrived]) -> None:
        for sentence in arrived:
            prepared = self._written.add(sentence.text)
            self.plan.text += sentence.text
            self.plan.warnings = tuple(self._outline.warnings)
            if not self._whole and self._held_is_complete(prepared):
                self._flush()
            self._held, self._held_ends = self._held + prepared, sentence.ends
            if self._whole:
                self._flush_certain()
            elif len(self._held.strip()) >= self._join and texts.is_speakable(self._held):
                self._flush()

    def _held_is_complete(self, prepared: str) -> bool:
        """Tell whether nothing may join what is held: not a next sentence, for its length or a blank line."""
        if not texts.is_speakable(self._held):
            return False
        return len((self._held + prepared).strip()) > self._join or _parted(self._held[len(self._held.rstrip()) :])

    def _flush_certain(self) -> None:
        """Make pieces of what is held, as those of the whole text: all but the last, which more may join."""
        if self._written.length <= self._longest:
            return  # it may be a single piece
        cuts = texts.pieces(self._held, self._longest, self._outline.template.language)
        if len(cuts) > 1:
            self._emit(cuts[:-1])
            self._keep(cuts[-1].start)

    def _flush(self, *, last: bool = False) -> None:
        """Make pieces of all that is held."""
        if last and self._whole and not self.plan.pieces and 0 < self._written.length <= self._longest:
            if texts.is_speakable(self._held):
                self._emit([texts.Piece(0, len(self._held), paragraph_end=True, sentence_end=True)])
            return
        self._emit(texts.pieces(self._held, self._longest, self._outline.template.language))
        self._ended = self._held_ends
        self._keep(len(self._held))

    def _keep(self, start: int) -> None:
        """Keep what is held from a place on; what lies before it is in pieces, or between them."""
        if self._between is not None:
            self._between += self._held[self._last_end : start]
        self._held, self._last_end = self._held[start:], 0

    def _emit(self, cuts: Sequence[texts.Piece]) -> None:
        template, start = self._outline.template, self._written.length - len(self._held)
        pieces: list[Any] = self.plan.pieces  # type: ignore[assignment]
        for cut in cuts:
            gap_s = 0.0
            if self._between is not None:
                between = self._between + self._held[self._last_end : cut.start]
                gap_s = PARAGRAPH_PAUSE_S if _parted(between) else SENTENCE_PAUSE_S if self._ended else 0.0
            text, seed = self._held[cut.start : cut.end], piece_seed(template.seed, len(pieces))
            piece = Piece(
                replace(template, text=text, seed=seed),
                start=start + cut.start,
                stretch=self._outline.stretch,
                gap_s=gap_s / self._outline.speed,
            )
            self._between, self._ended, self._last_end = "", cut.sentence_end, cut.end
            pieces.append(piece)
        if cuts:
            self.queue.put(pieces[-len(cuts) :])


def _parted(between: str) -> bool:
    """Tell whether a blank line lies in what stands between two sentences."""
    return len(list(texts.paragraphs(f"a{between}a"))) > 1
