"""Text that makes espeak-ng 1.52 leave its buffers, which ends the process, and how that is avoided.

Found by speaking odd texts under AddressSanitizer, and 20,000 characters alone and inside a word with 128 voices. What
is too long for espeak is another matter: see `realtts_espeak.limits`. Against text that is meant to harm, a process of
its own (``isolation="always"``) helps.
"""

from __future__ import annotations

import re
import unicodedata

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

_LATIN_ONLY = ("aav/vi", "gmq/da")
"""Voices for which letters and digits of other scripts have no sound."""

_LATIN = re.compile("[0-9A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\u024f\u1e00-\u1eff]")
_TAGS = "(?:<[^>]*>)*"
_HYPHEN = re.compile(rf"(?<=\S)-(?={_TAGS}[^\x00-@\[-`{{-\xbf])")

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
    # The same read before a list's start, without the names of punctuation and without a hyphen.
    (("aav/vi", "gmq/da"), re.compile("`"), " "),
    (("gmq/da",), re.compile("(?<=[Óó])-"), " "),  # "óó" has no sound
    # The whole rest of the clause is copied into a word where "A." and "D." are read as Spanish abbreviations.
    (("roa/es",), re.compile(r"(?<=[AD])\.(?=(?:\s|<[^>]*>)*[-#$%&*+/=@\\^|~´′])"), " "),
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
    latin = any(family in voices for family in _LATIN_ONLY)
    return _HYPHEN.sub(lambda hyphen: "-" if _follows_sound(text, hyphen.start(), latin=latin) else " ", text)


def _follows_sound(text: str, at: int, *, latin: bool) -> bool:
    """Tell whether what comes before a hyphen has a sound: a letter or digit, with or without combining marks.

    espeak takes what follows the hyphen for a part of that word, and if there is none in the clause it looks for the
    word's beginning before the start of a list. Two hyphens are a dash.
    """
    run = at
    while run and text[run - 1] == "-":
        run -= 1
    if (at - run) % 2:
        return True
    at = run
    while at and unicodedata.category(text[at - 1]).startswith("M"):
        at -= 1
    return at > 0 and (_LATIN.match(text[at - 1]) is not None if latin else text[at - 1].isalnum())


def names_punctuation(voices: str) -> bool:
    """Tell whether these voices can name punctuation."""
    return not any(family in voices for family in _UNNAMED)


def needs_another_first(voice: str) -> bool:
    """Tell whether some other voice must be selected before this one."""
    return voice.startswith(_EMPTY)
