"""Speaking pieces on the ladder: step down on failure, stop runaways, refuse silence."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.errors import InvalidChunk, StageFailed, VoiceNotFound, WorkerDied, closest
from realtts.kit.retries import told, wrong_length
from realtts.ladder.rung import StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from realtts.contract.stages import StageWork
    from realtts.contract.types import Chunk, Request, VoiceInfo
    from realtts.ladder.protocols import AnyLadder, AnyRung
    from realtts.synthesis.rows import Row

__all__ = ["Speaker"]

RUNAWAY_FLOOR_S = 5.0
"""Audio below this length is never taken for a runaway, however short the text."""


class Speaker:
    """Speaks rows on a ladder, in the provider's own thread.

    Attributes:
        stages: Seconds per stage of the loads that this speaker caused.
    """

    def __init__(self, ladder: AnyLadder) -> None:
        self.stages: dict[str, float] = {}
        self._ladder = ladder

    def work(self) -> dict[str, StageWork]:
        """What the inner stages of `generate` did so far, by name."""
        return self._ladder.stages.totals()

    def prepare(self, voices: Sequence[str]) -> None:
        """Load the model and check the ids of built-in voices.

        Raises:
            VoiceNotFound: The model has no such voice; names the closest.
            StageFailed, LadderExhausted: No model.
        """
        self._load(begin=True)
        known = [info.id for info in self.voices()] if voices else []
        for voice in voices:
            if voice not in known:
                raise VoiceNotFound(
                    f"there is no file, saved voice or built-in voice {voice!r}{closest(voice, known)}",
                    who=f"provider {self._ladder.spec.name!r}",
                    fix="list them with RealProvider.voices() or 'realtts voices list'",
                )

    def voices(self) -> tuple[VoiceInfo, ...]:
        """The model's built-in voices.

        Raises:
            StageFailed, LadderExhausted: No rung could list them.
        """
        rung = self._load(begin=True)
        while True:
            try:
                return rung.voices()
            except StageError as failure:
                self._ladder.give_up(failure)
                rung = self._load()

    def whole(self, rows: Sequence[Row]) -> None:
        """Speak rows into their ``chunks``. Nothing is handed out, so any of them may be spoken again.

        Raises:
            InputError, StageFailed, LadderExhausted.
        """
        while unspoken := _pending(rows):
            self._in_groups(unspoken)
            if silent := [] if self._forced else [row for row in rows if _says_nothing(row, rows)]:
                self._step_down(StageError("generate", InvalidChunk("the audio is silent", who=self._who)), silent)
        for row in rows:
            if row.is_silent() and not row.plan.markup and not row.plan.cancelled.is_set():
                row.warnings.append(f"{row.shown} came out silent")

    def live(
        self, row: Row, *, may_restart: Callable[[], bool], on_restart: Callable[[], None]
    ) -> Generator[Chunk, None, None]:
        """Speak one row, handing out chunks as they come.

        Args:
            row: What to speak.
            may_restart: Whether the caller still holds no audio.
            on_restart: Called before the row is spoken again on a lower rung.

        Raises:
            InputError, StageFailed, LadderExhausted.
        """
        while not row.done:
            rung = self._load()
            try:
                yield from self._alone(rung, row, replace(row.request, streaming=True))
                self._refuse_nothing(row)
                row.done = True
            except StageError as failure:
                if row.plan.cancelled.is_set():
                    return  # whatever a provider does when it is told to stop, no rung is given up for it
                self._ladder.give_up(failure)
                if not may_restart():
                    if isinstance(failure.error, WorkerDied):
                        raise failure.error from None  # as on any rung; the next request takes a lower one
                    raise self._too_late() from failure.error
                on_restart()
                row.restart()
        self._warn_of_length(row)

    def _load(self, *, begin: bool = False) -> AnyRung:
        fresh = self._ladder.live is None
        rung = self._ladder.begin() if begin else self._ladder.ensure_loaded()
        if fresh:
            for stage, seconds in rung.timings.items():
                self.stages[stage] = self.stages.get(stage, 0.0) + seconds
        return rung

    def _in_groups(self, rows: Sequence[Row]) -> None:
        """Speak rows to their ends, as many together as the provider takes."""
        size = self._ladder.spec.batch_size
        for first in range(0, len(rows), size):
            group = rows[first : first + size]
            while pending := _pending(group):
                try:
                    self._attempt(self._load(), pending)
                except StageError as failure:
                    self._step_down(failure, _pending(pending))

    def _step_down(self, failure: StageError, rows: Sequence[Row]) -> None:
        """Begin rows again on a lower rung; for requests that were cancelled no rung is given up."""
        if rows:
            self._ladder.give_up(failure)
        for row in rows:
            row.restart()

    def _attempt(self, rung: AnyRung, rows: Sequence[Row]) -> None:
        if len(rows) > 1 and rung.supports_batch():
            self._together(rung, rows)
            return
        for row in rows:
            if not row.cancelled():
                for chunk in self._alone(rung, row, row.request):
                    row.chunks.append(chunk)
                self._judge(row)

    def _alone(self, rung: AnyRung, row: Row, request: Request) -> Generator[Chunk, None, None]:
        """Chunks of one row as they come, each noted, as long as there are no more than there may be."""
        with contextlib.closing(rung.speak(request)) as chunks:
            for chunk in chunks:
                within = row.note(chunk, self._limit_s(row))
                yield chunk
                if not within:
                    return

    def _together(self, rung: AnyRung, rows: Sequence[Row]) -> None:
        with contextlib.closing(rung.speak_batch([row.request for row in rows])) as items:
            for index, chunk in items:
                row = rows[index]
                if not row.cancelled():
                    row.chunks.append(chunk)
                    row.note(chunk, self._limit_s(row))
                elif all(other.cancelled() for other in rows):
                    break
        # Those that were spoken stand before one that was not sends the rest to a lower rung.
        for row in sorted(rows, key=lambda row: not row.seconds):
            self._judge(row)

    def _judge(self, row: Row) -> None:
        """Let a row stand that has ended, or begin it again with another seed.

        Raises:
            StageError: There is no audio.
        """
        if row.plan.cancelled.is_set():
            row.done = True
            return
        self._refuse_nothing(row)
        fault = self._wrong_length(row)
        if fault and self._ladder.settings.retry_runaway and row.reseed():
            row.warnings.append(told(row.request.text, fault))
            return
        row.done = True
        self._warn_of_length(row)

    def _warn_of_length(self, row: Row) -> None:
        fault = self._wrong_length(row)
        if fault and not row.plan.cancelled.is_set():
            row.warnings.append(f"{row.shown} {fault}{' and was cut' if row.finish == 'length' else ''}")

    def _wrong_length(self, row: Row) -> str:
        """What is wrong with the length of the row's audio, if that is out of proportion to the text."""
        # A limit may lie below what the text needs, so that ending before it is no fault either.
        if row.plan.limited or self._forced:
            return ""
        least = 0.0 if row.plan.markup else self._ladder.spec.min_seconds_per_char
        return wrong_length(row.request.text, row.seconds, row.finish, least=least, speed=row.request.speed)

    def _refuse_nothing(self, row: Row) -> None:
        if not row.seconds and not row.plan.cancelled.is_set():
            raise StageError("generate", InvalidChunk("generate yielded no audio", who=self._who))

    def _limit_s(self, row: Row) -> float:
        """Seconds of audio after which a row is a runaway; none when the length is set or the text has pauses."""
        if row.plan.limited or row.plan.markup or self._forced:
            return math.inf
        per_char = self._ladder.spec.max_seconds_per_char
        return (RUNAWAY_FLOOR_S + per_char * len(row.request.text)) / row.request.speed

    def _too_late(self) -> StageFailed:
        attempt = self._ladder.attempts[-1]
        return StageFailed(
            f"{attempt.exception} after audio had been delivered: {attempt.message.rstrip('.')}",
            who=self._who,
            fix=f"{attempt.remedy.rstrip('.')}; the next request takes a lower rung",
            attempts=self._ladder.attempts,
        )

    @property
    def _forced(self) -> bool:
        """Whether the number of tokens is forced: such audio is neither a runaway nor to be judged by its sound."""
        return self._ladder.settings.force_tokens_per_char is not None

    @property
    def _who(self) -> str:
        return f"provider {self._ladder.spec.name!r}"


def _pending(rows: Sequence[Row]) -> list[Row]:
    """The rows that are still to be spoken; those of cancelled requests stand as they are."""
    for row in rows:
        row.done = row.done or row.plan.cancelled.is_set()
    return [row for row in rows if not row.done]


def _says_nothing(row: Row, rows: Sequence[Row]) -> bool:
    """Whether the row belongs to a text that came out silent as a whole; one silent piece of many may be right."""
    if row.plan.markup or row.plan.cancelled.is_set():
        return False
    return all(other.is_silent() for other in rows if other.plan is row.plan)
