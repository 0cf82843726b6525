"""Checks of a text before any model work: whether it can be spoken at all."""

from __future__ import annotations

import re
import unicodedata

from realtts.errors import BlankText, InvalidText, TextTooLong, UnspeakableText
from realtts.text.compatibility import plain_form

__all__ = ["check_characters", "check_text", "is_speakable"]

# Hangul fillers and the blank braille pattern: Unicode calls them letters and symbols, yet nothing is there.
_BLANKS = "\u115f\u1160\u3164\uffa0\u2800"
_ALPHANUMERIC = re.compile(rf"[^\W_{_BLANKS}]")
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
# Marks that Unicode counts as mathematics, but that people draw with rather than read.
_DRAWN = frozenset("|~<>^¬⁄")
_READABLE = frozenset("%‰‱°℃℉№")


def check_text(text: object, *, max_chars: int, who: str) -> str:
    """Return the text unchanged, or raise the error that tells its author what is wrong with it.

    Args:
        text: What the caller passed.
        max_chars: Longest text that is allowed, in characters.
        who: Provider that was asked, for the message.

    Raises:
        InvalidText: Not a string, or holds a NUL or a lone surrogate.
        TextTooLong: Longer than ``max_chars``.
        BlankText: Only white space or invisible characters.
        UnspeakableText: No letter, number or symbol that can be read.
    """
    if not isinstance(text, str):
        raise InvalidText(f"the text is a {type(text).__name__}, not a str", who=who, fix=_instead(text))
    # The length comes before everything that reads the text: a book pasted by mistake is refused at once.
    if len(text) > max_chars:
        raise TextTooLong(
            f"the text has {len(text):,} characters, the limit is {max_chars:,}",
            who=who,
            fix="raise the setting max_text_chars, or speak the text in parts",
        )
    check_characters(text, who)
    if not is_speakable(text):
        _refuse(text, who)
    return text


def is_speakable(text: str) -> bool:
    """Tell whether the text holds a letter, a number or a symbol that is read aloud, in any script."""
    if _ALPHANUMERIC.search(text):
        return True
    return any(map(_is_readable_symbol, text))


def _instead(text: object) -> str:
    """Return what to do with something that is no string."""
    if hasattr(text, "__aiter__"):
        return "call astream(text) for a text that is still being written, or pass one string"
    if hasattr(text, "__next__"):
        return "call stream(text) for a text that is still being written, or pass one string"
    several = hasattr(text, "__iter__") and not isinstance(text, (bytes, bytearray, memoryview))
    return "call generate_batch(texts) for several texts, or pass one string" if several else "pass one string"


def _is_readable_symbol(char: str) -> bool:
    if char in _READABLE:
        return True
    if char in _DRAWN or "\u2190" <= char <= "\u21ff":  # arrows
        return False
    if unicodedata.category(char) in {"Sc", "Sm"}:
        return True
    return bool(_ALPHANUMERIC.search(plain_form(char) or ""))


def check_characters(text: str, who: str, start: int = 0) -> None:
    """Check that a text, or a part of one, can be written as UTF-8 and holds no NUL.

    Args:
        text: What the caller passed.
        who: Provider that was asked, for the message.
        start: Where the part begins in the whole.

    Raises:
        InvalidText: It holds a NUL or a lone surrogate.
    """
    at = text.find("\x00")
    if at >= 0:
        raise InvalidText(f"the text holds a NUL at character {start + at}", who=who, fix="remove it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidText(
            f"the text holds a lone surrogate (U+{ord(text[error.start]):04X}) at character {start + error.start}",
            who=who,
            fix="decode the bytes that it came from as UTF-8 (or UTF-16) again",
        ) from None


def _refuse(text: str, who: str) -> None:
    if all(char.isspace() or char in _BLANKS or unicodedata.category(char) in _INVISIBLE for char in text):
        raise BlankText("the text is blank" if text else "the text is empty", who=who, fix="pass at least one word")
    shown = text.strip()[:20]
    raise UnspeakableText(
        f"the text has nothing that can be said: {shown!r}",
        who=who,
        fix="pass at least one letter or number; emoji and punctuation alone have no sound",
    )
