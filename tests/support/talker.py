"""A provider whose words can be heard, and a recognizer that hears them: each word is a block of one level.

What the provider leaves out, and how often, is told by its options; `Talker.tries` counts by text how often it spoke.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import ClassVar

import numpy as np
from pydantic import Field

from realtts import Chunk, Options, ProviderSpec, hookimpl
from realtts.listening import Heard, HeardWord

RATE = 16_000
WORD_S, GAP_S = 0.1, 0.05
_LEVEL, _FIRST = 2.0**-12, 2.0**-3
_WORD = re.compile(r"\S+")
_LEVELS: dict[str, int] = {}
_WORDS: dict[int, str] = {}


def block(word):
    """The samples of a word: the same for the same word."""
    number = _LEVELS.setdefault(word, len(_LEVELS))
    _WORDS[number] = word
    samples = np.zeros(round((WORD_S + GAP_S) * RATE), np.float32)
    samples[: round(WORD_S * RATE)] = _FIRST + number * _LEVEL
    return samples


class TalkerOptions(Options):
    """What is left out."""

    lost: tuple[str, ...] = Field((), description="Words that are left out.")
    tries: int = Field(99, description="Times that a text is spoken with a fault, before it is spoken well.")
    trails: bool = Field(False, description="Each try has a longer pause at its end, as with another seed.")


class Talker:
    """The plain variant."""

    tries: ClassVar[Counter[str]] = Counter()
    seeds: ClassVar[list[int]] = []

    @hookimpl
    def load(self, context):
        """Make nothing."""
        return object()

    @hookimpl
    def generate(self, context, model, request):
        """Yield one chunk per word that is not left out."""
        options = TalkerOptions.of(request)
        self.tries[request.text] += 1
        self.seeds.append(request.seed)
        lost = options.lost if self.tries[request.text] <= options.tries else ()
        for match in _WORD.finditer(request.text):
            if request.cancelled():
                return
            if match[0].strip(".,!?") not in lost:
                yield Chunk(block(match[0]), RATE)
        if options.trails:
            yield Chunk(np.zeros(100 * self.tries[request.text], np.float32), RATE)


class Listener:
    """A recognizer of the talker's words."""

    name = "listener"

    def __init__(self):
        self.calls = 0

    def hear(self, samples, sample_rate, language, *, careful=False):
        """Write the words down, with their times."""
        self.calls += 1
        words, at = [], 0
        for level, run in itertools.groupby(samples.tolist()):
            length = len(list(run))
            if level and length > WORD_S * sample_rate / 2:
                word = _WORDS[round((level - _FIRST) / _LEVEL)]
                words.append(HeardWord(word, at / sample_rate, (at + length) / sample_rate))
            at += length
        return Heard(tuple(words))


def talker_spec(**changes):
    """The provider's spec."""
    fields = {
        "name": "talker", "summary": "Words that can be heard", "sample_rates": (RATE,), "plain": "talker:Talker",
        "options": TalkerOptions, "capabilities": frozenset({"streaming"}), "languages": ("en",),
    }  # fmt: skip
    return ProviderSpec(**{**fields, **changes})


spec = talker_spec()
