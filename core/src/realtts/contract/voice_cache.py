"""A cache of speaker conditioning, so that each recording is encoded once."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["VoiceCache"]

T = TypeVar("T")


@dataclass
class _Entry:
    value: Any
    size: int


class VoiceCache:
    """A cache of speaker conditioning that is bounded in bytes; the least recently used goes first.

    Safe to use from many threads.

    Args:
        max_bytes: What all values together may take. A value larger than that is returned, but not kept.
    """

    def __init__(self, max_bytes: int = 256 * 2**20) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._computing: dict[str, threading.Event] = {}
        self._generation = 0
        self._bytes = self._hits = self._misses = self._evictions = 0
        self._below: Callable[[], dict[str, int]] = dict

    def get_or_compute(self, key: str, compute: Callable[[], T], size: Callable[[T], int] | None = None) -> T:
        """Return the value of the key, computed unless it is there.

        Threads that ask for the same key wait for the first one's computation. One that fails keeps nothing:
        its error goes to its own caller, and the next in line tries again.

        Args:
            key: Whatever the value depends on: the voice's digest, checkpoint, dtype.
            compute: Makes the value.
            size: Bytes of the value; by default those of all arrays and tensors in it.
        """
        while True:
            with self._lock:
                entry = self._entries.get(key)
                if entry is not None:
                    self._hits += 1
                    self._entries.move_to_end(key)
                    return cast("T", entry.value)
                pending = self._computing.get(key)
                if pending is None:
                    self._misses += 1
                    generation = self._generation
                    self._computing[key] = threading.Event()
                    break
            pending.wait()
        return self._compute(key, compute, size, generation)

    def clear(self) -> None:
        """Forget all values; counters stay. Values that are being computed now are not kept."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
            self._generation += 1

    def count_also(self, counters: Callable[[], dict[str, int]]) -> None:
        """Add another layer's counters to `stats`, such as those of a layer on disk; the last one given counts."""
        self._below = counters

    def stats(self) -> dict[str, int]:
        """Return ``entries``, ``bytes``, ``hits``, ``misses`` and ``evictions``, and those of the layer below."""
        below = self._below()  # outside the lock: it has one of its own
        with self._lock:
            return {
                "entries": len(self._entries),
                "bytes": self._bytes,
                "hits": self._hits,
                "misses": self._misses,
                "evictions": self._evictions,
                **below,
            }

    def _compute(self, key: str, compute: Callable[[], T], size: Callable[[T], int] | None, generation: int) -> T:
        try:
            value = compute()
            self._keep(key, value, (size or _nbytes)(value), generation)
        finally:
            with self._lock:
                self._computing.pop(key).set()
        return value

    def _keep(self, key: str, value: object, size: int, generation: int) -> None:
        with self._lock:
            if size > self._max_bytes or generation != self._generation:
                return
            self._entries[key] = _Entry(value, size)
            self._bytes += size
            while self._bytes > self._max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= oldest.size
                self._evictions += 1


def _nbytes(value: object) -> int:
    """Return the bytes of all arrays and tensors in nested dictionaries, lists, tuples and dataclasses."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int):
        return nbytes
    if isinstance(value, dict):
        return sum(map(_nbytes, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return sum(map(_nbytes, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(_nbytes(getattr(value, field.name)) for field in dataclasses.fields(value))
    return 0
