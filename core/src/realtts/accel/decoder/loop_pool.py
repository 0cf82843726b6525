"""A pool of decode loops of several sizes around one decoder, and the count of their steps for stage timing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from realtts.accel.decoder.loop import DecodeLoop
    from realtts.contract.stages import Work

__all__ = ["LoopPool", "counted", "sync_interval"]

_SLOTS = 128
"""The cap of a loop's cache is a multiple of so many slots."""


class _HasLoop(Protocol):
    @property
    def loop(self) -> DecodeLoop:
        """The loop itself."""


_Key = TypeVar("_Key", bound="Hashable")
_Entry = TypeVar("_Entry", bound=_HasLoop)
_New = TypeVar("_New")


class LoopPool(Generic[_Key, _Entry]):
    """A model's decode loops by key, such as the number of streams.

    A loop is made when it is first needed and kept; when a longer one is needed, it goes before that is made.

    Args:
        graphed: Whether they capture graphs, which go with a loop.
        least: The least cap with graphs, which a longer loop would throw away: as long as requests get.
    """

    def __init__(self, *, graphed: bool = False, least: int = 0) -> None:
        self._graphed, self._least = graphed, least if graphed else 0
        self._entries: dict[_Key, _Entry] = {}

    def of(self, key: _Key, slots: int, make: Callable[[_Key, int], _Entry]) -> _Entry:
        """Return the entry of a key whose loop has at least so many slots, made first if there is none.

        Args:
            key: Its key.
            slots: Slots that are needed.
            make: Makes an entry, an object with the loop as ``.loop``, of the key and the cap of the loop's cache.
        """
        entry = self._entries.get(key)
        if entry is None or entry.loop.cache.cap < slots:
            self._entries.pop(key, None)
            del entry  # or its cache would be in memory beside the new one
            entry = self._entries[key] = make(key, -(-max(slots, self._least) // _SLOTS) * _SLOTS)
        return entry

    def release(self) -> None:
        """Free the loops of several streams, whose caches a single stream does not use; graphs keep theirs."""
        if not self._graphed:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.loop.streams == 1}


def sync_interval(device: torch.device | str, steps: int = 8) -> int:
    """Return the steps between two synchronisations: one on the CPU, where they are free; else ``steps``."""
    return 1 if torch.device(device).type == "cpu" else steps


def counted(drawn: Iterator[_New], loop: DecodeLoop, work: Work, cost: Callable[[], tuple[int, int]]) -> Iterator[_New]:
    """Yield what a loop draws, and count its steps and their cost as it comes.

    Args:
        drawn: What `DecodeLoop.run` of the loop yields, begun.
        loop: The loop whose steps are counted.
        work: The stage, which is added to.
        cost: Operations and bytes of a step, such as `Decoder.step_cost` of the loop's cache.
    """
    before = loop.drawn
    for new in drawn:
        steps, before = loop.drawn - before, loop.drawn
        flops, read = cost()  # asked anew each time: fewer when some streams have ended
        work.add(steps=steps, flops=steps * flops, bytes=steps * read)
        yield new
