"""Loops of several sizes around one decoder, kept as long as they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from realtts.accel.decoder.loop import DecodeLoop

__all__ = ["Loops"]

_SLOTS = 128
"""The cap of a loop's cache is a multiple of so many slots."""


class _HasLoop(Protocol):
    @property
    def loop(self) -> DecodeLoop:
        """The loop itself."""


_Key = TypeVar("_Key", bound="Hashable")
_Own = TypeVar("_Own", bound=_HasLoop)


class Loops(Generic[_Key, _Own]):
    """A model's loops by what they are for, such as a number of streams.

    A loop is made when it is first needed and kept; when a longer one is needed, it goes before that is made.

    Args:
        least: The least cap: with graphs, which a longer loop would throw away, as long as requests get.
    """

    def __init__(self, *, least: int = 0) -> None:
        self._least = least
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

    def keep(self, wanted: Callable[[_Key], bool]) -> None:
        """Let go of the loops whose keys are not wanted."""
        self._kept = {key: own for key, own in self._kept.items() if wanted(key)}
