"""Requests that are all there, for the hooks that are given them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.contract.continuous import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.types import Request

__all__ = ["Given"]


class Given:
    """Requests that have all come."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._waiting = [Arrival(number, request) for number, request in enumerate(requests)]

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Return those that fit, in order."""
        taken: list[Arrival] = []
        for arrival in self._waiting:
            if len(taken) < most and (fits is None or fits(arrival)):
                taken.append(arrival)
        self._waiting = [arrival for arrival in self._waiting if arrival not in taken]
        return taken
