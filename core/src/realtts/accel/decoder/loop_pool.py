"""Loops of several sizes around one decoder, kept as long as they fit, and what their steps cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from realtts.accel.decoder.loop import DecodeLoop
    from realtts.contract.stages import Work

__all__ = ["Loops", "counted", "look_of"]

_SLOTS = 128
"""The cap of a loop's cache is a multiple of so many slots."""


class _HasLoop(Protocol):
    @property
    def loop(self) -> DecodeLoop:
        """The loop itself."""


_Key = TypeVar("_Key", bound="Hashable")
_Own = TypeVar("_Own", bound=_HasLoop)
_New = TypeVar("_New")


class Loops(Generic[_Key, _Own]):
    """A model's loops by what they are for, such as a number of streams.

    A loop is made when it is first needed and kept; when a longer one is needed, it goes before that is made.

    Args:
        graphed: Whether they capture graphs, which go with a loop.
        least: The least cap with graphs, which a longer loop would throw away: as long as requests get.
    """

    def __init__(self, *, graphed: bool = False, least: int = 0) -> None:
        self._graphed, self._least = graphed, least if graphed else 0
        self._kept: dict[_Key, _Own] = {}

    def of(self, key: _Key, slots: int, make: Callable[[_Key, int], _Own]) -> _Own:
        """The loop of a key with so many slots or more.

        Args:
            key: What it is for.
            slots: That are needed.
            make: Makes what a model has around a loop, ``.loop``, of the key and the cap of its cache.
        """
        own = self._kept.get(key)
        if own is None or own.loop.cache.cap < slots:
            self._kept.pop(key, None)
            del own  # or its cache would be in memory beside the new one
            own = self._kept[key] = make(key, -(-max(slots, self._least) // _SLOTS) * _SLOTS)
        return own

    def release(self) -> None:
        """Let go of the caches of several streams, which a single one has no use for; graphs keep theirs."""
        if not self._graphed:
            self._kept = {key: own for key, own in self._kept.items() if own.loop.streams == 1}


def look_of(device: torch.device | str, steps: int = 8) -> int:
    """Steps between two looks at a device: one on the CPU, where a look costs nothing; else so many, for it stalls."""
    return 1 if torch.device(device).type == "cpu" else steps


def counted(drawn: Iterator[_New], loop: DecodeLoop, work: Work, cost: Callable[[], tuple[int, int]]) -> Iterator[_New]:
    """What a loop draws, its steps counted as it comes.

    Args:
        drawn: Such as `DecodeLoop.run` of the loop gives, begun.
        loop: Whose steps they are.
        work: The stage.
        cost: Operations and bytes of a step, such as `Decoder.step_cost` of the loop's cache.
    """
    before = loop.drawn
    for new in drawn:
        steps, before = loop.drawn - before, loop.drawn
        flops, read = cost()  # fewer when some have ended
        work.add(steps=steps, flops=steps * flops, bytes=steps * read)
        yield new
