"""Requests that join and leave a running batch: what the hook `generate_continuous` is given and what it yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from realtts.contract.types import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.types import FinishReason, Request

__all__ = ["Arrival", "Arrivals", "RowEnd", "RowFailed", "RowItem"]


@dataclass(frozen=True)
class Arrival:
    """A request that may join the running batch.

    Attributes:
        number: Its name in what is yielded; never used again for another one.
        request: What to speak.
    """

    number: int
    request: Request


@dataclass(frozen=True)
class RowEnd:
    """The end of a row: all its chunks were yielded.

    Attributes:
        reason: How it ended: ``"stop"``, ``"length"`` (a cap was reached) or ``"cancelled"``. None: as its last chunk
            says, else ``"stop"``.
    """

    reason: FinishReason | None = None


@dataclass(frozen=True)
class RowFailed:
    """The failure of one row, which leaves the others and the model as they are.

    Attributes:
        error: An `InputError` is the caller's and is raised as it is. Out of memory: the row comes again when others
            have left. Everything else: the row is tried once more by itself, then on a lower rung.
    """

    error: BaseException


RowItem: TypeAlias = tuple[int, Chunk | RowEnd | RowFailed]
"""A row's number, and what came of it."""


class Arrivals(Protocol):
    """Requests on their way into a running batch; used from inside `generate_continuous` alone."""

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Return requests that have come, without waiting; each of them is a row from here on.

        The core decides the order: rows of different requests take turns.

        Args:
            most: Rows that there is room for.
            fits: Tells whether one can join now. One that cannot stays the next to be asked for, and is overtaken by
                at most eight others.
        """
