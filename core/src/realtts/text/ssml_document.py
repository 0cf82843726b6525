"""What SSML says, as a list of things to do one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from realtts.contract.delivery import Delivery

if TYPE_CHECKING:
    from realtts.text.edited import EditedText

__all__ = ["Bookmark", "Boundary", "Document", "Item", "Pause", "Run", "SayAs", "Style", "Wish", "place_of"]


@dataclass(frozen=True)
class SayAs:
    """What a text is, and so how it is read.

    Attributes:
        kind: ``interpret-as``, in lower case.
        format: ``format``, in lower case.
    """

    kind: str
    format: str = ""


@dataclass(frozen=True)
class Style:
    """How a run of text is spoken.

    Attributes:
        voice: Name of the voice; empty: the caller's.
        language: BCP 47 tag; None: the caller's.
        language_inside: The language was set inside the voice, so that it counts more than the voice.
        rate: Factor of the caller's speed.
        volume_db: Gain; minus infinity is silence.
        delivery: Pitch, emphasis and the like.
        say_as: What the text is.
        unit: Number of the ``say-as`` or ``phoneme`` element that the text is the content of; 0: of none. What is in
            one is spoken apart from everything else.
    """

    voice: str = ""
    language: str | None = None
    language_inside: bool = False
    rate: float = 1.0
    volume_db: float = 0.0
    delivery: Delivery = field(default=Delivery())
    say_as: SayAs | None = None
    unit: int = 0


@dataclass(frozen=True)
class Run:
    """A text with one style: from ``start`` to ``end`` of the document's spoken text."""

    start: int
    end: int
    style: Style


@dataclass(frozen=True)
class Pause:
    """Silence.

    Attributes:
        seconds: How long.
        exact: It was given as a time. Otherwise it is shorter where the caller speaks faster.
    """

    seconds: float
    exact: bool


@dataclass(frozen=True)
class Boundary:
    """The beginning or end of a sentence or a paragraph."""

    kind: Literal["sentence", "paragraph"]


@dataclass(frozen=True)
class Bookmark:
    """A ``<mark>``: its name, and where it stands in the caller's text."""

    name: str
    span: tuple[int, int]


Item = Run | Pause | Boundary | Bookmark


@dataclass(frozen=True)
class Wish:
    """Something that not every provider can do.

    Attributes:
        what: Its kind: a name of a capability, or what `realtts.synthesis.markup_warnings` has a sentence for.
        shown: The element as it begins in the caller's text, shortened.
        at: Where it stands there.
        language: BCP 47 tag of the text in it; None: the caller's.
    """

    what: str
    shown: str
    at: int
    language: str | None = None


@dataclass(frozen=True)
class Document:
    """SSML that was read.

    Attributes:
        edited: What is spoken, runs side by side, and where each character stands in the caller's text.
        items: What to do, in order.
        wishes: What not every provider can do, in the order of the text.
    """

    edited: EditedText
    items: tuple[Item, ...]
    wishes: tuple[Wish, ...] = ()


def place_of(text: str, at: int) -> tuple[int, int]:
    """Return line and column of a character, both from 1."""
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
