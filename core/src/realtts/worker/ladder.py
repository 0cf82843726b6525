"""The ladder as it stands in a worker: it stops where its process is of no use any more, and tells how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.errors import StageFailed
from realtts.ladder.ladder import Ladder
from realtts.wire.faults import poisons

if TYPE_CHECKING:
    from realtts.ladder.rung import LiveRung, StageError

__all__ = ["PoisonedContext", "WorkerLadder"]


class PoisonedContext(Exception):
    """CUDA works no more in this process: the next rung has to be loaded by a new one."""


class WorkerLadder(Ladder):
    """The ladder of a worker.

    In process, nothing helps when a kernel has destroyed the CUDA context: all lower rungs fail as well. Here the rung
    is given up, the climb ends, and the parent goes on in a new process. Not yet run on a GPU; tested with the errors'
    texts.
    """

    poisoned = False

    def snapshot(self) -> dict[str, Any]:
        """How it stands, JSON-able."""
        live = self.live
        return {
            "state": self.state,
            "attempts": [attempt.as_dict() for attempt in self.attempts],
            "given_up": self.given_up,
            "details": self.details,
            "live": None if live is None else self._described(live),
        }

    def _described(self, live: LiveRung) -> dict[str, Any]:
        facts = live.facts
        return {
            "variant": facts.variant,
            "device": facts.device,
            "dtype": facts.dtype,
            "rung": facts.rung,
            "rung_settings": dict(facts.changes),
            "timings": live.timings,
            "batch": live.supports_batch(),
            "last": len(self._open()) < 2,
        }

    def close(self, variant: str, rung: str, failure: StageError) -> bool:
        """Give up a rung on which processes before this one have crashed; nothing is loaded here.

        Returns:
            False when it is the last one that is open, and stays so.
        """
        opened = self._open()
        if len(opened) < 2 or (variant, rung) not in opened:
            return False
        super()._close_rung(opened[variant, rung], failure)
        return True

    def _open(self) -> dict[tuple[str, str], int]:
        """The rungs that were not given up, by variant and name, and their places in the plan."""
        proposed = enumerate(self._proposals.all())
        return {(found.variant, found.rung.name): index for index, found in proposed if index not in self._closed}

    def _close_rung(self, index: int, failure: StageError) -> None:
        poisoned = poisons(failure.error)
        self.poisoned = self.poisoned or poisoned
        try:
            super()._close_rung(index, failure)
        except StageFailed:
            raise
        except Exception:
            if not poisoned:
                raise
            # The rung is closed already; giving the device's memory back fails as everything does.
        if poisoned:
            raise PoisonedContext
