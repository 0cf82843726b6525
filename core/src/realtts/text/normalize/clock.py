"""Times of day as the words of a language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.text.normalize.language import Language

__all__ = ["clock"]

_FULL = {"de": "{h} Uhr", "fr": "{h} heures", "pt": "{h} horas", "es": "{h} horas", "it": "ore {h}", "nl": "{h} uur",
         "da": "klokken {h}", "sv": "klockan {h}", "no": "klokken {h}", "ja": "{h}時", "zh": "{h}点", "ko": "{h}시",
         "tr": "{h}", "vi": "{h} giờ"}  # fmt: skip
_WITH_MINUTES = {"de": "{h} Uhr {m}", "fr": "{h} heures {m}", "pt": "{h} horas e {m}", "es": "{h} y {m}",
                 "it": "{h} e {m}", "nl": "{h} uur {m}", "da": "{h} {m}", "sv": "{h} {m}", "no": "{h} {m}",
                 "ja": "{h}時{m}分", "zh": "{h}点{m}分", "ko": "{h}시 {m}분", "tr": "{h} {m}",
                 "vi": "{h} giờ {m} phút"}  # fmt: skip
"""Of languages that do not simply say hours and minutes."""


_POLISH_OBLIQUE = re.compile(r"(?i:(?<!\w)(?:(?:o|po|od|do|około|przed)(?:\sgodz\.)?|godzinie|godziny|godziną))\s$")
"""Words behind which a Polish hour is in another case."""


def clock(
    language: Language, hours: int, minutes: int, seconds: int | None, *, half: bool = False, before: str = ""
) -> str:
    """Return a time of day in words.

    Args:
        language: Whose words.
        hours: From 0 to 24.
        minutes: From 0 to 59.
        seconds: None: not said.
        half: The half of the day is said behind it, as in ``3:00 pm``.
        before: What stands before it.
    """
    if language.name == "en":
        said = _english(language, hours, minutes, half=half)
    elif language.name == "pl":
        said = _polish(language, hours, minutes, before)
    else:
        said = _other(language, hours, minutes)
    return said if not seconds else language.join(said, language.unit(str(seconds), "s"))


def _english(language: Language, hours: int, minutes: int, *, half: bool) -> str:
    hour = language.cardinal(hours)
    if not minutes:
        return hour if half else f"{hour} o'clock"
    return f"{hour} {'oh ' if minutes < 10 else ''}{language.cardinal(minutes)}"


def _polish(language: Language, hours: int, minutes: int, before: str) -> str:
    form = "feminine-genitive" if _POLISH_OBLIQUE.search(before) else "feminine"
    hour = language.ordinal(hours, form) if hours else ("zerowej" if form != "feminine" else "zero")
    return language.join(hour, language.cardinal(minutes) if minutes else "" if hours else language.cardinal(0))


def _other(language: Language, hours: int, minutes: int) -> str:
    form = (_WITH_MINUTES if minutes else _FULL).get(language.name)
    if form is None:
        parts = [language.unit(str(hours), "h"), language.unit(str(minutes), "min") if minutes else ""]
        return language.join(*parts)
    gender = {"es": "feminine", "pt": "feminine", "fr": "feminine", "de": "masculine"}.get(language.name, "")
    if language.name == "ko" and 1 <= hours <= 12:
        gender = "native-attributive"
    if hours == 1 and language.name in {"fr", "pt", "es"}:
        form = form.replace("heures", "heure").replace("horas", "hora")
    return form.format(h=language.cardinal(hours, gender), m=language.cardinal(minutes))
