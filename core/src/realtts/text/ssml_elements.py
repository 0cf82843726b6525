"""What each element of SSML changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts.text import ssml_values as values
from realtts.text.ssml_document import Pause, SayAs, Style

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.delivery import Delivery, Emphasis

__all__ = ["NEW_UNIT", "SILENT", "SPOKEN", "ElementError", "styled"]

SILENT = frozenset({"metadata", "meta", "lexicon", "desc", "script", "style"})
"""Elements of which nothing is said, nor of what is in them."""

NEW_UNIT = -1
"""In place of a style's number of a unit: the element begins one."""

_EMPHASIS: dict[str, Emphasis] = {
    "none": "", "reduced": "reduced", "moderate": "moderate", "strong": "strong", "x-strong": "strong",
}  # fmt: skip
_UNSUPPORTED = ("contour", "duration")
_NUMBER_FORMATS = frozenset(("cardinal", "ordinal", "digits", "telephone"))
_GENDERS = ("male", "female", "neutral")


class ElementError(Exception):
    """An element is wrong: what, and how to mend it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def styled(name: str, attributes: dict[str, str], style: Style, wishes: list[str]) -> Style | Pause:
    """Return the style inside an element, or the pause that it is.

    Args:
        name: Of the element.
        attributes: Stripped of white space around them.
        style: Around the element.
        wishes: Takes what not every provider can do, see `realtts.text.ssml_document.Wish`.

    Raises:
        ElementError: An attribute has a wrong value.
    """
    language = attributes.get("xml:lang")
    if language:
        style = replace(style, language=language, language_inside=True)
    element = SPOKEN.get(name)
    return style if element is None else element(attributes, style, wishes)


def _break(attributes: dict[str, str], _style: Style, _wishes: list[str]) -> Pause:
    if "time" in attributes:
        return Pause(_value("break", "time", attributes, values.pause_seconds), exact=True)
    if "strength" in attributes:
        return Pause(_value("break", "strength", attributes, values.strength_seconds), exact=False)
    return Pause(values.strength_seconds("medium"), exact=False)


def _prosody(attributes: dict[str, str], style: Style, wishes: list[str]) -> Style:
    delivery = style.delivery
    if "rate" in attributes:
        style = replace(style, rate=_value("prosody", "rate", attributes, lambda text: values.rate(text, style.rate)))
    if "volume" in attributes:
        decibels = _value("prosody", "volume", attributes, lambda text: values.volume_db(text, style.volume_db))
        style = replace(style, volume_db=decibels)
    if "pitch" in attributes:
        delivery = _value("prosody", "pitch", attributes, lambda text: values.pitch(text, style.delivery))
    if "range" in attributes:
        span = _value("prosody", "range", attributes, lambda text: values.pitch_range(text, delivery.pitch_range))
        delivery = replace(delivery, pitch_range=span)
    if delivery != style.delivery:
        wishes.append("pitch")
    wishes += [name for name in _UNSUPPORTED if name in attributes]
    return replace(style, delivery=delivery)


def _emphasis(attributes: dict[str, str], style: Style, wishes: list[str]) -> Style:
    level = attributes.get("level", "moderate")
    if level not in _EMPHASIS:
        raise _wrong("emphasis", "level", level, f"choose from {', '.join(_EMPHASIS)}")
    if _EMPHASIS[level]:
        wishes.append("emphasis")
    return replace(style, delivery=replace(style.delivery, emphasis=_EMPHASIS[level]))


def _voice(attributes: dict[str, str], style: Style, wishes: list[str]) -> Style:
    name, gender, language = attributes.get("name", ""), attributes.get("gender", ""), attributes.get("languages", "")
    if language and not name and "xml:lang" not in attributes:
        style = replace(style, language=language.split()[0].partition(":")[0], language_inside=True)
    if gender and gender not in _GENDERS:
        raise _wrong("voice", "gender", gender, f"choose from {', '.join(_GENDERS)}")
    if name:
        wishes.append("voice")
        return replace(style, voice=name, language_inside=False, delivery=_gendered(style.delivery, ""))
    if gender:
        wishes.append("gender")
        style = replace(style, delivery=_gendered(style.delivery, gender))
    return style


def _gendered(delivery: Delivery, gender: Any) -> Delivery:
    return replace(delivery, gender=gender)


def _say_as(attributes: dict[str, str], style: Style, wishes: list[str]) -> Style:
    kind, form = attributes.get("interpret-as", "").lower().removeprefix("vxml:"), attributes.get("format", "").lower()
    if not kind:
        raise ElementError("<say-as> has no interpret-as", 'write for example interpret-as="characters"')
    if kind == "number" and form in _NUMBER_FORMATS:
        kind, form = form, ""
    wishes.append(f"say-as {kind}")
    return replace(style, say_as=SayAs(kind, form), unit=NEW_UNIT)


def _phoneme(attributes: dict[str, str], style: Style, wishes: list[str]) -> Style:
    phonemes = attributes.get("ph", "")
    if not phonemes:
        raise ElementError("<phoneme> has no ph", "give the pronunciation as ph=")
    wishes.append("phonemes")
    alphabet = attributes.get("alphabet", "ipa").lower()
    return replace(style, delivery=replace(style.delivery, phonemes=phonemes, alphabet=alphabet), unit=NEW_UNIT)


def _audio(_attributes: dict[str, str], style: Style, wishes: list[str]) -> Style:
    wishes.append("audio")
    return style


SPOKEN: dict[str, Callable[[dict[str, str], Style, list[str]], Style | Pause]] = {
    "break": _break,
    "prosody": _prosody,
    "emphasis": _emphasis,
    "voice": _voice,
    "say-as": _say_as,
    "phoneme": _phoneme,
    "audio": _audio,
}
"""Elements that change the style or are a pause, beside those that only may change the language."""


def _value(element: str, name: str, attributes: dict[str, str], read: Callable[[str], Any]) -> Any:
    try:
        return read(attributes[name])
    except ValueError as error:
        raise _wrong(element, name, attributes[name], str(error)) from None


def _wrong(element: str, name: str, value: str, fix: str) -> ElementError:
    return ElementError(f"<{element}> has {name}={value!r:.60}", fix)
