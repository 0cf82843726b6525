"""A least-recently-used cache for what costs memory, such as graphs and the tensors that they read."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LRUCache"]

K = TypeVar("K")
V = TypeVar("V")


class LRUCache(Generic[K, V]):
    """A cache of at most so many values, from which the least recently used one goes first. Not thread-safe.

    Args:
        limit: Most values; at least 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key, made first if there is none.

        Args:
            key: Everything that the value depends on.
            make: Makes the value, called after the eviction, so that never more than the limit are in memory.
        """
        if key not in self._values:
            while len(self._values) >= self._limit:
                self._values.popitem(last=False)
            self._values[key] = make()
        self._values.move_to_end(key)
        return self._values[key]

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a value of a key."""
        return key in self._values

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys, the most recently used last."""
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
