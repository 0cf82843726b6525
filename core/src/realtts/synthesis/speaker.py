"""Speaking pieces on the ladder: the one place that steps down, stops runaways and refuses silence."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Protocol

from realtts.errors import InvalidChunk, StageFailed, WorkerDied
from realtts.kit.retries import retry_warning, wrong_length
from realtts.ladder.rung import CLOSE, StageError
from realtts.voices.lookup import builtin_voice

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from realtts.contract.stages import StageWork
    from realtts.contract.types import Chunk, VoiceInfo
    from realtts.ladder.protocols import AnyLadder, AnyRung
    from realtts.synthesis.rows import Row

__all__ = ["HOLD", "Release", "Speaker"]

RUNAWAY_FLOOR_S = 5.0
"""Audio below this length is never taken for a runaway, however short the text."""


class Release(Protocol):
    """When chunks leave the speaker, and what may still be spoken again.

    Attributes:
        live: Chunks leave as they come, one row after the other. False: they are held until every row was judged, so
            that rows can be decoded together and any of them can be spoken again.
    """

    live: bool

    def may_restart(self, row: Row) -> bool:
        """Tell whether a row may begin again: the caller has received no audio of its text."""

    def restarted(self, row: Row) -> None:
        """Forget the chunks of a row that have left the speaker, because it begins again."""


class _Hold:
    """Hold all chunks until every row was judged."""

    live = False

    def may_restart(self, row: Row) -> bool:  # noqa: ARG002 - of the protocol
        return True

    def restarted(self, row: Row) -> None:
        """Do nothing: no chunk has left the speaker."""


HOLD: Release = _Hold()
"""The release policy of whole speech."""


class Speaker:
    """The speaker of rows on a ladder; used in the provider's own thread.

    Attributes:
        stages: Seconds per stage of the loads that this speaker caused.
    """

    def __init__(self, ladder: AnyLadder) -> None:
        self.stages: dict[str, float] = {}
        self._ladder = ladder

    def work(self) -> dict[str, StageWork]:
        """Return what the inner stages of `generate` did so far, by name."""
        return self._ladder.stages.totals()

    def prepare(self, voices: Sequence[str]) -> dict[str, str]:
        """Find the built-in voices that are meant, before the model is loaded if its plugin can name them, and load it.

        Returns:
            The id of each, by what the caller wrote.

        Raises:
            VoiceNotFound: There is no such voice; names the closest.
            VoiceUnsupported: It is a saved recording, and the provider cannot clone.
            StageFailed, LadderExhausted: No model.
        """
        if voices and self._ladder.live is None:
            named = self._ladder.voices_before_load()
            if named is not None:
                self._find(voices, named)
        self._load(begin=True)
        return self._find(voices, self.voices()) if voices else {}

    def _find(self, voices: Sequence[str], infos: Sequence[VoiceInfo]) -> dict[str, str]:
        clones = "clone" in self._ladder.spec.capabilities
        return {
            voice: builtin_voice(voice, infos, who=self._who, settings=self._ladder.settings, clones=clones)
            for voice in voices
        }

    def list_voices(self) -> tuple[VoiceInfo, ...]:
        """Return the built-in voices; the model is loaded only if its plugin cannot name them without.

        Raises:
            StageFailed, LadderExhausted: No rung could list them.
        """
        named = self._ladder.voices_before_load() if self._ladder.live is None else None
        return self.voices() if named is None else named

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Return the model's built-in voices.

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

    def speak(self, rows: Sequence[Row], release: Release) -> Generator[tuple[Row, Chunk | None], None, None]:
        """Speak rows to their ends; yield each row's chunks as the release policy lets them go, and None at its end.

        Raises:
            InputError, StageFailed, LadderExhausted, WorkerDied.
        """
        first = 0
        while (first := self._first_open(rows, first, release)) < len(rows):
            unit = _open(rows[first : first + self._together(release)])
            try:
                rung = self._load()
                unit = unit if rung.supports_batch() else unit[:1]
                # Closed here whatever happens: the provider's iterator must end in this thread, at once.
                with contextlib.closing(rung.speak([row.request_for(live=release.live) for row in unit])) as items:
                    for index, chunk in items:
                        row = unit[index]
                        # A cancelled row of a batch takes no more; one that is alone keeps what came meanwhile.
                        if len(unit) == 1 or not row.cancelled():
                            row.note(chunk, self._limit_s(row))
                            if release.live:
                                yield row, chunk
                            else:
                                row.chunks.append(chunk)
                        if all(row.cancelled() for row in unit):
                            break
                self._judge(unit, release)
            except StageError as failure:
                self._end(unit, failure, release)
            if release.live and not _open(unit):
                yield unit[0], None
        if not release.live:
            yield from _held(rows)

    def _together(self, release: Release) -> int:
        """Return how many rows are spoken together: one when live, else as many as the provider takes."""
        return 1 if release.live else self._ladder.spec.batch_size

    def _first_open(self, rows: Sequence[Row], start: int, release: Release) -> int:
        """Return where the next rows to speak begin; the number of rows when all of them may stand."""
        size = self._together(release)
        for first in range(start, len(rows), size):
            if _open(rows[first : first + size]):
                return first
        if release.live:
            return len(rows)
        silent = [] if self._forced else [row for row in rows if _says_nothing(row, rows)]
        if silent:
            self._step_down(StageError("generate", InvalidChunk("the audio is silent", who=self._who)), silent, release)
            return self._first_open(rows, 0, release)
        for row in rows:
            if row.is_silent() and not row.plan.markup and not row.plan.cancelled.is_set():
                row.warnings.append(f"{row.shown} came out silent")
        return len(rows)

    def _load(self, *, begin: bool = False) -> AnyRung:
        fresh = self._ladder.live is None
        rung = self._ladder.begin() if begin else self._ladder.ensure_loaded()
        if fresh:
            for stage, seconds in rung.timings.items():
                self.stages[stage] = self.stages.get(stage, 0.0) + seconds
        return rung

    def _step_down(self, failure: StageError, rows: Sequence[Row], release: Release) -> None:
        """Begin rows again on a lower rung, if their callers hold no audio of them.

        Without rows nothing happens: whatever a provider does when it is told to stop, no rung is given up for it.

        Raises:
            StageFailed: A caller holds audio already. WorkerDied: so it does, and the worker has died.
        """
        if not rows:
            return
        self._ladder.give_up(failure)
        for row in rows:
            if not release.may_restart(row):
                if issubclass(type(failure.error), WorkerDied):
                    raise failure.error from None  # as on any rung; the next request takes a lower one
                raise self._too_late() from failure.error
            release.restarted(row)
            row.restart()

    def _end(self, rows: Sequence[Row], failure: StageError, release: Release) -> None:
        """End rows that a rung has failed. Raises as `_step_down`."""
        if failure.stage == CLOSE and all(row.seconds for row in rows):
            # All audio came before the rung failed: it stands, and the next request takes a lower rung.
            wanted = _open(rows)
            self._judge(rows, release)
            if wanted:
                self._ladder.give_up(failure)
        else:
            self._step_down(failure, _open(rows), release)

    def _judge(self, rows: Sequence[Row], release: Release) -> None:
        """Let audio stand, or begin its row again with another seed.

        Raises:
            StageError: There is no audio.
        """
        # Those that were spoken stand before one that was not sends the rest to a lower rung.
        for row in sorted(rows, key=lambda row: not row.seconds):
            if row.plan.cancelled.is_set():
                row.done = True
                continue
            if not row.seconds:
                raise StageError("generate", InvalidChunk("generate yielded no audio", who=self._who))
            fault = self._wrong_length(row)
            if fault and not release.live and self._ladder.settings.retry_runaway and row.reseed():
                row.warnings.append(retry_warning(row.request.text, fault))
                continue
            row.done = True
            if fault:
                row.warnings.append(f"{row.shown} {fault}{' and was cut' if row.finish == 'length' else ''}")

    def _wrong_length(self, row: Row) -> str:
        """Return what is wrong with the length of the row's audio, if that is out of proportion to the text."""
        # A limit may lie below what the text needs, so that ending before it is no fault either.
        if row.plan.limited or self._forced:
            return ""
        least = 0.0 if row.plan.markup else self._ladder.spec.min_seconds_per_char
        return wrong_length(row.request.text, row.seconds, row.finish, least=least, speed=row.request.speed)

    def _limit_s(self, row: Row) -> float:
        """Return how many seconds make a row a runaway; no limit for lengths that are set and texts with pauses."""
        if row.plan.limited or row.plan.markup or self._forced:
            return math.inf
        per_char = self._ladder.spec.max_seconds_per_char
        return (RUNAWAY_FLOOR_S + per_char * len(row.request.text)) / row.request.speed

    def _too_late(self) -> StageFailed:
        attempt = self._ladder.attempts[-1]
        return StageFailed(
            f"{attempt.reason()}, after audio had been delivered",
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


def _open(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that are still to be spoken; those of cancelled requests stand as they are."""
    return [row for row in rows if not row.done and not row.plan.cancelled.is_set()]


def _held(rows: Sequence[Row]) -> list[tuple[Row, Chunk | None]]:
    """Return every chunk that the rows hold, and None behind each row."""
    return [(row, chunk) for row in rows for chunk in (*row.chunks, None)]


def _says_nothing(row: Row, rows: Sequence[Row]) -> bool:
    """Tell whether the row belongs to a text that came out silent as a whole; one silent piece of many may be right."""
    if row.plan.markup or row.plan.cancelled.is_set():
        return False
    return all(other.is_silent() for other in rows if other.plan is row.plan)
