"""Clocks of the rows that a worker speaks: they run while the parent waits for it, not while it waits for a reader."""

from __future__ import annotations

__all__ = ["RowClocks"]

MOST_KEPT = 1024
"""Requests whose time is remembered between two of their rows."""


class RowClocks:
    """How long a worker has worked on each request, and how long it has known that a row is cancelled."""

    def __init__(self) -> None:
        self._now = 0.0
        self._caller_of: dict[int, int] = {}  # row -> its request
        self._spent: dict[int, float] = {}  # request -> seconds of work
        self._cancelled: dict[int, float] = {}  # row -> when its cancellation was sent

    def begin(self, row: int, caller: int, spent: float) -> None:
        """Start the clock of a row.

        Args:
            row: Its number.
            caller: Its request; what was worked on earlier rows of it counts.
            spent: Seconds that were spent on the request before its first row, such as on loading.
        """
        self._caller_of[row] = caller
        self._spent.setdefault(caller, spent)
        if len(self._spent) > MOST_KEPT + len(self._caller_of):
            speaking = set(self._caller_of.values())
            del self._spent[next(each for each in self._spent if each not in speaking)]

    def cancel(self, row: int) -> None:
        """Note that the worker is told of a row's cancellation."""
        self._cancelled.setdefault(row, self._now)

    def end(self, row: int) -> None:
        """Stop the clock of a row."""
        self._caller_of.pop(row, None)
        self._cancelled.pop(row, None)

    def clear(self) -> None:
        """Stop the clocks of all rows."""
        self._caller_of.clear()
        self._cancelled.clear()

    def advance(self, seconds: float) -> None:
        """Let seconds pass."""
        self._now += seconds
        for caller in set(self._caller_of.values()):
            self._spent[caller] += seconds

    @property
    def any(self) -> bool:
        """Whether rows are spoken."""
        return bool(self._caller_of)

    def longest(self) -> float:
        """Return the most seconds that were spent on a request whose rows are spoken."""
        return max((self._spent[caller] for caller in self._caller_of.values()), default=0.0)

    def longest_cancelled(self) -> float:
        """Return for how many seconds the worker has known of a cancelled row that has not ended."""
        return self._now - min(self._cancelled.values(), default=self._now)
