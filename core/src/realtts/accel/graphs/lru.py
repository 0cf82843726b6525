"""Things that cost memory and are used again by their keys, such as graphs and the tensors that these read."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Latest"]

K = TypeVar("K")
V = TypeVar("V")


class Latest(Generic[K, V]):
    """Keeps at most so many things, those that were used last. Not for several threads at once.

    Args:
        limit: How many; at least 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """What is kept under a key; made now if nothing is.

        Args:
            key: Everything that it depends on.
            make: Makes it, after what must go for it has gone, so that never more than the limit are in memory.
        """
        if key not in self._kept:
            while len(self._kept) >= self._limit:
                self._kept.popitem(last=False)
            self._kept[key] = make()
        self._kept.move_to_end(key)
        return self._kept[key]

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()

    def __iter__(self) -> Iterator[K]:
        """Keys, the latest used last."""
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
