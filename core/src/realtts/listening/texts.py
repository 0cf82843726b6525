"""The frozen list of English sentences for listening: what is spoken, and how it may be read aloud.

Nothing is ever tuned on these sentences: no rule, lexicon entry or option may be made because of one of them. They are
for judging a finished voice, and a fault found with them is mended with sentences of one's own.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from importlib import resources

__all__ = ["STRATA", "ListeningText", "listening_texts"]

STRATA = ("numbers", "dates", "prices", "names", "questions", "homographs")
"""Numbers and signs; dates and times; prices and units; names; questions and abbreviations; homographs and long
clauses. Ten sentences each."""

_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class ListeningText:
    """A sentence of the list.

    Attributes:
        stratum: One of `STRATA`.
        text: As it is written.
        reading: As it may be said, in words; alternatives stand in braces: ``"{minus|negative} twelve"``.
    """

    stratum: str
    text: str
    reading: str

    def readings(self) -> tuple[str, ...]:
        """Return every accepted reading, in words."""
        parts = _CHOICE.split(self.reading)
        choices = [part.split("|") if index % 2 else [part] for index, part in enumerate(parts)]
        return tuple("".join(chosen) for chosen in itertools.product(*choices))


def listening_texts() -> tuple[ListeningText, ...]:
    """Read the 60 sentences, in the order of `STRATA`."""
    file = resources.files("realtts.listening") / "data" / "listening.tsv"
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(ListeningText(*line.split("\t")) for line in lines if line)
