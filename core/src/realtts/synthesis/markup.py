"""From what SSML says to stretches of text that are spoken one after the other, with silence between them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from realtts import text as texts
from realtts.contract.delivery import Delivery
from realtts.errors import RealTTSError
from realtts.synthesis.pauses import CLAUSE_PAUSE_S, PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S
from realtts.synthesis.validate import check_language
from realtts.text.ssml_document import Bookmark, Boundary, Pause, Run, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Voice
    from realtts.text.ssml_document import Document, Style

__all__ = ["Anchor", "Script", "Stretch", "make_script"]

# What closes a text and sounds with it: marks of clauses and sentences, closing quotes and brackets.
_CLOSING = re.compile(r"[.,;:!?…。、，！？；：।॥؟،؛»”’\")\]」』）]+")
_SENTENCE_END = re.compile(r"[.!?…。！？।॥؟][»”’\")\]」』）]*\s*$")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


@dataclass(frozen=True)
class Anchor:
    """Where a ``<mark>`` stands: at a character of the spoken text, and some silence behind it."""

    bookmark: Bookmark
    at: int
    delay_s: float = 0.0


@dataclass
class Stretch:
    """A text that is spoken in one manner.

    Attributes:
        start, end: In the document's spoken text.
        style: How, without what the provider cannot do.
        voice: Who; None: the caller's voice.
        pause_s: Silence behind it.
        anchors: Marks inside it, and in the silence behind it.
    """

    start: int
    end: int
    style: Style
    voice: Voice | str | None = None
    pause_s: float = 0.0
    anchors: list[Anchor] = field(default_factory=list)


@dataclass
class Script:
    """Everything to be spoken.

    Attributes:
        stretches: In order.
        lead_s: Silence before the first.
        anchors: Marks in that silence.
        unsaid: Stretches of the spoken text that stand alone and have no sound.
    """

    stretches: list[Stretch] = field(default_factory=list)
    lead_s: float = 0.0
    anchors: list[Anchor] = field(default_factory=list)
    unsaid: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class _Gap:
    """What lies between two texts."""

    pauses: list[Pause] = field(default_factory=list)
    boundary: str = ""
    bookmarks: list[tuple[Bookmark, int]] = field(default_factory=list)  # each with the pauses before it
    closing: str = ""

    @property
    def is_seam(self) -> bool:
        """Whether the texts on both sides touch."""
        return not (self.pauses or self.boundary)


def make_script(
    document: Document, spec: ProviderSpec, *, speed: float, voice: Callable[[str], Voice | str | None]
) -> Script:
    """Cut a document where the manner of speaking changes for this provider, and where it says so.

    Args:
        document: With texts of ``<say-as>`` written out.
        spec: Who will speak.
        speed: Of the caller: pauses that were not given as a time shrink with it.
        voice: Looks the voice of a name up.

    Raises:
        UnknownLanguage, VoiceError: A language or a voice of the document is none of this provider's; says where.
    """
    return _Writer(document, spec, speed, voice).script()


class _Writer:
    def __init__(
        self, document: Document, spec: ProviderSpec, speed: float, voice: Callable[[str], Voice | str | None]
    ) -> None:
        self._document = document
        self._text = document.edited.text
        self._spec = spec
        self._speed = speed
        self._voice = voice
        self._styles: dict[Style, Style] = {}
        self._voices: dict[str, Voice | str | None] = {}
        self._gap = _Gap()
        self._script = Script()

    def script(self) -> Script:
        """Return what is to be spoken."""
        for item in self._document.items:
            if isinstance(item, Run):
                self._add(item)
            elif isinstance(item, Pause):
                self._gap.pauses.append(item)
            elif isinstance(item, Boundary):
                self._gap.boundary = "paragraph" if "paragraph" in (item.kind, self._gap.boundary) else item.kind
            else:
                self._gap.bookmarks.append((item, len(self._gap.pauses)))
        self._close_gap(None)
        return self._script

    def _add(self, run: Run) -> None:
        style, start = self._supported(run), run.start
        last = self._script.stretches[-1] if self._script.stretches else None
        if last is not None and self._gap.is_seam:
            if style == last.style and not style.unit:
                last.anchors += [Anchor(bookmark, start) for bookmark, _ in self._gap.bookmarks]
                last.end, self._gap = run.end, _Gap()
                return
            start = self._close(last, run)
        if not texts.is_speakable(self._text[start : run.end]):
            if last is not None and self._gap.is_seam and not last.style.unit:
                last.end = run.end
            elif any(char.isprintable() and not char.isspace() for char in self._text[start : run.end]):
                self._script.unsaid.append((start, run.end))
            return
        stretch = Stretch(start, run.end, style, self._voices.get(style.voice))
        self._close_gap(stretch)
        self._script.stretches.append(stretch)

    def _close(self, last: Stretch, run: Run) -> int:
        """Give marks that close a text to that text; return where the rest of the run begins."""
        closing = _CLOSING.match(self._text, run.start, run.end)
        if closing is None or self._text[last.end - 1 : last.end].isspace():
            return run.start
        if last.style.unit:
            self._gap.closing += closing[0]
        else:
            last.end = closing.end()
        return closing.end()

    def _close_gap(self, following: Stretch | None) -> None:
        """Make silence and anchors of what lies behind the last stretch."""
        gap, self._gap = self._gap, _Gap()
        last = self._script.stretches[-1] if self._script.stretches else None
        seconds = self._seconds(gap, last, following)
        if last is None:
            self._script.lead_s = seconds
        else:
            last.pause_s = seconds
        behind = self._script.anchors if last is None else last.anchors
        elapsed = [0.0, *accumulate(map(self._length, gap.pauses))]
        for bookmark, before in gap.bookmarks:
            if following is not None and before == len(gap.pauses) and (gap.pauses or gap.boundary or last is None):
                following.anchors.append(Anchor(bookmark, following.start))
            else:
                behind.append(Anchor(bookmark, 0 if last is None else last.end, elapsed[before]))

    def _seconds(self, gap: _Gap, last: Stretch | None, following: Stretch | None) -> float:
        if gap.pauses:
            return sum(map(self._length, gap.pauses))
        if last is None or following is None:
            return 0.0
        said = self._text[last.start : last.end]
        between = self._text[last.start + len(said.rstrip()) : following.start + 1]
        natural = CLAUSE_PAUSE_S if gap.closing else 0.0
        if gap.boundary == "paragraph" or _BLANK_LINE.search(between):
            natural = PARAGRAPH_PAUSE_S
        elif gap.boundary or _SENTENCE_END.search(gap.closing or said):
            natural = SENTENCE_PAUSE_S
        return natural / self._speed

    def _length(self, pause: Pause) -> float:
        return pause.seconds if pause.exact else pause.seconds / self._speed

    def _supported(self, run: Run) -> Style:
        """Return the style of a run without what the provider cannot do, language and voice checked."""
        style = self._styles.get(run.style)
        if style is None:
            try:
                style = self._checked(run.style)
            except RealTTSError as error:
                at = self._document.edited.to_original((run.start, run.start + 1))[0]
                line, column = place_of(self._document.edited.original, at)
                error.what = f"{error.what} (for the text at line {line}, column {column})"
                raise
            self._styles[run.style] = style
        return style

    def _checked(self, style: Style) -> Style:
        voice = style.voice
        if voice and not {"voices", "clone"} & self._spec.capabilities:
            voice = ""
        if voice and voice not in self._voices:
            self._voices[voice] = self._voice(voice)
        delivery = _supported_delivery(style.delivery, self._spec)
        language = check_language(style.language, self._spec)
        unit = style.unit if delivery.phonemes or delivery.spelling else 0
        return replace(style, voice=voice, language=language, delivery=delivery, say_as=None, unit=unit)


def _supported_delivery(delivery: Delivery, spec: ProviderSpec) -> Delivery:
    can, plain = spec.capabilities, Delivery()
    if "pitch" not in can:
        delivery = replace(
            delivery, pitch_hz=None, pitch_shift_hz=0.0, pitch_semitones=0.0, pitch_range=plain.pitch_range
        )
    if "emphasis" not in can:
        delivery = replace(delivery, emphasis="")
    if "spelling" not in can:
        delivery = replace(delivery, spelling=False)
    if "phonemes" not in can:
        delivery = replace(delivery, phonemes="", alphabet="")
    if "gender" not in can and "voices" not in can:
        delivery = replace(delivery, gender="")
    return delivery
