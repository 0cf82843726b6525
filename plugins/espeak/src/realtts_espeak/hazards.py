"""Text that makes espeak-ng 1.52 leave its buffers, which ends the process, and what is spoken instead.

Found by speaking some 400,000 odd texts with every voice under AddressSanitizer. What is left in espeak needs text
that nobody writes; a process of its own (``isolation="always"``) is the answer to text that is meant to harm.
"""

from __future__ import annotations

import re

__all__ = ["NAMED_PUNCTUATION", "harmless", "names_punctuation"]

NAMED_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿«»“”‘’„…–—§¶।،؛؟、。「」，！？（）"
"""What the option names: espeak has room for 59 characters. Symbols are spoken anyway, and the names of some of them
("⁉", emoji) are longer than espeak's buffer for a name."""

_UNNAMED = ("aav/vi", "dra/ml", "gmq/da", "inc/as", "inc/bn", "inc/gu", "inc/hi", "inc/kok", "inc/mr", "inc/sd", "inc/ur")
"""Voices that read before the start of a list when a clause begins with the name of a punctuation mark."""

_Rule = tuple[tuple[str, ...], re.Pattern[str], str]
_RULES: tuple[_Rule, ...] = (
    # The names of these letters are too long in these languages.
    (("dra/", "inc/", "sem/am", "sit/my"), re.compile("[ⓜⓂ]"), "m"),
    (("bnt/tn", "miz/mto", "sem/", "urj/fi"), re.compile("[\u2840-\u28ff]"), " "),  # Braille of more than 6 dots
    # The same read before a list's start, without the names of punctuation.
    (("aav/vi", "gmq/da"), re.compile(r"`|(?<=[^\w\s])-(?=[^\W\d_])"), " "),
    # The rules of Sinhala send a word that contains it round and round.
    (("inc/si",), re.compile("]"), ")"),
)


def harmless(text: str, voices: str) -> str:
    """The text with what endangers the process replaced; of the same length.

    Args:
        text: Plain text or SSML.
        voices: Anything that contains espeak's identifiers of all voices that are to speak it.
    """
    for families, pattern, instead in _RULES:
        if any(family in voices for family in families):
            text = pattern.sub(instead, text)
    return text


def names_punctuation(voices: str) -> bool:
    """Whether these voices can name punctuation."""
    return not any(family in voices for family in _UNNAMED)
