"""Memory stays level over many requests of many lengths, and is given back."""

from __future__ import annotations

import gc

import psutil
import pytest

from realtts import RealProvider
from realtts.machine.memory import trim

TEXT = "the lamp beside the old harbour was never lit again after that long and windy night of the storm"


def resident() -> int:
    """Bytes of this process, after a collection."""
    gc.collect()
    trim()
    return psutil.Process().memory_info().rss


@pytest.mark.full
def test_memory_is_level(tts: RealProvider) -> None:
    """A hundred requests of all lengths add nothing to what the longest one needs."""
    words = TEXT.split()
    texts = [" ".join(words[: 1 + length]) + "." for length in range(len(words))]
    for text in texts:
        tts.generate(text, seed=1)
    before = resident()
    for round_ in range(5):
        for text in texts:
            tts.generate(text, seed=round_)
    assert resident() < before + 16 * 2**20
