"""What the prompts of a voice begin with, read once: a copy of its keys and values is the beginning of the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.network import Decoder

__all__ = ["LEAST", "Prefixes"]

LEAST = 16
"""Positions that are worth it."""


class Prefixes:
    """Beginnings of prompts, by what they hold.

    Whether a prompt is read behind a copy follows from the prompt alone, and so a row does not depend on what was
    spoken before it.

    Args:
        decoder: Reads them.
        chunk: Positions that are read at once.
        longest: Positions of one beginning; what is behind them is read with the rest of the prompt.
        most: Positions of all that are kept; the least recently used goes first.

    Attributes:
        read: Number of beginnings that were read, not copied.
    """

    def __init__(self, decoder: Decoder, chunk: int, *, longest: int = 256, most: int = 512) -> None:
        self._decoder, self._chunk, self._longest, self._most = decoder, chunk, longest, most
        self._entries: list[tuple[Tensor, KVCache]] = []  # the one used last is the last one
        self.read = 0

    @torch.inference_mode()
    def read_on(self, prompt: Tensor, shared: int) -> bool:
        """Read a chunk of the beginning, where it is not read yet; arguments as of `of`.

        Returns:
            Whether there is more to read.
        """
        entry = self._entry(prompt, shared)
        if entry is None:
            return False
        begin, cache = entry
        read = cache.used[0]
        if read == len(begin):
            return False
        try:
            self._decoder.prefill(begin[None, read : read + self._chunk], cache)  # (n, hidden) -> (1, n, hidden)
        except BaseException:
            self._entries.pop()  # how much of it was read is not certain
            raise
        self.read += cache.used[0] == len(begin)
        return cache.used[0] < len(begin)

    def of(self, prompt: Tensor, shared: int) -> tuple[KVCache, int] | None:
        """Return a cache with the beginning of a prompt and the length of that; None if it is too short.

        Args:
            prompt: float32 (n, hidden).
            shared: Positions that other prompts may begin with, less than n.
        """
        while self.read_on(prompt, shared):
            pass
        entry = self._entry(prompt, shared)
        return None if entry is None else (entry[1], len(entry[0]))

    def _entry(self, prompt: Tensor, shared: int) -> tuple[Tensor, KVCache] | None:
        length = min(shared, self._longest)
        if length < LEAST:
            return None
        begin = prompt[:length]
        entry = next((each for each in self._entries if torch.equal(each[0], begin)), None)
        if entry is None:
            entry = begin.clone(), self._decoder.new_cache(1, length)
        self._entries = [*(each for each in self._entries if each is not entry), entry]
        while len(self._entries) > 1 and sum(len(each) for each, _ in self._entries) > self._most:
            self._entries.pop(0)
        return entry
