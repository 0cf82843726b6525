"""The order in which calls are served: each caller gets an equal share, however much it asks for.

Every row gets a tag: the share that its caller will have had when the row is done, counted from where the others are.
The smallest tag is next (start-time fair queueing), so that short requests overtake long ones, and a caller with a
thousand rows shares with one who has a single row. See `Goyal, Vin and Cheng 1996`.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from realtts.provider.callers import Caller

__all__ = ["BULK_SHARE", "ROW_COST", "Priority", "Shares"]

Priority = Literal["interactive", "bulk"]

BULK_SHARE = 8
"""One free place in so many goes to a bulk request that waits, however many interactive ones there are."""

ROW_COST = 20
"""What a row costs beside its characters, in characters: prompts and the start of a batch."""

HALF_LIFE_S = 10.0
"""After so long, half of what a caller was served is forgotten."""


class Shares:
    """What each caller has had. Used under the engine's lock."""

    def __init__(self) -> None:
        self._now = 0.0  # the tag at which the row that was served last began
        self._last: weakref.WeakKeyDictionary[Caller, float] = weakref.WeakKeyDictionary()
        self._served: weakref.WeakKeyDictionary[Caller, tuple[float, float]] = weakref.WeakKeyDictionary()
        self._busy_s = 0.0
        self._done = 0.0  # cost of what was spoken in that time
        self._passed = 0  # places that bulk requests have left to interactive ones since they had one

    def bulk_is_next(self) -> bool:
        """Tell whether a bulk request that waits has left enough places to interactive ones."""
        return self._passed >= BULK_SHARE - 1

    def place(self, priority: Priority, *, bulk_waits: bool) -> None:
        """Note who gets a free place."""
        self._passed = self._passed + 1 if priority == "interactive" and bulk_waits else 0

    def tag(self, caller: Caller, cost: float) -> float:
        """Return the tag of a caller's next row."""
        tag = max(self._now, self._last.get(caller, 0.0)) + cost
        self._last[caller] = tag
        return tag

    def serve(self, caller: Caller, tag: float, cost: float) -> None:
        """Note that a row gets its turn."""
        self._now = max(self._now, tag - cost)
        self._served[caller] = (self.served(caller) + cost, time.monotonic())

    def served(self, caller: Caller) -> float:
        """Return what a caller was served lately, in characters."""
        amount, at = self._served.get(caller, (0.0, 0.0))
        return float(amount * 2.0 ** ((at - time.monotonic()) / HALF_LIFE_S))

    def worked(self, seconds: float, cost: float) -> None:
        """Note time that the provider has worked, and the cost of the rows that it has ended."""
        self._busy_s += seconds
        self._done += cost

    def wait_s(self, cost: float) -> float | None:
        """Return how long work of a cost will take; None while nothing was spoken yet."""
        return self._busy_s / self._done * cost if self._done else None
