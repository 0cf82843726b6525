"""What a model meets for the first time after its warm-up, for tests that it meets nothing.

A capture, a cache, or a shape that a library has to prepare for takes longer than a step: it is heard as a pause.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from torch.nn import functional

from realtts.accel.decoder import KVCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.testing.recording import RecordingGraphs

__all__ = ["FirstTimes"]


class FirstTimes:
    """Counts captures, caches and shapes of attention while a test runs, without changing what is computed.

    Args:
        backend: Of the model's graphs.

    Attributes:
        caches: Caches of keys and values, as (rows, slots).
        shapes: Shapes of queries and keys that torch's attention was called with; replays of graphs call nothing.
    """

    def __init__(self, backend: RecordingGraphs) -> None:
        self._backend = backend
        self.caches: list[tuple[int, int]] = []
        self.shapes: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()

    @contextlib.contextmanager
    def watching(self) -> Iterator[FirstTimes]:
        """Count inside the block."""
        attend, allocate = functional.scaled_dot_product_attention, KVCache._allocate

        def attending(q: Any, k: Any, *arguments: Any, **named: Any) -> Any:
            self.shapes.add((tuple(q.shape), tuple(k.shape)))
            return attend(q, k, *arguments, **named)

        def allocating(cache: KVCache, config: Any, rows: int, cap: int, *arguments: Any) -> None:
            self.caches.append((rows, cap))
            allocate(cache, config, rows, cap, *arguments)

        functional.scaled_dot_product_attention = attending  # type: ignore[assignment]
        KVCache._allocate = allocating  # type: ignore[assignment, method-assign]
        try:
            yield self
        finally:
            functional.scaled_dot_product_attention = attend
            KVCache._allocate = allocate  # type: ignore[method-assign]

    def mark(self) -> tuple[int, int, frozenset[Any]]:
        """Return what was met so far: the same again later says that nothing was met for the first time."""
        return self._backend.captures, len(self.caches), frozenset(self.shapes)
