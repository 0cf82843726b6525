"""The setting ``cpu_offload`` for a model of several parts, of which one at a time has the device.

Weights come and go at other addresses, which CUDA graphs cannot follow: with offloading there are none. Not run on a
GPU yet. Kill switch: ``cpu_offload=False``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from realtts.accel.offload.module import TakingTurns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from realtts.contract.context import Context, Rung

__all__ = ["Turns", "offload_rungs", "turns_of", "why_no_graphs_offloaded"]

_T = TypeVar("_T")


class Turns:
    """Who computes now.

    Args:
        turns: Moves weights; None: all of them lie where they compute.
    """

    def __init__(self, turns: TakingTurns | None = None) -> None:
        self._turns = turns

    @property
    def offloaded(self) -> bool:
        """Whether weights move."""
        return self._turns is not None

    @property
    def details(self) -> dict[str, object]:
        """For the status: whether weights move, and that there are no graphs where they do."""
        why = {"no_cuda_graphs": "cpu_offload moves the weights"} if self.offloaded else {}
        return {"offload": self.offloaded, **why}

    def add(self, name: str, part: object) -> None:
        """A part whose weights lie on the device; with offloading they leave it now."""
        if self._turns is not None:
            self._turns.add(name, part)

    def drop(self, name: str) -> None:
        """Forget a part that another is read in the place of; nobody has the device then."""
        if self._turns is not None:
            self._turns.drop(name)

    def use(self, name: str) -> contextlib.AbstractContextManager[object]:
        """For as long as the part computes."""
        return contextlib.nullcontext() if self._turns is None else self._turns.use(name)

    def each(self, name: str, items: Iterable[_T]) -> Iterator[_T]:
        """Items that a part computes one by one, each in its turn."""
        return iter(items) if self._turns is None else self._turns.each(name, items)

    def clear(self) -> None:
        """Nobody has the device, for a part that is about to be read."""
        if self._turns is not None:
            self._turns.release()


def turns_of(context: Context) -> Turns:
    """As the settings say; where the device is the host there is nothing to move."""
    return Turns(TakingTurns({}, context.device) if _wanted(context) else None)


def offload_rungs(context: Context, rungs: Sequence[Rung]) -> Sequence[Rung]:
    """Those that offloading leaves: none with graphs, unless these were asked for too, which `probe` then answers."""
    if not _wanted(context) or context.settings.cuda_graphs is True:
        return rungs
    return [rung for rung in rungs if not rung.settings["cuda_graphs"]]


def why_no_graphs_offloaded(context: Context) -> str | None:
    """For `probe`: graphs and offloading exclude each other."""
    if not _wanted(context) or context.settings.cuda_graphs is not True:
        return None
    return (
        "CUDA graphs need weights that stay in their place: set cuda_graphs=False (REALTTS_CUDA_GRAPHS=false) or"
        " cpu_offload=False (REALTTS_CPU_OFFLOAD=false)"
    )


def _wanted(context: Context) -> bool:
    return context.settings.cpu_offload and context.device.startswith("cuda")
