"""Language tags: which one was probably meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.errors import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["closest_language"]

_PRIMARY = re.compile(r"[a-z]{2,3}(?=-|$)")


def closest_language(tag: str, tags: Iterable[str]) -> str:
    """Return ``" (did you mean 'pt-br'?)"`` for a tag, or an empty string.

    A code of two or three letters is a language of its own, not a misspelling of another one: only the same language
    with another region is offered for it.

    Args:
        tag: What was asked for.
        tags: What there is.
    """
    primary = _PRIMARY.match(tag.strip().lower().replace("_", "-"))
    if primary is None:
        return closest(tag, tags)
    return closest(tag, [each for each in tags if each.lower().partition("-")[0] == primary[0]])
