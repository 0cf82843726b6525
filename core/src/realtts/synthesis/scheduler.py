"""Which rows are spoken when: many calls share the places of one rung, and a failure costs only those whom it met.

Rows of different calls take free places in turn. A row that is spoken is never stopped for another one. When a rung
fails with several rows on it, those that nobody has heard are spoken again, each by itself; the rung is given up when
one fails on it that was alone.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Protocol

from realtts.contract.continuous import Arrival, RowEnd, RowFailed
from realtts.contract.types import Chunk
from realtts.errors import InvalidChunk
from realtts.ladder.failures import StageError
from realtts.machine import memory
from realtts.synthesis.recovery import Recovery, Spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from realtts.contract.continuous import RowItem
    from realtts.ladder.protocols import AnyLadder, AnyRung
    from realtts.synthesis.rows import Row
    from realtts.synthesis.session import Session

__all__ = ["Scheduler", "Turns"]

MOST_OVERTAKEN = 8
"""Rows that may join before one that came earlier and did not fit."""

MOST_IDLE_STEPS = 10_000
"""Steps without a row, while rows are ready, after which a provider is taken for one that takes none."""

_END: Any = object()
"""What an exhausted run gives."""


class Turns(Protocol):
    """Who is next."""

    def choose(self, sessions: Sequence[Session], fits: Callable[[Session], bool]) -> Session | None:
        """Return the session whose next row takes a free place: one of these, or one that has waited outside.

        Args:
            sessions: Those that have begun and have a row to speak, in order of their beginning.
            fits: Tells whether one that has waited outside can be spoken with the rows that are ready.
        """

    def quiet(self) -> bool:
        """Tell whether no row may begin for now, because something waits for the model to be at rest."""


class Scheduler:
    """The rows of all calls on one ladder. Used by one thread, which calls `step` again and again.

    Args:
        ladder: Who speaks.
        turns: Who is next.

    Attributes:
        sessions: Calls that have begun and are not over.
    """

    def __init__(self, ladder: AnyLadder, turns: Turns) -> None:
        self.sessions: list[Session] = []
        self._ladder = ladder
        self._turns = turns
        self._numbers = itertools.count()
        self._ready: list[Spoken] = []  # chosen, and not yet taken by the provider
        self._running: dict[int, Spoken] = {}
        self._run: Generator[RowItem | None, None, None] | None = None
        self._idle_steps = 0  # of a run that has no row and takes none
        self._recovery = Recovery(ladder, self._running, self.rest)

    @property
    def running(self) -> int:
        """Rows that are being spoken."""
        return len(self._running)

    @property
    def lags(self) -> bool:
        """Whether nothing but streams is spoken, and no reader of them has room for more."""
        return bool(self._running) and all(spoken.session.lags() for spoken in self._running.values())

    def step(self) -> bool:
        """Let the provider make one step, and hand on what it made.

        Returns:
            False when there is nothing to do until something new comes.
        """
        self._settle_cancelled()
        self._choose()
        if not (self._running or self._ready):
            self.rest()
            return False
        self._advance()
        self.sessions = [session for session in self.sessions if not session.over]
        return True

    def rest(self) -> None:
        """End the provider's iterator, which has no row; the next row begins another one."""
        run, self._run, self._recovery.most = self._run, None, None
        if run is None:
            return
        try:
            run.close()
        except BaseException as error:  # the rung logs what a provider's own iterator raises
            memory.clear_frames(error)

    def close(self) -> None:
        """Cancel everything; returns when the provider has ended its rows."""
        for session in self.sessions:
            session.cancel()
        while self._running:
            self._advance()
        self._settle_cancelled()
        self.rest()

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Return rows that may join, see `realtts.contract.continuous.Arrivals`; the provider calls it."""
        taken: list[Arrival] = []
        passed: list[Row] = []  # those that did not fit
        for spoken in list(self._ready):
            if len(taken) >= most or (passed and passed[0].overtaken >= MOST_OVERTAKEN):
                break
            if spoken.row.number is None:
                spoken.row.number = next(self._numbers)
            arrival = Arrival(spoken.row.number, spoken.row.request)
            if fits is not None and not fits(arrival):
                passed.append(spoken.row)
                continue
            for other in passed:
                other.overtaken += 1
            self._ready.remove(spoken)
            self._running[arrival.number] = spoken
            self._ladder.stages.begin(arrival.number, spoken.session.key)
            taken.append(arrival)
        self._idle_steps = 0 if taken else self._idle_steps
        return taken

    # -- who is next -------------------------------------------------------------------------------------------------

    def _choose(self) -> None:
        """Fill the free places."""
        if self._turns.quiet():
            return
        while self._recovery.alone and not (self._running or self._ready):
            spoken = self._recovery.alone.pop(0)
            if self._loaded(spoken.session):
                self._ready.append(spoken)
        while not self._recovery.alone and len(self._ready) < self._free():
            session = self._turns.choose([each for each in self.sessions if self._may_take(each)], self._may_join)
            if session is None or not self._opened(session) or not self._loaded(session):
                if session is None:
                    return
                continue
            row = session.next_row()
            if row is not None:  # it may have been cancelled, or have nothing to say, meanwhile
                session.admit(row)
                self._ready.append(Spoken(session, row))

    def _free(self) -> int:
        """Return how many rows may be ready, those that are included."""
        rung = self._ladder.live
        if any(spoken.row.alone for spoken in (*self._running.values(), *self._ready)):
            return 0
        if rung is None:  # the first one loads it
            return 0 if self._running else 1
        if not rung.joins:
            return 0 if self._running else rung.places
        return self._room(rung) - len(self._running)

    def _room(self, rung: AnyRung) -> int:
        return rung.places if self._recovery.most is None else min(rung.places, self._recovery.most)

    def _may_take(self, session: Session) -> bool:
        """Tell whether a session has a row to speak and may have a further place."""
        if session.next_row() is None or not self._may_join(session):
            return False
        rung = self._ladder.live
        if rung is None or not rung.joins:  # nobody can join a batch that runs, however small it is
            return True
        # Rows that run are not stopped for others: a call with much to say leaves the other half free.
        return session.waiting < 2 or session.running < max(1, self._room(rung) // 2)

    def _may_join(self, session: Session) -> bool:
        """Tell whether a session's row can be spoken with the rows that are ready."""
        rung = self._ladder.live
        if rung is None or rung.joins or not self._ready:
            return True
        first = self._ready[0].session
        if session.live or first.live:  # the first audio of a batch comes late
            return False
        # In lower precision a row's tokens may depend on its neighbours; of another call's, its speech must not.
        return session is first or rung.facts.dtype == "float32"

    def _opened(self, session: Session) -> bool:
        """Begin a session that has not begun; False when it cannot be spoken."""
        if session.begun:
            return True
        self.sessions.append(session)
        with self._recovery.ending(session):
            session.begin()
            session.finish_if_done()
        return not session.over

    def _loaded(self, session: Session) -> bool:
        """Load a rung if there is none; False when there is none for the session, which fails."""
        with self._recovery.ending(session):
            if not session.over:
                session.loader.rung()
        return not session.over

    def _settle_cancelled(self) -> None:
        """End the sessions that nobody wants any more, as far as the provider lets go of them."""
        for session in [each for each in self.sessions if each.cancelled or each.over or each.exhausted]:
            for spoken in [each for each in (*self._ready, *self._recovery.alone) if each.session is session]:
                (self._ready if spoken in self._ready else self._recovery.alone).remove(spoken)
                session.release(spoken.row)
            rung = self._ladder.live
            shared = any(spoken.session is not session for spoken in self._running.values())
            if session.running and shared and (rung is None or not rung.joins):
                session.let_go()  # the batch goes on with the others' rows
            with self._recovery.ending(session):
                session.finish_if_done()
        self.sessions = [session for session in self.sessions if not session.over]

    # -- what comes of rows ------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Let the provider make one step."""
        if self._run is None:
            rung = self._ladder.live
            if rung is None:  # it was given up since the rows were chosen
                self._reload()
                return
            self._run, self._idle_steps = rung.run(self), 0
        try:
            item = next(self._run, _END)
        except BaseException as error:
            self._run = None
            self._recovery.fell(error)
            return
        if item is _END:
            self._run = None
        elif item is not None:
            self._come(*item)
            return
        if not self._running and self._ready:
            self._idle_steps += 1
            if item is _END or self._idle_steps > MOST_IDLE_STEPS:
                self._refused()

    def _reload(self) -> None:
        """Load a rung for the rows that are ready; those that cannot have one end."""
        for spoken in list(self._ready):
            if not self._loaded(spoken.session):
                self._ready.remove(spoken)

    def _refused(self) -> None:
        """Give up a rung whose iterator takes no row."""
        ready, self._ready = self._ready, []
        error = InvalidChunk(
            f"generate_continuous has taken none of {len(ready)} requests", who=f"provider {self._ladder.spec.name!r}",
            fix="call arrivals.take whenever there is room",
        )  # fmt: skip
        self._recovery.step_down(ready, StageError("generate", error))

    def _come(self, number: int, content: Chunk | RowEnd | RowFailed) -> None:
        """Take what came of a row."""
        spoken = self._running[number]
        session, row = spoken.session, spoken.row
        if isinstance(content, Chunk):
            with self._recovery.ending(session):
                session.feed(row, content)
            return
        del self._running[number]
        self._ladder.stages.end(number)
        if isinstance(content, RowEnd):
            self._recovery.ended(spoken, content.reason)
        else:
            self._recovery.failed(spoken, content.error)
