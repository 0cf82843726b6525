"""A call on its way from plans to the caller's chunks: its rows, what came of them, and what the caller has received.

The scheduler speaks the rows, see `realtts.synthesis.scheduler`. Whole speech holds all chunks until every row was
judged, so that any of them can be spoken again; live speech hands chunks on as they come, row after row.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from realtts.contract.events import Event
from realtts.exception_text import exception_message, exception_name
from realtts.ladder.failures import StageError
from realtts.synthesis.clock import Clock
from realtts.synthesis.judge import Judge
from realtts.synthesis.piece_voices import settle_voices
from realtts.synthesis.preparing import Loader
from realtts.synthesis.rates import remember_rate, usual_rate
from realtts.synthesis.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.types import Chunk, FinishReason
    from realtts.errors import UnspeakableText
    from realtts.ladder.protocols import AnyLadder
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.rows import Row
    from realtts.synthesis.speech import Metrics

__all__ = ["RowsFailed", "Session", "Sink"]

_KEYS = itertools.count()


class RowsFailed(Exception):
    """Audio that cannot be used: the rung has failed with these rows."""

    def __init__(self, rows: Sequence[Row], failure: StageError) -> None:
        super().__init__("rows failed")
        self.rows = rows
        self.failure = failure


class Sink(Protocol):
    """Where a session's audio goes. Nothing of it waits."""

    def deliver(self, index: int, chunk: Chunk, spoken_chars: int) -> None:
        """Take a chunk of a text. The last one of a text carries its finish reason.

        Args:
            index: Of the text.
            chunk: The audio.
            spoken_chars: Characters of the text of which there is audio by the end of the chunk.
        """

    def has_room(self) -> bool:
        """Tell whether the next piece may be spoken: the reader does not lag."""

    def begun(self) -> float:
        """Note that the turn has come, and return the seconds that it took."""

    def finished(self, metrics: Sequence[Metrics]) -> None:
        """Note that all was delivered, and what each text has cost."""

    def failed(self, error: BaseException) -> None:
        """Take the error that ended the session."""


