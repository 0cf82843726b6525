"""What becomes of rows that failed: spoken again by themselves, on a lower rung, or ended with the error."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from realtts.errors import InputError, StageFailed, UnspeakableText, WorkerDied
from realtts.ladder.failures import CLOSE, StageError, is_passed_on
from realtts.ladder.records import attempt_of
from realtts.ladder.remedies import is_out_of_memory
from realtts.machine import memory
from realtts.synthesis.session import RowsFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from realtts.contract.types import FinishReason
    from realtts.ladder.protocols import AnyLadder
    from realtts.synthesis.rows import Row
    from realtts.synthesis.session import Session

__all__ = ["Recovery", "Spoken"]

MOST_COLLAPSES = 3
"""Failures with several rows in a row, after which a rung is given up though no row fails on it alone."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """A row that is spoken, and its session."""

    session: Session
    row: Row

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not (self.session.over or self.row.plan.cancelled.is_set())


class Recovery:
    """The one place that steps down the ladder while rows are spoken.

    Args:
        ladder: Who speaks.
        running: The rows that are being spoken, by number; they are taken out when their run has failed.
        rest: Ends the provider's iterator.

    Attributes:
        alone: Rows to be spoken each by itself.
        most: Places, fewer than the rung's after memory ran out; None: all.
    """

    def __init__(self, ladder: AnyLadder, running: dict[int, Spoken], rest: Callable[[], None]) -> None:
        self.alone: list[Spoken] = []
        self.most: int | None = None
        self._ladder = ladder
        self._running = running
        self._rest = rest
        self._collapses = 0  # since several rows were spoken well

    def ended(self, spoken: Spoken, reason: FinishReason | None) -> None:
        """Take the end of a row, which is judged."""
        self._collapses = self._collapses if spoken.row.alone else 0
        with self.ending(spoken.session):
            spoken.session.end(spoken.row, reason)

    def failed(self, spoken: Spoken, error: BaseException) -> None:
        """Take the failure of one row."""
        session, row = spoken.session, spoken.row
        if is_passed_on(error):
            self.refuse(spoken, error)
        elif is_out_of_memory(error) and self._running and session.may_restart(row):
            self.most = max(1, len(self._running))
            session.restart(row)
        else:
            self._faulty(session, [row], StageError("generate", error))

    def refuse(self, spoken: Spoken, error: BaseException) -> None:
        """End a row that cannot be spoken: its call fails, unless the rest of the text can be said."""
        with self.ending(spoken.session):
            if not issubclass(type(error), UnspeakableText) or spoken.session.over:
                raise error
            spoken.session.leave_unsaid(spoken.row, cast("UnspeakableText", error))

    @contextlib.contextmanager
    def ending(self, session: Session) -> Iterator[None]:
        """Do something with a session that may end it."""
        try:
            yield
        except RowsFailed as failed:
            self._faulty(session, failed.rows, failed.failure)
        except BaseException as error:
            session.fail(error)

    def _faulty(self, session: Session, rows: Sequence[Row], failure: StageError) -> None:
        """Speak rows again by themselves, or on a lower rung when they were by themselves."""
        spoken = [Spoken(session, row) for row in rows]
        if self._running:
            self._again_alone(spoken, failure)
        else:
            self.step_down(spoken, failure)

    def fell(self, error: BaseException) -> None:
        """Take the end of a run that has raised, and with it of all its rows."""
        fallen = list(self._running.values())
        for number in self._running:
            self._ladder.stages.end(number)
        self._running.clear()
        if len(fallen) == 1 and not isinstance(error, StageError):
            self.refuse(fallen[0], error)  # also when it was cancelled: a worker may have been ended for that
            return
        wanted = [each for each in fallen if each.wanted]
        for spoken in fallen:
            if spoken not in wanted:
                self.ended(spoken, "cancelled")
        if not isinstance(error, StageError):
            self._raised(wanted, error)
        elif error.stage == CLOSE and all(spoken.row.seconds for spoken in fallen):
            self._complete(wanted, error)
        elif len({spoken.session.key for spoken in wanted}) < 2 or issubclass(type(error.error), WorkerDied):
            self.step_down(wanted, error)  # nobody else is concerned, or its ladder has closed that rung already
        else:
            self._collapse(wanted, error)

    def _raised(self, wanted: Sequence[Spoken], error: BaseException) -> None:
        """Take what is no failure of the rung: a wrong request among several, a worker's end, an interrupt."""
        shared = len({spoken.session.key for spoken in wanted}) > 1
        kind = type(error)
        if (len(wanted) > 1 and issubclass(kind, InputError)) or (shared and issubclass(kind, WorkerDied)):
            self._again_alone(wanted, error)
            return
        for spoken in wanted:
            spoken.session.fail(error)

    def _complete(self, wanted: Sequence[Spoken], failure: StageError) -> None:
        """Let rows stand whose audio was complete when the rung failed: the next request takes a lower one."""
        try:
            if wanted:
                self._ladder.give_up(failure)
        except BaseException as error:
            for spoken in wanted:
                spoken.session.fail(error)
        for spoken in wanted:
            self.ended(spoken, None)

    def _collapse(self, wanted: Sequence[Spoken], failure: StageError) -> None:
        """Speak the rows of a failed batch again, each by itself: nobody knows which of them it was.

        A rung that fails with several rows again and again, and with none that is alone, is given up too.
        """
        self._collapses += 1
        if self._collapses >= MOST_COLLAPSES:
            self._collapses = 0
            self.step_down(wanted, failure)
            return
        self._again_alone(wanted, failure)
        memory.clear_frames(failure.error)

    def _again_alone(self, spoken: Sequence[Spoken], failure: BaseException) -> None:
        """Speak rows again, each by itself; those that somebody has heard end with the error."""
        for each in spoken:
            if not each.session.may_restart(each.row):
                each.session.fail(self._too_late(failure, given_up=False))
            elif not each.session.over:
                each.session.restart(each.row)
                each.session.admit(each.row)
                each.row.alone = True
                self.alone.append(each)

    def step_down(self, spoken: Sequence[Spoken], failure: StageError) -> None:
        """Begin rows again on a lower rung, if their callers hold no audio of them.

        Without rows nothing happens: whatever a provider does when it is told to stop, no rung is given up for it.
        """
        spoken = [each for each in spoken if each.wanted]
        if not spoken:
            return
        self._rest()
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
