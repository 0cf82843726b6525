"""What the prompts of a voice begin with, read once: a copy of its keys and values is the beginning of the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.decoder import Decoder, KVCache

__all__ = ["Prefixes"]

_LEAST = 16
"""Positions that are worth it: the role, the language and a built-in speaker alone are fewer."""

_LONGEST = 256
_ALL = 512
"""Positions of all that are kept, 58 MB in bfloat16; the least recently used goes first."""


class Prefixes:
    """Beginnings of prompts, by what they hold.

    Whether a prompt is read behind a copy follows from the prompt alone, and so a row does not depend on what was
    spoken before it.

    Args:
        decoder: The talker's layers.
        chunk: Positions that are read at once.
    """

    def __init__(self, decoder: Decoder, chunk: int) -> None:
        self._decoder, self._chunk = decoder, chunk
        self._entries: list[tuple[Tensor, KVCache]] = []  # the one used last is the last one

    @torch.inference_mode()
    def of(self, prompt: Tensor, shared: int) -> tuple[KVCache, int] | None:
        """Return a cache with the beginning of a prompt and the length of that; None if it is too short.

        Args:
            prompt: float32 (n, hidden).
            shared: Positions that other prompts may begin with, less than n.
        """
        length = min(shared, _LONGEST)
        if length < _LEAST:
            return None
        begin = prompt[:length]
        entry = next((each for each in self._entries if torch.equal(each[0], begin)), None)
        if entry is None:
            entry = begin.clone(), self._read(begin)
        else:
            self._entries = [each for each in self._entries if each is not entry]
        self._entries.append(entry)
        while sum(len(each) for each, _ in self._entries) > _ALL:
            self._entries.pop(0)
        return entry[1], length

    def _read(self, begin: Tensor) -> KVCache:
        cache = self._decoder.new_cache(1, len(begin))
        for piece in begin.split(self._chunk):
            self._decoder.prefill(piece[None], cache)  # (n, hidden) -> (1, n, hidden)
        return cache
