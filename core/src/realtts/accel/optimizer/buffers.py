"""A pool of tensors: memory that is lent, given back and lent again, so that a hot loop allocates nothing.

Switch: the setting ``buffer_pool`` (``REALTTS_BUFFER_POOL``); a pool that is off allocates anew and keeps nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils.weak import WeakIdKeyDictionary

from realtts.errors import BufferMisuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["BufferPool"]

SMALLEST = 512
"""Bytes of the smallest size class: what CUDA's allocator rounds to."""


class _Key(NamedTuple):
    size: int
    dtype: torch.dtype
    device: torch.device
    stream: int


class BufferPool:
    """Lends tensors of any shape out of blocks whose sizes are powers of two.

    What it keeps idle is bounded; what is lent is the borrower's, and is forgotten if it is dropped without being
    given back. Safe to use from many threads. On CUDA a block is lent again only to the stream that it was lent to,
    so a borrower must have finished with it on that stream.

    Args:
        max_bytes: Bound of the idle blocks; the ones idle for longest go first.
        enabled: The setting ``buffer_pool``. False: every tensor is new, and nothing is kept.
        pinned: Take blocks of host memory from pinned memory, which copies to a CUDA device faster. Without CUDA it
            has no effect.
    """

    def __init__(self, max_bytes: int = 256 * 2**20, *, enabled: bool = True, pinned: bool = False) -> None:
        self._max_bytes = max_bytes
        self._enabled = enabled
        self._pinned = pinned and torch.cuda.is_available()
        self._lock = threading.Lock()
        self._idle: dict[_Key, list[int]] = {}
        self._blocks: OrderedDict[int, tuple[_Key, torch.Tensor]] = OrderedDict()  # idle for longest first
        # Weak, by identity: a lent tensor that its borrower drops takes its block with it.
        self._lent: Any = WeakIdKeyDictionary()
        self._back: Any = WeakIdKeyDictionary()
        self._next = 0
        self._bytes = self._hits = self._misses = self._evictions = 0

    def get(
        self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Lend a contiguous tensor with undefined contents.

        Args:
            shape: Its shape.
            dtype: Its type.
            device: Where it lies; ``"cuda"`` means the current device.
        """
        key = self._key(shape, dtype, device)
        with self._lock:
            block = self._take(key)
        if block is None:
            block = self._allocate(key)
        length = torch.Size(shape).numel()
        with torch.inference_mode(mode=False):  # a view made in inference mode could not be used outside of it
            lent = block[:length].view(tuple(shape))
        with self._lock:
            self._lent[lent] = (key, block)
        return lent

    def give_back(self, tensor: torch.Tensor) -> None:
        """Return a tensor that `get` lent; the caller must not use it, or views of it, any more.

        Raises:
            BufferMisuse: It was returned before, or another allocator made it.
        """
        with self._lock:
            if tensor in self._back:
                raise self._misuse("the tensor was returned before", "return each tensor once, or use borrow()")
            if tensor not in self._lent:
                raise self._misuse(
                    "the tensor was not lent by this pool", "return the tensor itself that get() gave, not a view of it"
                )
            key, block = self._lent.pop(tensor)
            self._back[tensor] = True
            if self._enabled:
                self._keep(key, block)

    @contextlib.contextmanager
    def borrow(
        self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> Iterator[torch.Tensor]:
        """Lend a tensor for the body of a ``with`` statement."""
        tensor = self.get(shape, dtype, device)
        try:
            yield tensor
        finally:
            self.give_back(tensor)

    def clear(self) -> None:
        """Free all idle blocks; what is lent may still be returned."""
        with self._lock:
            self._idle.clear()
            self._blocks.clear()
            self._bytes = 0

    def stats(self) -> dict[str, int]:
        """``idle`` and ``lent`` tensors, ``bytes`` of the idle blocks, ``hits``, ``misses`` and ``evictions``."""
        with self._lock:
            return {
                "idle": len(self._blocks),
                "lent": len(self._lent),
                "bytes": self._bytes,
                "hits": self._hits,
                "misses": self._misses,
                "evictions": self._evictions,
            }

    def _key(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device | str) -> _Key:
        place = torch.device(device)
        if place == torch.device("cuda"):
            place = torch.device("cuda", torch.cuda.current_device())
        nbytes = max(torch.Size(shape).numel() * dtype.itemsize, SMALLEST)
        stream = torch.cuda.current_stream(place).cuda_stream if place.type == "cuda" else 0
        return _Key(1 << (nbytes - 1).bit_length(), dtype, place, stream)

    def _take(self, key: _Key) -> torch.Tensor | None:
        numbers = self._idle.get(key)
        if not numbers:
            self._misses += 1
            return None
        _, block = self._blocks.pop(numbers.pop())  # the one used last is the likeliest to be in a cache
        self._bytes -= key.size
        self._hits += 1
        return block

    def _allocate(self, key: _Key) -> torch.Tensor:
        pinned = self._pinned and key.device.type == "cpu"
        with torch.inference_mode(mode=False):
            return torch.empty(key.size // key.dtype.itemsize, dtype=key.dtype, device=key.device, pin_memory=pinned)

    def _keep(self, key: _Key, block: torch.Tensor) -> None:
        if key.size > self._max_bytes:
            return
        self._next += 1
        self._blocks[self._next] = (key, block)
        self._idle.setdefault(key, []).append(self._next)
        self._bytes += key.size
        while self._bytes > self._max_bytes:
            number, (old, _) = self._blocks.popitem(last=False)
            self._idle[old].remove(number)
            self._bytes -= old.size
            self._evictions += 1

    @staticmethod
    def _misuse(what: str, fix: str) -> BufferMisuse:
        return BufferMisuse(
            what, who="buffer pool", fix=f"{fix}; buffer_pool=False (REALTTS_BUFFER_POOL=false) reuses none"
        )
