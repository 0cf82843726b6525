"""Characters that only steer how a text is drawn, broken or ordered: they have no sound, yet split words."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.text.edited import EditedText

__all__ = ["visible"]

_REMOVED = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls, white space apart
    "\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiner of graphemes, Mongolian selectors
    "\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # directions, word joiner, invisible operators, byte-order mark
    "\u3164\uffa0\ufe00-\ufe0f\ufff9-\ufffb"  # fillers, variation selectors, interlinear notes
    "\U0001d173-\U0001d17a\U000e0100-\U000e01ef"
)
_TAGS = "\U000e0001-\U000e007f"
_RUN = re.compile(f"[{_REMOVED}{_TAGS}\u200b-\u200d]+")
_TAG = re.compile(f"[{_TAGS}]")
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""What colours the text of a terminal."""

# Scripts in which a joiner chooses the form of a letter, and those that mark the bounds of words with it.
_JOINED = re.compile(
    "[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ua840-\ua87f\ua8e0-\ua8ff\uaae0-\uabff\ufb50-\ufdff"
    "\ufe70-\ufefc\U00010a00-\U00010aff\U00010d00-\U00010fff\U00011000-\U0001173f\U0001e900-\U0001e95f]"
)
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\ua9e0-\ua9ff\uaa60-\uaadf]")


def visible(text: EditedText, language: str | None) -> EditedText:  # noqa: ARG001 - every step gets it
    """Remove what cannot be seen, save joiners and bounds of words where the script needs them."""
    if "\x1b" in text.text:
        text = text.substituted(_ESCAPE, "")
    return text.substituted(_RUN, _needed)


def _needed(match: re.Match[str]) -> str:
    """Return the characters of a run that the script, or an emoji, needs."""
    run, string = match[0], match.string
    before, after = string[max(0, match.start() - 1) : match.start()], string[match.end() : match.end() + 1]
    if before == "\U0001f3f4":  # the flag of a region: a flag and its code in tags
        return "".join(_TAG.findall(run))
    if "\u200c" in run or "\u200d" in run:
        joined = _JOINED.match(before) or (_is_picture(before) and _is_picture(after))
        return next(char for char in run if char in "\u200c\u200d") if joined else ""
    return "\u200b" if "\u200b" in run and _UNSPACED.match(before) and _UNSPACED.match(after) else ""


def _is_picture(char: str) -> bool:
    """Tell whether a character is an emoji, or modifies one."""
    return char >= "\u2190" and unicodedata.category(char) in {"So", "Sk"}
