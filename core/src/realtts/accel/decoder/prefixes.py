"""What the prompts of a voice begin with, read once: a copy of its keys and values is the beginning of the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.network import Decoder

__all__ = ["LEAST", "Prefixes", "read_padded"]

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
        padded: Read with `read_padded`, for devices on which each new shape costs time; see `warm_up`.

    Attributes:
        read: Number of beginnings that were read, not copied.
    """

    def __init__(
        self, decoder: Decoder, chunk: int, *, longest: int = 256, most: int = 512, padded: bool = False
    ) -> None:
        self._decoder, self._chunk, self._longest, self._most, self._padded = decoder, chunk, longest, most, padded
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
        x = begin[None, read : read + self._chunk]  # (n, hidden) -> (1, n, hidden)
        try:
            if self._padded:
                read_padded(self._decoder, x, cache, self._chunk)
            else:
                self._decoder.prefill(x, cache)
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

    @torch.inference_mode()
    def warm_up(self, prompt: Tensor) -> None:
        """Read chunks of every shape that there is, (n, hidden) repeated; nothing of it is kept."""
        if self._padded:
            longest = prompt[:1].repeat(self._longest, 1)
            self.of(longest, self._longest)
            self._entries.clear()
            self.read = 0

    def _entry(self, prompt: Tensor, shared: int) -> tuple[Tensor, KVCache] | None:
        length = min(shared, self._longest)
        if length < LEAST:
            return None
        begin = prompt[:length]
        entry = next((each for each in self._entries if torch.equal(each[0], begin)), None)
        if entry is None:
            slots = -(-length // self._chunk) * self._chunk if self._padded else length
            entry = begin.clone(), self._decoder.new_cache(1, slots)
        self._entries = [*(each for each in self._entries if each is not entry), entry]
        while len(self._entries) > 1 and sum(len(each) for each, _ in self._entries) > self._most:
            self._entries.pop(0)
        return entry


def read_padded(decoder: Decoder, x: Tensor, cache: KVCache, chunk: int) -> None:
    """Read a chunk of a prompt in shapes of which there are few: padded behind, looking at whole chunks.

    Args:
        decoder: Reads it.
        x: (1, n, hidden), n at most the chunk's length.
        cache: Of one row, whose slots are a multiple of the chunk's length; what it holds are whole chunks.
        chunk: Positions of a chunk.
    """
    n = x.shape[1]
    valid = torch.arange(chunk, device=x.device)[None] < n
    attended = -(-(cache.used[0] + n) // chunk) * chunk
    cache.used[0] += n
    cache.reach(attended)
    decoder.prefill(functional.pad(x, (0, 0, 0, chunk - n)), cache, valid=valid, attended=attended)
