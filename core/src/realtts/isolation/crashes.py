"""Which rung a worker died on, so that one that no worker survives is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realtts.errors import WorkerDied

if TYPE_CHECKING:
    from realtts.events import Event

__all__ = ["Crashes", "Place", "closing"]


class Place(NamedTuple):
    """Where on the ladder a worker was at work.

    Attributes:
        variant, rung: The rung.
        stage: Its stage.
    """

    variant: str
    rung: str
    stage: str


class Crashes:
    """The rung that the last worker crashed on, until a request goes well.

    Once may be chance: somebody has killed it, or one text did. Twice in a row is taken for the rung's fault.
    """

    def __init__(self) -> None:
        self._at: Place | None = None
        self._before: Place | None = None
        self._doomed: Place | None = None

    def at_work(self, place: Place | None) -> None:
        """What the worker does from now on happens there; None: on no rung yet."""
        self._at = place

    def heard(self, event: Event) -> None:
        """A worker tells which stage of which rung it begins while it loads."""
        if event.name == "stage.started":
            about = event.data
            self._at = Place(str(about.get("variant")), str(about.get("rung")), str(about.get("stage")))

    def died(self, *, by_itself: bool) -> None:
        """The worker has ended; by itself, or because it reached a limit, which says nothing of the rung."""
        self._doomed = None
        if by_itself:
            before, self._before = self._before, self._at
            if self._at is not None and before is not None and before[:2] == self._at[:2]:
                self._doomed = self._at

    def take(self) -> Place | None:
        """Where two workers in a row have crashed just now; asked once."""
        doomed, self._doomed = self._doomed, None
        return doomed

    def forget(self) -> None:
        """A request went well, or everything begins anew."""
        self._before = None


def closing(death: WorkerDied) -> WorkerDied:
    """The error as the rung's attempt has it: what helps is another rung, not another try."""
    return WorkerDied(f"twice in a row {death.what}", who=death.who, fix="", stderr=death.stderr)
