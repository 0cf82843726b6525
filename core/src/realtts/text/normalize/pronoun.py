"""The English *I*: a word of nearly every sentence, and a Roman number behind some."""

from __future__ import annotations

import re

from realtts.text.normalize.kings import is_king

__all__ = ["is_first"]

_VERBS = (
    "am was have had will would can could do did don didn should shall may might must think thought know knew want"
    " wanted need like love loved liked said saw see met played wrote read mean meant chose took made remember hope"
    " feel felt got get found guess believe never always really just also still used wish prefer enjoy enjoyed hate"
    " hated bought"
)
_PRONOUN = re.compile(rf"\s(?:{'|'.join(_VERBS.split())})(?!\w)")
_PAST = re.compile(r"\s(?:was|had)(?!\w)")
_NUMBER = re.compile(
    r"\s?(?:$|[^\w\s]|\d)"
    r"|\s(?:of|and|or|is|to|in|for|with|errors?|trials?|diabetes|study|studies|the|by)(?!\w)|\s[A-Z]"
)


def is_first(match: re.Match[str], name: str) -> bool:
    """Tell whether *I* is a number and not the pronoun: *Part I of it*, not *the part I like*.

    Args:
        match: It ends behind the letter.
        name: The word before it.
    """
    rest = match.string[match.end() :]
    if name == "War" or (is_king(name) and _PAST.match(rest)):
        return True
    if _PRONOUN.match(rest):
        return False
    return name[:1].isupper() or _NUMBER.match(rest) is not None
