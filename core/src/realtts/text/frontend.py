"""The text front end: the steps that every provider's text passes before it is cut into pieces.

Each step is a function of an `EditedText`, so that every character keeps its place in the caller's text. A provider
declines steps by name in its spec (``declined_text_steps``); `realtts.contract.spec.TEXT_STEPS` describes them, in
their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.spec import TEXT_STEPS
from realtts.text.compatibility import plain_forms
from realtts.text.composition import composed
from realtts.text.invisible import visible
from realtts.text.signs import plain_signs, plain_spaces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from realtts.text.edited import EditedText

__all__ = ["Change", "PreparedText", "TextStep", "prepare", "steps_without"]


@dataclass(frozen=True)
class TextStep:
    """One step of the front end.

    Attributes:
        name: A key of `TEXT_STEPS`.
        apply: The step: takes the text and a BCP 47 tag (None: not known), returns the text after it, the same
            object where it changes nothing.
    """

    name: str
    apply: Callable[[EditedText, str | None], EditedText]


@dataclass(frozen=True)
class Change:
    """What a step has made of the text.

    Attributes:
        step: Its name.
        text: The whole text after it.
    """

    step: str
    text: str


@dataclass(frozen=True)
class PreparedText:
    """A text behind the front end.

    Attributes:
        edited: The text, and where each of its characters came from.
        changes: The steps that changed something, in order.
    """

    edited: EditedText
    changes: tuple[Change, ...] = ()


def prepare(text: EditedText, language: str | None, steps: Sequence[TextStep]) -> PreparedText:
    """Take a text through steps.

    Args:
        text: What the caller gave, or what others have made of it.
        language: BCP 47 tag; None: not known.
        steps: In their order, see `steps_without`.
    """
    changes: list[Change] = []
    for step in steps:
        after = step.apply(text, language)
        if after is not text:
            changes.append(Change(step.name, after.text))
        text = after
    return PreparedText(text, tuple(changes))


def steps_without(declined: Collection[str] = ()) -> tuple[TextStep, ...]:
    """Return the steps of the front end in their order.

    Args:
        declined: Names of steps to leave out.
    """
    return tuple(TextStep(name, _STEPS[name]) for name in TEXT_STEPS if name not in declined)


_STEPS: dict[str, Callable[[EditedText, str | None], EditedText]] = {
    "compatibility": plain_forms,
    "invisible": visible,
    "composition": composed,
    "spaces": plain_spaces,
    "signs": plain_signs,
}
