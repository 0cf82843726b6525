"""Text that makes espeak-ng 1.52 leave its buffers, which ends the process, and how that is avoided.

Found by speaking odd texts under AddressSanitizer, and 20,000 characters alone and inside a word with 128 voices. What
is too long for espeak is another matter: see `realtts_espeak.limits`. Against text that is meant to harm, a process of
its own (``isolation="always"``) helps.
"""

from __future__ import annotations

import re

__all__ = ["NAMED_PUNCTUATION", "harmless", "names_punctuation", "needs_another_first"]

NAMED_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿«»“”‘’„…–—§¶।،؛؟、。「」，！？（）"
"""What the option names: espeak has room for 59 characters. Symbols are spoken anyway, and the names of some of them
("⁉", emoji) are longer than espeak's buffer for a name."""

_UNNAMED = (
    *("aav/vi", "dra/ml", "gmq/da"),
    *("inc/as", "inc/bn", "inc/gu", "inc/hi", "inc/kok", "inc/mr", "inc/sd", "inc/ur"),
)
"""Voices that read before the start of a list when a clause begins with the name of a punctuation mark."""

_EMPTY = ("esx/kl",)
"""Voices that use phonemes which they do not have: null in a fresh library, those of the voice before in a used one."""

_BOXED = ("ccs/ka", "dra/", "grk/el", "inc/", "sit/my")

_Rule = tuple[tuple[str, ...], re.Pattern[str], str]
_RULES: tuple[_Rule, ...] = (
    # The names of these letters are too long in these languages.
    (("dra/", "inc/", "sem/am", "sit/my"), re.compile("[ⓜⓂ]"), "m"),
    *((_BOXED, re.compile(boxed), letter) for boxed, letter in zip("🅰🅱🅾🅿", "ABOP", strict=True)),
    # The second one in a text is read with phonemes that Portuguese does not have.
    (("roa/pt",), re.compile("©"), "c"),
    (("roa/pt",), re.compile("🥌"), " "),
    (("bnt/tn", "miz/mto", "sem/", "urj/fi"), re.compile("[\u2840-\u28ff]"), " "),  # Braille of more than 6 dots
    # A letter that this voice has a name for, but not the phonemes of that name.
    (("aav/vi-VN-x-central",), re.compile("ૠ"), " "),
    # Where the first word of a clause follows a hyphen, espeak looks for its beginning before the start of a list.
    (("",), re.compile(r"((?:^|[,;:.!?…]\s|[、。，！？；：।؟،؛…]|\n)[^\w\n]*[^\w\s])-(?=[^\x00-@\[-`{-\xbf])"), r"\1 "),
    # The same read before a list's start, without the names of punctuation.
    (("aav/vi", "gmq/da"), re.compile(r"`|(?<=[^\w\s])-(?=[^\W\d_])"), " "),
    # The rules of Sinhala send a word that contains it round and round.
    (("inc/si",), re.compile("]"), ")"),
)


def harmless(text: str, voices: str) -> str:
    """Return the text with everything that can crash the process replaced; of the same length.

    Args:
        text: Plain text or SSML.
        voices: Anything that contains espeak's identifiers of all voices that are to speak it.
    """
    for families, pattern, instead in _RULES:
        if any(family in voices for family in families):
            text = pattern.sub(instead, text)
    return text


def names_punctuation(voices: str) -> bool:
    """Tell whether these voices can name punctuation."""
    return not any(family in voices for family in _UNNAMED)


def needs_another_first(voice: str) -> bool:
    """Tell whether some other voice must be selected before this one."""
    return voice.startswith(_EMPTY)
