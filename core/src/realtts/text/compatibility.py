"""Letters and digits in other forms become plain ones: full-width, styled, circled, half-width, ligatures.

Unicode's own form for this, NFKC, also changes what is read otherwise than its plain form: m² is no m2, ½ no 1⁄2, ™ no
TM, and Thai, Lao and Armenian letters and the jamo of ㅋㅋ would come apart. So single characters are chosen here.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.text.edited import EditedText

__all__ = ["plain_forms"]

_TAGS = frozenset(
    f"<{tag}>"
    for tag in (
        *("font", "wide", "narrow", "circle", "square", "compat", "small", "vertical"),
        *("initial", "medial", "final", "isolated"),
    )
)
"""Decompositions that change the look only. Fractions and raised characters mean something else than plain ones."""

_KEPT = (
    ("\u00b5", "\u00b5"),  # micro sign
    ("\u0587", "\u0587"),  # Armenian ew
    ("\u0675", "\u0678"),  # Kazakh hamza
    ("\u0e33", "\u0e33"), ("\u0eb3", "\u0eb3"), ("\u0edc", "\u0edd"), ("\u0f77", "\u0f79"),  # Thai, Lao, Tibetan
    ("\u2024", "\u2026"), ("\u2033", "\u2037"), ("\u2057", "\u2057"),  # dots and primes
    ("\u2116", "\u2116"),  # numero sign
    ("\u2135", "\u2138"), ("\u222c", "\u2230"), ("\u2a00", "\u2aff"),  # mathematics
    ("\u3131", "\u318e"), ("\u3200", "\u320d"), ("\u3260", "\u326d"),  # jamo that stand alone
    ("\U0001f190", "\U0001f2ff"),  # emoji with a name of their own
)  # fmt: skip
_WIDE_SIGNS = frozenset("＂＃＄％＆＇＊＋－／＝＠＼＿￠￡￥￦")
"""Full-width signs that are read as the plain ones; full-width punctuation belongs to Chinese and Japanese."""

_OTHERS = {
    "\ufdfd": "بسم الله الرحمن الرحيم",
    "\u24ff": "0",
    **{chr(0x1F150 + n): chr(65 + n) for n in range(26)},  # negative circled letters
    **{chr(0x1F170 + n): chr(65 + n) for n in range(26)},  # negative squared letters
    **{chr(0x2776 + n): str(n + 1) for n in range(10)},  # circled digits of three kinds
    **{chr(0x2780 + n): str(n + 1) for n in range(10)},
    **{chr(0x278A + n): str(n + 1) for n in range(10)},
    **{chr(0x24EB + n): str(n + 11) for n in range(10)},
    **{chr(0x24F5 + n): str(n + 1) for n in range(10)},
    **{chr(0x1F10B + n): "0" for n in range(2)},
}
"""Forms for which Unicode has no decomposition."""

_DIGIT = "0-9\uff10-\uff19"
_ALNUM = f"{_DIGIT}A-Za-z\uff21-\uff3a\uff41-\uff5a"
_WIDE_PUNCTUATION = re.compile(
    rf"\uff0e(?<=[{_ALNUM}].)(?=[{_ALNUM}])"
    rf"|[\uff0c\uff1a](?<=[{_DIGIT}].)(?=[{_DIGIT}])(?:(?<=\uff1a)|(?=.{{3}}(?<=[{_DIGIT}]{{3}})(?![{_DIGIT}])))"
)
"""Full-width punctuation inside numbers and names."""

_KEYCAP = re.compile("([0-9#*])\ufe0f?\u20e3")
_OVERLAY = "\u0305\u0332\u0333\u0335\u0336\u0337\u033f" + "".join(
    chr(code) for code in (0x20D2, 0x20D3, *range(0x20D8, 0x20E1), *range(0x20E2, 0x20EC))
)
_OVERLAYS = re.compile(f"[{_OVERLAY}]+")
"""Lines through, under and over letters, and frames around them."""

_SARA_AM = re.compile("([\u0e4d\u0ecd])([\u0e48-\u0e4b\u0ec8-\u0ecb]?)([\u0e32\u0eb2])")
"""A vowel of Thai and Lao in two characters, a tone between them or not."""

_MARKS = frozenset(_OVERLAY + "\u0e4d\u0ecd")

_SUBSCRIPTS = frozenset("₀₁₂₃₄₅₆₇₈₉")
_EXPONENTS = frozenset("ⁿⁱˣʸ")
_NOT_RAISED = frozenset("ªº")
_BESIDE = re.compile(r"[0-9A-Za-z]")
"""Neighbours that a number would run together with."""

_VARIANT = "\ufe0f"
"""Behind a character: it is meant as an emoji, which has a name of its own."""


def plain_forms(text: EditedText, language: str | None) -> EditedText:  # noqa: ARG001 - every step gets it
    """Replace letters and digits of other forms by plain ones."""
    chars = frozenset(text.text)
    if not chars.isdisjoint(_MARKS):
        text = text.substituted(_KEYCAP, lambda match: _apart(match, match[1]))
        text = text.substituted(_OVERLAYS, "")
        text = text.substituted(_SARA_AM, _sara_am)
    if not chars.isdisjoint("\uff0c\uff0e\uff1a"):
        text = text.substituted(_WIDE_PUNCTUATION, lambda match: chr(ord(match[0]) - 0xFEE0))
    text = _replaced(text, chars, _raised_form, _raised)
    return _replaced(text, chars, plain_form, _plain)


@functools.lru_cache(maxsize=1 << 15)
def plain_form(char: str) -> str | None:
    """Return what a character is another form of; None for one that is read as it is."""
    if char in _OTHERS:
        return _OTHERS[char]
    tag, _, codes = unicodedata.decomposition(char).partition(" ")
    if not tag.startswith("<"):
        return None
    plain = "".join(chr(int(code, 16)) for code in codes.split())
    if tag == "<sub>":
        return plain if plain.isalnum() else None
    if tag not in _TAGS or plain[0] == " " or any(low <= char <= high for low, high in _KEPT):
        return None
    if tag == "<wide>" and not (plain.isalnum() or char in _WIDE_SIGNS):
        return None
    return "".join(plain_form(each) or each for each in plain)


@functools.lru_cache(maxsize=1 << 15)
def _raised_form(char: str) -> str | None:
    """Return the letter that is raised; None for other characters, raised digits and ordinal signs among them."""
    tag, _, code = unicodedata.decomposition(char).partition(" ")
    if tag != "<super>" or char in _NOT_RAISED or " " in code:
        return None
    plain = chr(int(code, 16))
    return plain if plain.isascii() and plain.isalpha() else None


def _sara_am(match: re.Match[str]) -> str:
    return f"{match[2]}{chr(ord(match[3]) + 1)}"


def _replaced(
    text: EditedText, chars: frozenset[str], form: Callable[[str], str | None], make: Callable[[re.Match[str]], str]
) -> EditedText:
    """Replace runs of the characters that have a form."""
    having = [char for char in chars if char > "\x7f" and form(char) is not None]
    if not having:
        return text
    return text.substituted(re.compile(f"[{re.escape(''.join(having))}]+"), make)


def _plain(match: re.Match[str]) -> str:
    """Return a run of characters in their plain forms; numbers in frames stay apart from each other."""
    run, string = match[0], match.string
    before, after = string[max(0, match.start() - 1) : match.start()], string[match.end() : match.end() + 1]
    if len(run) > 1 or after == _VARIANT or _stands_apart(run):
        parts: list[str] = []
        for char, following in zip(run, [*run[1:], after], strict=True):
            parts.append(_plain_beside(char, parts[-1][-1:] if parts else before, following))
        return "".join(parts)
    return plain_form(run) or run


def _plain_beside(char: str, before: str, following: str) -> str:
    """Return the plain form of a character between two others."""
    if following == _VARIANT:
        return char
    plain = plain_form(char) or char
    if not _stands_apart(char):
        return plain
    framed = char not in _SUBSCRIPTS
    left = " " if framed and _BESIDE.match(before) else ""
    return f"{left}{plain}{' ' if _runs_on(char, following) else ''}"


@functools.lru_cache(maxsize=1 << 12)
def _stands_apart(char: str) -> bool:
    """Tell whether a character is a number in a frame, or below the line."""
    return char in _SUBSCRIPTS or _is_framed(char)


def _is_framed(char: str) -> bool:
    return unicodedata.category(char) == "No" and char not in _SUBSCRIPTS


def _runs_on(char: str, following: str) -> bool:
    """Tell whether what follows would be read as part of the number."""
    if not following or _is_framed(following):
        return False
    if char in _SUBSCRIPTS:
        return following.isdecimal()
    return bool(_BESIDE.match(plain_form(following) or following))


def _apart(match: re.Match[str], plain: str) -> str:
    """Return a framed number with spaces where its neighbours would be read as one with it."""
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    left = " " if _BESIDE.match(before) or before in {"\u20e3", _VARIANT} else ""
    return f"{left}{plain}{' ' if _BESIDE.match(after) and not _KEYCAP.match(match.string, match.end()) else ''}"


def _raised(match: re.Match[str]) -> str:
    """Return raised letters as plain ones (1ˢᵗ, Mᵐᵉ); an exponent stays one."""
    run = match[0]
    return run if run in _EXPONENTS else "".join(_raised_form(char) or char for char in run)
