"""The ladder of a worker: it stops where its process is of no use any more, and describes itself to the parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.errors import StageFailed
from realtts.ladder.ladder import Ladder
from realtts.wire.calls import LadderState, RungState
from realtts.wire.faults import destroys_context

if TYPE_CHECKING:
    from realtts.ladder.failures import StageError

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

    def snapshot(self) -> LadderState:
        """Describe the ladder."""
        return LadderState(self.attempts, self.given_up, self.details, self._live_state())

    def close(self, variant: str, rung: str, failure: StageError) -> bool:
        """Give up a rung on which processes before this one have crashed; nothing is loaded here.

        Returns:
            False when it is the last one that is open, and stays so.
        """
        open_rungs = self.open_rungs()
        if len(open_rungs) < 2 or (variant, rung) not in open_rungs:
            return False
        super().close_rung(open_rungs[variant, rung], failure)
        return True

    def close_rung(self, index: int, failure: StageError) -> None:
        """Record a failure of a rung and forbid it.

        Raises:
            PoisonedContext: The failure has destroyed the CUDA context. StageFailed: with ``strict``.
        """
        poisoned = destroys_context(failure.error)
        self.poisoned = self.poisoned or poisoned
        try:
            super().close_rung(index, failure)
        except StageFailed:
            raise
        except Exception:
            if not poisoned:
                raise
            # The rung is closed already; giving the device's memory back fails as everything does.
        if poisoned:
            raise PoisonedContext

    def _live_state(self) -> RungState | None:
        live = self.live
        if live is None:
            return None
        facts = live.facts
        return RungState(
            variant=facts.variant,
            rung=facts.rung,
            device=facts.device,
            dtype=facts.dtype,
            changes=dict(facts.changes),
            timings=live.timings,
            places=live.places,
            joins=live.joins,
            last=len(self.open_rungs()) < 2,
        )