class Session:
    """One call of the facade: one text or several, whole or live.

    Args:
        plans: What to say; one when live.
        ladder: Who says it.
        extensions: Who sees the audio.
        sink: Where the audio goes.
        live: Whether somebody hears the audio as it comes.

    Attributes:
        key: A number that no other session has; its inner stages are counted under it.
        begun: Its turn has come.
        live: Whether somebody hears the audio as it comes.
        over: It has finished or failed.
        running: Rows that are being spoken, or are about to be.
        loader: Loads rungs on its account.
        sink: Where the audio goes.
    """

    def __init__(
        self, plans: Sequence[Plan], ladder: AnyLadder, extensions: Extensions, sink: Sink, *, live: bool = False
    ) -> None:
        self.key = next(_KEYS)
        self.begun = self.over = False
        self.running = 0
        self.loader = Loader(ladder)
        self._plans = plans
        self._ladder = ladder
        self.sink = sink
        self.live = live
        self._judge = Judge(ladder, live=live)
        self._clock = Clock()
        self._texts = [Utterance(plan, extensions, ladder) for plan in plans]
        self._rows = [row for text in self._texts for row in text.rows]
        self._queue = deque(self._rows)  # rows that are still to be spoken
        self._growth = plans[0].growth  # of a text that is still being written
        self._voices: dict[str, str] = {}  # ids of the built-in voices that are meant
        self._index_of = {id(row): index for index, text in enumerate(self._texts) for row in text.rows}

    @property
    def cancelled(self) -> bool:
        """Whether nothing of it is wanted any more."""
        return all(plan.cancelled.is_set() for plan in self._plans)

    @property
    def waiting(self) -> int:
        """Rows that are still to be spoken."""
        while self._queue and self._queue[0].plan.cancelled.is_set():
            self._queue.popleft()
        if not self._queue and self.growing:
            self._take_written()
        return len(self._queue)

    @property
    def growing(self) -> bool:
        """Whether more of its text may come, and is wanted."""
        return self._growth is not None and not (self._growth.over or self.cancelled)

    @property
    def awaits_text(self) -> bool:
        """Whether it can do nothing until more of its text was written."""
        return self.growing and not (self.running or self._queue)

    @property
    def exhausted(self) -> bool:
        """Whether its text was still being written, and all of it was spoken."""
        return self._growth is not None and not (self.growing or self.running or self._queue)

    def cancel(self) -> None:
        """Want nothing of it any more."""
        for plan in self._plans:
            plan.cancelled.set()

    def lags(self) -> bool:
        """Tell whether its reader has more to read than is made ahead of one."""
        return self.live and not self._has_room()

    def begin(self) -> None:
        """Report the request, load the model and find the built-in voices that are meant.

        Raises:
            InputError, StageFailed, LadderExhausted, WorkerDied.
        """
        self.begun = True
        queue_s = self._clock.start(self.sink.begun())
        if self.cancelled:
            return
        self._ladder.report(Event("request.started", data={"texts": len(self._texts), "queue_s": queue_s}))
        voices = [row.request.voice for row in self._rows] if self._growth is None else [self._growth.voice]
        self._voices = self.loader.begin(list(dict.fromkeys(name for name in voices if isinstance(name, str))))
        self._settle_voices(self._rows)

    def next_row(self) -> Row | None:
        """Return the row that may be spoken next; None while there is none, or its reader has to read first."""
        if self.awaits_text and not self.waiting:
            self._has_room()  # the clock rests meanwhile
            return None
        if self.over or not self.waiting or (self.live and (self.running or not self._has_room())):
            return None
        return self._queue[0]

    def admit(self, row: Row) -> None:
        """Note that a row is about to be spoken."""
        self._queue.remove(row)  # the first one
        row.running, self.running = True, self.running + 1
        row.request = replace(row.request, streaming=self.live)
        self._clock.resume()

    def release(self, row: Row) -> None:
        """Put a row back that was admitted and not spoken."""
        self._leave(row)
        self._queue.appendleft(row)

    def let_go(self) -> None:
        """Wait no longer for rows that are being spoken; what still comes of them is dropped."""
        self.running = 0

    def feed(self, row: Row, chunk: Chunk) -> None:
        """Take a chunk of a row.

        Raises:
            ExtensionError: An extension failed.
        """
        if self.over or row.late:
            return
        remember_rate(self._ladder, chunk.sample_rate)
        row.late = row.cancelled()  # what was on its way when it was cancelled is taken, and no more
        row.note(chunk, self._judge.limit_s(row))
        if self.live and not row.held:
            self._deliver(row, self._texts[0].feed(row, chunk))
        else:
            row.chunks.append(chunk)

    def end(self, row: Row, reason: FinishReason | None = None) -> None:
        """Judge a row that was spoken to its end; the session finishes with its last one.

        Raises:
            RowsFailed: There is no audio, or all of a text is silent: a failure of the rung.
            ExtensionError: An extension failed. RequestTimeout: its time has run out.
        """
        if self.over:
            return
        self._leave(row)
        if reason == "length":
            row.finish = reason
        try:
            stands = self._judge.settle(row)
        except StageError as failure:
            raise RowsFailed([row], failure) from failure
        if not stands:
            self._queue.appendleft(row)
        elif self.live:
            self._hand_over(row)
            self._deliver(row, self._texts[0].end_piece(row))
        self.finish_if_done()

    def leave_unsaid(self, row: Row, error: UnspeakableText) -> None:
        """Let a row stand without audio, because there is nothing in it that the provider can say. Raises as `end`.

        Raises:
            UnspeakableText: There is no other row in its text that can be said, or there is audio of it already.
        """
        others = [other for other in self._rows if other.plan is row.plan and other is not row]
        if row.seconds or (not self.growing and all(other.unsaid for other in others)):
            raise error
        self._leave(row)
        chunk = row.leave_unsaid(error, usual_rate(self._ladder))
        if self.live:
            self._deliver(row, self._texts[0].feed(row, chunk))
            self._deliver(row, self._texts[0].end_piece(row))
        self.finish_if_done()

    def finish_if_done(self) -> None:
        """Hand everything over if no row is left to be spoken. Raises as `end`."""
        if self.over or self.running or self.waiting or self.growing:
            return
        self._check_text()
        if not self.live:
            if silent := self._judge.silent(self._rows):
                raise RowsFailed(silent, self._judge.failure("the audio is silent"))
            for row in self._rows:
                text = self._texts[self._index_of[id(row)]]
                for chunk in row.chunks:
                    self._deliver(row, text.feed(row, chunk))
                self._deliver(row, text.end_piece(row))
        self._close()

    def may_restart(self, row: Row) -> bool:
        """Tell whether a row may begin again: the caller has received no audio of its text."""
        # A later row of a stream cannot: audio before it may still wait in the pipeline, and would be forgotten.
        return not self.live or row.held or (row is self._rows[0] and not self._texts[0].delivered)

    def restart(self, row: Row) -> None:
        """Let a row begin again with its own seed."""
        if self.live and not row.held:
            self._texts[0].reset()
        self._leave(row)
        row.restart()
        self._queue.appendleft(row)

    def fail(self, error: BaseException) -> None:
        """End with an error; rows that are being spoken are cancelled."""
        if self.over:
            return
        self.over = True
        self.cancel()
        about = {"exception": exception_name(error, module=False), "message": exception_message(error)}
        self._ladder.report(Event("request.failed", data=about))
        self._ladder.stages.forget(self.key)
        self.sink.failed(error)

    def _hand_over(self, row: Row) -> None:
        """Deliver what was held of a row of a stream; nothing of one that was cancelled before it was listened to."""
        chunks, row.chunks = row.chunks, []
        if not row.held or row.plan.cancelled.is_set():
            return
        row.first_at = time.perf_counter()
        for chunk in chunks:
            self._deliver(row, self._texts[0].feed(row, chunk))

    def _take_written(self) -> None:
        """Queue the piece that was written next, if there is one."""
        piece = self._growth.take() if self._growth is not None else None
        if piece is None:
            return
        row = self._texts[0].add(piece)
        self._rows.append(row)
        self._index_of[id(row)] = 0
        if self.begun:
            self._settle_voices([row])
        self._queue.append(row)

    def _settle_voices(self, rows: Sequence[Row]) -> None:
        settle_voices(rows, self._voices, functools.cache(self.loader.voices), self._ladder.spec)

    def _check_text(self) -> None:
        """Raise the error of a text that was still being written, once what came before it was spoken."""
        growth, error = self._growth, None
        if growth is None or self.cancelled:
            return
        if growth.error is not None:
            error = growth.error
        elif all(row.unsaid for row in self._rows):
            error = self._rows[-1].unsaid
        if error is not None:
            rest = self._texts[0].rest()
            if rest is not None:
                self.sink.deliver(0, rest, self._texts[0].spoken_chars)
            raise error

    def _leave(self, row: Row) -> None:
        if row.running:
            row.running, self.running = False, self.running - 1

    def _has_room(self) -> bool:
        """Tell whether the reader has read enough; the clock rests while it has not."""
        room = self.sink.has_room()
        if room and not self.awaits_text:
            self._clock.resume()
        else:
            self._clock.rest()
        return room

    def _deliver(self, row: Row, chunk: Chunk | None) -> None:
        if chunk is not None:
            index = self._index_of[id(row)]
            self.sink.deliver(index, chunk, self._texts[index].spoken_chars)

    def _close(self) -> None:
        """Deliver the closing chunks, and what each text has cost."""
        for text in self._texts:
            text.plan.cancelled.check()
        work = self._ladder.stages.totals(self.key)
        closings = [text.close() for text in self._texts]
        metrics = [
            self._clock.metrics(text.rows, text.delivered_s, text.tokens, self.loader.seconds, work)
            for text in self._texts
        ]
        self.over = True
        for text, each in zip(self._texts, metrics, strict=True):
            about = {"finish_reason": text.finish, "duration": text.delivered_s, **each.as_dict()}
            self._ladder.report(Event("request.finished", data=about))
        for index, closing in enumerate(closings):
            self.sink.deliver(index, closing, self._texts[index].spoken_chars)
        self._ladder.stages.forget(self.key)
        self.sink.finished(metrics)
