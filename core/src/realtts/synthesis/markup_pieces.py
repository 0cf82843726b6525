"""From a text in SSML to pieces that any provider speaks."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from realtts.errors import UnspeakableText
from realtts.kit.seeds import piece_seed
from realtts.synthesis.markup import Anchor, make_script
from realtts.synthesis.markup_warnings import markup_warnings
from realtts.synthesis.validate import SPEED_RANGE
from realtts.text.ssml import read_ssml
from realtts.text.ssml_say_as import written_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Request, Voice
    from realtts.synthesis.markup import Stretch
    from realtts.synthesis.pieces import Piece
    from realtts.text.frontend import Change

    Span = tuple[int, int]

__all__ = ["MarkupPieces", "Written", "markup_pieces"]


@dataclass(frozen=True)
class Written:
    """A text as it is spoken, behind extensions and the text front end.

    Attributes:
        text: The text.
        to_original: Maps a span of it to a span of what it was made from.
        changes: What the steps of the front end have made of it.
    """

    text: str
    to_original: Callable[[Span], Span]
    changes: tuple[Change, ...] = ()

    def first_from(self, at: int) -> int:
        """Return the first character of ``text`` that comes from a character of its source or from behind it."""
        return bisect.bisect_right(range(len(self.text)), at, key=lambda place: self.to_original((place, place + 1))[1])


@dataclass
class MarkupPieces:
    """What became of a text in SSML.

    Attributes:
        pieces: What to speak.
        lead_s: Silence before the first piece.
        anchors: Marks in that silence.
        warnings: What the caller should know.
        changes: What the steps of the text front end have made of its parts.
    """

    pieces: list[Piece] = field(default_factory=list)
    lead_s: float = 0.0
    anchors: tuple[Anchor, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: list[Change] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _sources: list[Callable[[Span], Span]] = field(default_factory=list)

    def to_original(self, span: Span) -> Span:
        """Map a span of the prepared text, in which the pieces begin at their ``start``, to one of the caller's."""
        index = bisect.bisect_right(self._starts, span[0]) - 1
        start = self._starts[index]
        return self._sources[index]((span[0] - start, span[1] - start))


def markup_pieces(
    text: str,
    template: Request,
    *,
    spec: ProviderSpec,
    speed: float,
    voice: Callable[[str], Voice | str | None],
    write: Callable[[str, str | None], Written],
    split: Callable[[Request], Sequence[Piece]],
) -> MarkupPieces:
    """Read SSML and make pieces of it.

    Args:
        text: The caller's text.
        template: The caller's request.
        spec: Who will speak.
        speed: The caller's.
        voice: Looks a voice up by its name.
        write: Takes a text and its language through extensions and the text front end.
        split: Makes pieces of a request with a text of any length.

    Raises:
        InvalidMarkup: It is no SSML. UnspeakableText: It has no text.
        UnknownLanguage, VoiceError: It names what this provider has not.
    """
    who = f"provider {spec.name!r}"
    document = written_out(read_ssml(text, who=who), template.language, spelling="spelling" in spec.capabilities)
    script = make_script(document, spec, speed=speed, voice=voice)
    if not script.stretches:
        raise UnspeakableText("there is nothing to say in the SSML", who=who, fix="give it some words")
    builder = _Builder(template, spec, speed, write, split)
    whole = len(script.stretches) == 1  # as it stands: plain text inside <speak> is plain text
    for stretch in script.stretches:
        builder.add(stretch, document.edited.text, document.edited.to_original, whole=whole)
    made = builder.made
    made.lead_s, made.anchors = script.lead_s, tuple(script.anchors)
    made.warnings = (*builder.warnings, *markup_warnings(document, script.unsaid, spec, template.language))
    return made


class _Builder:
    def __init__(
        self,
        template: Request,
        spec: ProviderSpec,
        speed: float,
        write: Callable[[str, str | None], Written],
        split: Callable[[Request], Sequence[Piece]],
    ) -> None:
        self.made = MarkupPieces()
        self.warnings: list[str] = []
        self._template = template
        self._own_speed = "speed" in spec.capabilities
        self._speed = speed
        self._write = write
        self._split = split
        self._size = 0  # of the prepared text

    def add(self, stretch: Stretch, text: str, to_original: Callable[[Span], Span], *, whole: bool) -> None:
        """Make pieces of a stretch of the document's text."""
        said = text[stretch.start : stretch.end]
        start = stretch.start if whole else stretch.start + len(said) - len(said.lstrip())
        style = stretch.style
        language = style.language or self._template.language
        written = self._write(said if whole else said.strip(), language)
        speed = self._within(self._speed * style.rate)
        request = replace(
            self._template,
            text=written.text,
            voice=stretch.voice if style.voice else self._template.voice,
            language=language,
            speed=speed if self._own_speed else 1.0,
            delivery=style.delivery,
        )
        pieces = list(self._split(request))
        anchors = _anchors_of(pieces, stretch, start, written)
        for index, piece in enumerate(pieces):
            seed = piece_seed(self._template.seed, len(self.made.pieces))
            self.made.pieces.append(
                replace(
                    piece,
                    request=replace(piece.request, seed=seed),
                    start=self._size + piece.start,
                    pause_s=stretch.pause_s if index == len(pieces) - 1 else piece.pause_s,
                    anchors=anchors.get(index, ()),
                    stretch=1.0 if self._own_speed else speed,
                    gain=10 ** (style.volume_db / 20),
                    language_inside=style.language_inside,
                )
            )
        self.made._starts.append(self._size)
        self.made._sources.append(lambda span: to_original(_moved(written.to_original(span), start)))
        self.made.changes += written.changes
        self._size += len(written.text)

    def _within(self, speed: float) -> float:
        low, high = SPEED_RANGE
        if low <= speed <= high:
            return speed
        warning = f"SSML: speed and rate come to {speed:g} together, it speaks at {min(max(speed, low), high):g}"
        if warning not in self.warnings:
            self.warnings.append(warning)
        return min(max(speed, low), high)


def _anchors_of(
    pieces: Sequence[Piece], stretch: Stretch, start: int, written: Written
) -> dict[int, tuple[Anchor, ...]]:
    """Return the marks of each piece, by its index."""
    starts = [piece.start for piece in pieces]
    placed: dict[int, list[Anchor]] = {}
    for anchor in stretch.anchors:
        at = written.first_from(anchor.at - start)
        index = max(0, bisect.bisect_right(starts, at) - 1)
        if anchor.at >= stretch.end:
            index, at = len(pieces) - 1, len(written.text)
        inside = min(max(0, at - starts[index]), len(pieces[index].request.text))
        placed.setdefault(index, []).append(replace(anchor, at=inside))
    return {index: tuple(anchors) for index, anchors in placed.items()}


def _moved(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by
