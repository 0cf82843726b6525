"""Which row computes beside T3's steps: one unit of one of them between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Desk", "Sounding"]

_STEPS_BETWEEN = 4
"""Steps between two units of those who were heard, or whom nobody hears yet, while T3 draws somebody's first piece."""


class Sounding(Protocol):
    """A row that makes sound of its tokens.

    Attributes:
        live: Whether somebody hears it as it is made.
        heard: Whether there was sound of it.
        ready: Whether there is something to compute.
    """

    live: bool
    heard: bool
    ready: bool


_Row = TypeVar("_Row", bound=Sounding)


class Desk(Generic[_Row]):
    """Lets one row at a time compute: first pieces first, then further ones, then whole speech, in order of coming.

    One after the other is no more work than all by turns, and the first of them is done sooner.
    """

    def __init__(self) -> None:
        self._rows: dict[int, _Row] = {}
        self._refused = 0

    @property
    def rows(self) -> Collection[_Row]:
        """Those who are there, in order of coming."""
        return self._rows.values()

    def join(self, number: int, row: _Row) -> None:
        """Add a row under its number."""
        self._rows[number] = row

    def leave(self, number: int) -> None:
        """Take a row out, where it is there."""
        self._rows.pop(number, None)

    def serves(self, row: _Row) -> bool:
        """Tell whether a row that is ready may compute a unit now; who may not asks again after the next step."""
        if row is not min((each for each in self._rows.values() if each.ready), key=_rank):
            return False
        begins = any(each.live and not each.heard for each in self._rows.values())
        if not begins or _rank(row) == 0 or self._refused == _STEPS_BETWEEN - 1:
            self._refused = 0
            return True
        self._refused += 1
        return False


def _rank(row: Sounding) -> int:
    return int(row.heard) if row.live else 2
