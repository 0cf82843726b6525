"""Prefixes of prompts, read once: wrapper, emotion and the reference's text stand before every sentence of a voice.

The reference's codes stand behind the sentence and cannot be shared. Whether a prompt is read in two parts depends on
the prompt alone, not on what was read before it, so that its result is always the same. Where 100 of 300 tokens are
shared, reading the prompts of twelve sentences took 4.6 s instead of 6.2 (int8, one core).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.prefixes import read_padded
from realtts.accel.graphs.lru import LRUCache

if TYPE_CHECKING:
    from realtts.accel.decoder import Decoder, KVCache
    from realtts_vieneu.embedding import TokenEmbedding
    from realtts_vieneu.utterance import Utterance

__all__ = ["Prefixes", "copied"]

_CACHED = 4
"""Prefixes that are cached, some megabytes each."""

_SHORTEST = 32
"""Tokens of the shortest prefix; fewer are faster to read with the rest of the prompt."""


_USUAL = 512
"""Tokens of the longest prefix that is prepared for, a multiple of a chunk's: a recording's text is seldom longer."""


def copied(utterance: Utterance) -> int:
    """Return how many of an utterance's tokens are not read, but copied from a prefix that was read before."""
    length = min(utterance.prefix, len(utterance.ids) - 1)
    return length if length >= _SHORTEST else 0


class Prefixes:
    """Keys and values of the last prefixes.

    Args:
        decoder: Reads them.
        embedding: Of tokens.
        chunk: Tokens that are read at a time, while others wait.
        padded: Read in shapes of which there are few, for devices on which each new shape costs time; see `warm_up`.

    Attributes:
        read: Number of prefixes that were read, not copied.
    """

    def __init__(self, decoder: Decoder, embedding: TokenEmbedding, *, chunk: int, padded: bool = False) -> None:
        self._decoder, self._embedding, self._chunk, self._padded = decoder, embedding, chunk, padded
        self._caches: LRUCache[tuple[int, ...], KVCache] = LRUCache(_CACHED)
        self.read = 0

    @torch.inference_mode()
    def read_on(self, utterance: Utterance) -> int:
        """Read the next chunk of an utterance's prefix; returns its number of tokens, 0 where all is read."""
        ids = utterance.ids[: copied(utterance)]
        if not ids:
            return 0
        cache = self._of(ids)
        begin = cache.used[0]
        if begin == len(ids):
            return 0
        part = ids[begin : begin + self._chunk]
        x = self._embedding.prompt(part)[None]  # (n, hidden) -> (1, n, hidden)
        try:
            if self._padded:
                read_padded(self._decoder, x, cache, self._chunk)
            else:
                self._decoder.prefill(x, cache)
        except BaseException:
            self._caches.clear()  # how much of it was read is not certain
            raise
        self.read += begin + len(part) == len(ids)
        return len(part)

    def of(self, utterance: Utterance) -> tuple[KVCache, int] | None:
        """Return an utterance's prefix, which `read_on` has read, and its number of tokens; None: it has none."""
        length = copied(utterance)
        return (self._of(utterance.ids[:length]), length) if length else None

    @torch.inference_mode()
    def warm_up(self, token: int) -> None:
        """Read chunks of every shape that usual prefixes have; nothing of it is kept."""
        if self._padded:
            x = self._embedding.prompt([token] * self._chunk)[None]
            cache = self._decoder.new_cache(1, _USUAL)
            for _ in range(_USUAL // self._chunk):
                read_padded(self._decoder, x, cache, self._chunk)

    def _of(self, ids: tuple[int, ...]) -> KVCache:
        slots = -(-len(ids) // self._chunk) * self._chunk if self._padded else len(ids)
        return self._caches.get(ids, lambda: self._decoder.new_cache(1, slots))
