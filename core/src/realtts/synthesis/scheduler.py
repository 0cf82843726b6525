"""Which rows are spoken when: many calls share the places of one rung, and a failure costs only those whom it met.

Rows of different calls take free places in turn. A row that is spoken is never stopped for another one. When a rung
fails with several rows on it, those that nobody has heard are spoken again, each by itself; the rung is given up when
one fails on it that was alone.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from realtts.contract.continuous import Arrival, RowEnd, RowFailed
from realtts.contract.types import Chunk
from realtts.errors import InputError, InvalidChunk, StageFailed, UnspeakableText, WorkerDied
from realtts.ladder.failures import CLOSE, PASSED_ON, StageError
from realtts.ladder.records import attempt_of
from realtts.ladder.remedies import is_out_of_memory
from realtts.machine import memory
from realtts.synthesis.session import RowsFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from realtts.contract.continuous import RowItem
    from realtts.contract.types import FinishReason
    from realtts.ladder.protocols import AnyLadder, AnyRung
    from realtts.synthesis.rows import Row
    from realtts.synthesis.session import Session

__all__ = ["Scheduler", "Turns"]

MOST_OVERTAKEN = 8
"""Rows that may join before one that came earlier and did not fit."""

MOST_IDLE_STEPS = 10_000
"""Steps without a row, while rows are ready, after which a provider is taken for one that takes none."""

MOST_COLLAPSES = 3
"""Failures with several rows in a row, after which a rung is given up though no row fails on it alone."""

_END: Any = object()
"""What an exhausted run gives."""


class Turns(Protocol):
    """Who is next."""

    def choose(self, sessions: Sequence[Session]) -> Session | None:
        """Return the session whose next row takes a free place: one of these, or one that has waited outside.

        Args:
            sessions: Those that have begun and have a row to speak, in order of their beginning.
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
        self._ready: list[_Spoken] = []  # chosen, and not yet taken by the provider
        self._running: dict[int, _Spoken] = {}
        self._alone: list[_Spoken] = []  # each to be spoken by itself
        self._run: Generator[RowItem | None, None, None] | None = None
        self._idle_steps = 0  # of a run that has no row and takes none
        self._collapses = 0  # since several rows were spoken well
        self._most: int | None = None  # places, fewer than the rung's after memory ran out

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
        run, self._run, self._most = self._run, None, None
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
        while self._alone and not (self._running or self._ready):
            spoken = self._alone.pop(0)
            if self._loaded(spoken.session):
                self._ready.append(spoken)
        while not self._alone and len(self._ready) < self._free():
            session = self._turns.choose([each for each in self.sessions if self._may_take(each)])
            if session is None or not self._opened(session) or not self._loaded(session):
                if session is None:
                    return
                continue
            row = session.next_row()
            if row is not None:  # it may have been cancelled, or have nothing to say, meanwhile
                session.admit(row)
                self._ready.append(_Spoken(session, row))

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
        return rung.places if self._most is None else min(rung.places, self._most)

    def _may_take(self, session: Session) -> bool:
        """Tell whether a session has a row to speak and may have a further place."""
        if session.next_row() is None:
            return False
        rung = self._ladder.live
        if rung is None or not rung.joins:  # nobody can join a batch that runs, however small it is
            return True
        # Rows that run are not stopped for others: a call with much to say leaves the other half free.
        return session.waiting < 2 or session.running < max(1, self._room(rung) // 2)

    def _opened(self, session: Session) -> bool:
        """Begin a session that has not begun; False when it cannot be spoken."""
        if session.begun:
            return True
        self.sessions.append(session)
        with self._ending(session):
            session.begin()
            session.finish_if_done()
        return not session.over

    def _loaded(self, session: Session) -> bool:
        """Load a rung if there is none; False when there is none for the session, which fails."""
        with self._ending(session):
            if not session.over:
                session.loader.rung()
        return not session.over

    def _settle_cancelled(self) -> None:
        """End the sessions that nobody wants any more, as far as the provider lets go of them."""
        for session in [each for each in self.sessions if each.cancelled or each.over]:
            for spoken in [each for each in (*self._ready, *self._alone) if each.session is session]:
                (self._ready if spoken in self._ready else self._alone).remove(spoken)
                session.release(spoken.row)
            rung = self._ladder.live
            shared = any(spoken.session is not session for spoken in self._running.values())
            if session.running and shared and (rung is None or not rung.joins):
                session.let_go()  # the batch goes on with the others' rows
            with self._ending(session):
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
            self._fell(error)
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
        self._step_down(ready, StageError("generate", error))

    def _come(self, number: int, content: Chunk | RowEnd | RowFailed) -> None:
        """Take what came of a row."""
        spoken = self._running[number]
        session, row = spoken.session, spoken.row
        if isinstance(content, Chunk):
            with self._ending(session):
                session.feed(row, content)
            return
        del self._running[number]
        self._ladder.stages.end(number)
        if isinstance(content, RowEnd):
            self._ended(spoken, content.reason)
        else:
            self._failed(spoken, content.error)

    def _ended(self, spoken: _Spoken, reason: FinishReason | None) -> None:
        self._collapses = self._collapses if spoken.row.alone else 0
        with self._ending(spoken.session):
            spoken.session.end(spoken.row, reason)

    def _failed(self, spoken: _Spoken, error: BaseException) -> None:
        """Take the failure of one row."""
        session, row = spoken.session, spoken.row
        if isinstance(error, PASSED_ON):
            self._refuse(spoken, error)
        elif is_out_of_memory(error) and self._running and session.may_restart(row):
            self._most = max(1, len(self._running))
            session.restart(row)
        else:
            self._faulty(session, [row], StageError("generate", error))

    def _refuse(self, spoken: _Spoken, error: BaseException) -> None:
        """End a row that cannot be spoken: its call fails, unless the rest of the text can be said."""
        with self._ending(spoken.session):
            if not isinstance(error, UnspeakableText) or spoken.session.over:
                raise error
            spoken.session.leave_unsaid(spoken.row, error)

    @contextlib.contextmanager
    def _ending(self, session: Session) -> Iterator[None]:
        """Do something with a session that may end it."""
        try:
            yield
        except RowsFailed as failed:
            self._faulty(session, failed.rows, failed.failure)
        except BaseException as error:
            session.fail(error)

    # -- failures ----------------------------------------------------------------------------------------------------

    def _faulty(self, session: Session, rows: Sequence[Row], failure: StageError) -> None:
        """Speak rows again by themselves, or on a lower rung when they were by themselves."""
        spoken = [_Spoken(session, row) for row in rows]
        if self._running:
            self._again_alone(spoken, failure)
        else:
            self._step_down(spoken, failure)

    def _fell(self, error: BaseException) -> None:
        """Take the end of a run that has raised, and with it of all its rows."""
        fallen = list(self._running.values())
        for number in self._running:
            self._ladder.stages.end(number)
        self._running = {}
        if len(fallen) == 1 and not isinstance(error, StageError):
            self._refuse(fallen[0], error)  # also when it was cancelled: a worker may have been ended for that
            return
        wanted = [each for each in fallen if each.wanted]
        for spoken in fallen:
            if spoken not in wanted:
                self._ended(spoken, "cancelled")
        if not isinstance(error, StageError):
            self._raised(wanted, error)
        elif error.stage == CLOSE and all(spoken.row.seconds for spoken in fallen):
            self._complete(wanted, error)
        elif len({spoken.session.key for spoken in wanted}) < 2 or issubclass(type(error.error), WorkerDied):
            self._step_down(wanted, error)  # nobody else is concerned, or its ladder has closed that rung already
        else:
            self._collapse(wanted, error)

    def _raised(self, wanted: Sequence[_Spoken], error: BaseException) -> None:
        """Take what is no failure of the rung: a wrong request among several, a worker's end, an interrupt."""
        if len(wanted) > 1 and isinstance(error, (InputError, WorkerDied)):
            self._again_alone(wanted, error)
            return
        for spoken in wanted:
            spoken.session.fail(error)

    def _complete(self, wanted: Sequence[_Spoken], failure: StageError) -> None:
        """Let rows stand whose audio was complete when the rung failed: the next request takes a lower one."""
        try:
            if wanted:
                self._ladder.give_up(failure)
        except BaseException as error:
            for spoken in wanted:
                spoken.session.fail(error)
        for spoken in wanted:
            self._ended(spoken, None)

    def _collapse(self, wanted: Sequence[_Spoken], failure: StageError) -> None:
        """Speak the rows of a failed batch again, each by itself: nobody knows which of them it was.

        A rung that fails with several rows again and again, and with none that is alone, is given up too.
        """
        self._collapses += 1
        if self._collapses >= MOST_COLLAPSES:
            self._collapses = 0
            self._step_down(wanted, failure)
            return
        self._again_alone(wanted, failure)
        memory.clear_frames(failure.error)

    def _again_alone(self, spoken: Sequence[_Spoken], failure: BaseException) -> None:
        """Speak rows again, each by itself; those that somebody has heard end with the error."""
        for each in spoken:
            if not each.session.may_restart(each.row):
                each.session.fail(self._too_late(failure, given_up=False))
            elif not each.session.over:
                each.session.restart(each.row)
                each.session.admit(each.row)
                each.row.alone = True
                self._alone.append(each)

    def _step_down(self, spoken: Sequence[_Spoken], failure: StageError) -> None:
        """Begin rows again on a lower rung, if their callers hold no audio of them.

        Without rows nothing happens: whatever a provider does when it is told to stop, no rung is given up for it.
        """
        spoken = [each for each in spoken if each.wanted]
        if not spoken:
            return
        self.rest()
        try:
            self._ladder.give_up(failure)
        except BaseException as error:
            for each in spoken:
                each.session.fail(error)
            return
        for each in spoken:
            if not each.session.may_restart(each.row):
                each.session.fail(self._too_late(failure, given_up=True))
            elif not each.session.over:
                each.session.restart(each.row)

    def _too_late(self, failure: BaseException, *, given_up: bool) -> BaseException:
        """Return the error of a caller who holds audio already."""
        if not isinstance(failure, StageError):
            return failure
        if issubclass(type(failure.error), WorkerDied):
            return failure.error  # as on any rung; the next request takes a lower one
        attempts = self._ladder.attempts
        if given_up:
            attempt = attempts[-1]
        else:
            live = self._ladder.live
            attempt = attempt_of(*(live.facts.rung, live.facts.variant) if live else ("", ""), failure)
        error = StageFailed(
            f"{attempt.reason()}, after audio had been delivered",
            who=f"provider {self._ladder.spec.name!r}",
            fix=f"{attempt.remedy.rstrip('.')}; the next request takes a lower rung",
            attempts=attempts,
        )
        error.__cause__ = failure.error
        return error


@dataclass(frozen=True, eq=False)
class _Spoken:
    """A row that is spoken, and its session."""

    session: Session
    row: Row

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not (self.session.over or self.row.plan.cancelled.is_set())
