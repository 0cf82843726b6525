"""Speaking plans: the one path from a plan's pieces to the caller's chunks, whole or live."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.checks import read_only
from realtts.contract.events import Event
from realtts.contract.types import Chunk
from realtts.exception_text import exception_message, exception_name
from realtts.synthesis.pipeline import Pipeline
from realtts.synthesis.rates import remember_rate, usual_rate
from realtts.synthesis.rows import Row
from realtts.synthesis.speaker import HOLD, Speaker
from realtts.synthesis.speech import Metrics, Speech

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from realtts.contract.types import FinishReason
    from realtts.ladder.protocols import AnyLadder
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.speaker import Release

__all__ = ["Session", "speak_whole", "unspoken"]


class Session:
    """Texts on their way from plans to chunks.

    Whole speech holds all chunks until every piece was judged; the pieces of all texts then share batches where the
    provider decodes batches. Live speech hands chunks on as they come.

    Args:
        plans: What to say; one when live.
        ladder: Who says it.
        extensions: Who sees the audio.
        queue_s: Seconds that the call has waited, for the metrics.
        live: Whether somebody hears the audio as it comes.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        ladder: AnyLadder,
        extensions: Extensions,
        queue_s: float = 0.0,
        *,
        live: bool = False,
    ) -> None:
        self._ladder = ladder
        self._speaker = Speaker(ladder)
        self._clock = _Clock(time.perf_counter(), queue_s, self._speaker)
        self._texts = [_Text(index, plan, extensions, usual_rate(ladder)) for index, plan in enumerate(plans)]
        self._release: Release = _Live(self._texts[0]) if live else HOLD

    @property
    def metrics(self) -> list[Metrics]:
        """What each text has cost; complete once `chunks` is exhausted."""
        return [text.metrics for text in self._texts]

    @property
    def spoken_chars(self) -> int:
        """Characters of the first text of which the audio was yielded: never fewer than before, all at the end."""
        return self._texts[0].spoken_chars

    def chunks(self) -> Generator[tuple[int, Chunk], None, None]:
        """Yield each chunk with the index of its plan.

        The last chunk of a plan carries finish reason and warnings, and may hold no samples.

        Raises:
            InputError, StageFailed, LadderExhausted, ExtensionError, RequestTimeout.
        """
        rows = [row for text in self._texts for row in text.rows]
        text_of = {id(row): text for text in self._texts for row in text.rows}
        with _reported(self._ladder, len(self._texts), self._clock.queue_s) as finished:
            self._prepare()
            # Closed here whatever happens: the provider's iterator must end in this thread, at once.
            with contextlib.closing(self._speaker.speak(rows, self._release)) as spoken:
                for row, chunk in spoken:
                    text = text_of[id(row)]
                    if chunk is not None:
                        remember_rate(self._ladder, chunk.sample_rate)
                    ready = text.end_piece(row) if chunk is None else text.feed(row, chunk)
                    if ready is not None:
                        began = time.perf_counter()
                        yield text.index, ready
                        self._clock.pause(time.perf_counter() - began)  # the reader's time is not the provider's
            for text in self._texts:
                text.plan.cancelled.check()
            closings = [(text.index, text.close(self._clock)) for text in self._texts]
            for text in self._texts:
                finished(text.finish, text.delivered_s, text.metrics)
        yield from closings

    def _prepare(self) -> None:
        plans = [text.plan for text in self._texts]
        if not all(plan.cancelled.is_set() for plan in plans):
            voices = [plan.pieces[0].request.voice for plan in plans]
            ids = self._speaker.prepare([voice for voice in voices if isinstance(voice, str)])
            for row in (row for text in self._texts for row in text.rows):
                voice = row.request.voice
                if isinstance(voice, str) and ids.get(voice, voice) != voice:
                    row.request = replace(row.request, voice=ids[voice])


def speak_whole(plans: Sequence[Plan], ladder: AnyLadder, extensions: Extensions, queue_s: float = 0.0) -> list[Speech]:
    """Speak texts to their ends; arguments as of `Session`.

    Raises:
        InputError, StageFailed, LadderExhausted, ExtensionError.
    """
    if all(plan.cancelled.is_set() for plan in plans):
        return unspoken(plans, ladder, queue_s)
    session = Session(plans, ladder, extensions, queue_s)
    chunks: list[list[Chunk]] = [[] for _ in plans]
    for index, chunk in session.chunks():
        chunks[index].append(chunk)
    return [
        _speech(plan, spoken, metrics, ladder.spec.name)
        for plan, spoken, metrics in zip(plans, chunks, session.metrics, strict=True)
    ]


def unspoken(plans: Sequence[Plan], ladder: AnyLadder, queue_s: float) -> list[Speech]:
    """Return speeches without audio, for calls that were cancelled before their turn."""
    return [
        Speech(
            samples=np.zeros(0, np.float32),
            sample_rate=usual_rate(ladder),
            text=plan.text,
            finish_reason="cancelled",
            metrics=Metrics(queue_s=queue_s, pieces=len(plan.pieces)),
            provider=ladder.spec.name,
            seed=plan.seed,
        )
        for plan in plans
    ]


class _Text:
    """One plan, its rows, and what of it the caller has received.

    Attributes:
        index: Of the plan in its session.
        rows: The pieces on their way to audio.
        spoken_chars: Characters of the caller's text of which there is audio.
        delivered: Whether the caller has received a chunk of it.
        delivered_s: Seconds of audio that the caller has received.
        metrics: What it has cost, set by `close`.
    """

    def __init__(self, index: int, plan: Plan, extensions: Extensions, rate: int) -> None:
        self.index = index
        self.plan = plan
        self.rows = [Row(plan, piece) for piece in plan.pieces]
        self.spoken_chars = 0
        self.delivered, self.delivered_s = False, 0.0
        self.metrics = Metrics()
        self._extensions = extensions
        self._pipeline = Pipeline(plan, extensions)
        self._rate = rate
        self._tokens = 0

    @property
    def finish(self) -> FinishReason:
        """How it ended."""
        if self.plan.cancelled.is_set():
            return "cancelled"
        return "length" if any(row.finish == "length" for row in self.rows) else "stop"

    def feed(self, row: Row, chunk: Chunk) -> Chunk | None:
        """Return the audio that is ready after a chunk of a row."""
        ready = self._pipeline.feed(row.piece, chunk)
        if ready is not None:
            self._advance(max((mark.span[1] for mark in ready.marks), default=0))
        return self._counted(ready)

    def end_piece(self, row: Row) -> Chunk | None:
        """Return the audio that is ready once a row is complete."""
        end = row.piece.start + len(row.piece.request.text)
        self._advance(self.plan.to_original((row.piece.start, end))[1])
        return self._counted(self._pipeline.end_piece(row.piece))

    def reset(self) -> None:
        """Forget what was fed, none of which the caller has received."""
        self._pipeline = Pipeline(self.plan, self._extensions)

    def close(self, clock: _Clock) -> Chunk:
        """Return the chunk that ends it: the last samples, if any were held back, how it ended and what to know."""
        rest = self._counted(self._pipeline.finish()) or Chunk(read_only(np.zeros(0, np.float32)), self._rate)
        warnings = [warning for row in self.rows for warning in row.warnings]
        if self.finish != "cancelled":
            self._advance(len(self.plan.text))
        self.metrics = clock.metrics(self.rows, self.delivered_s, self._tokens)
        return replace(rest, finish_reason=self.finish, warnings=(*rest.warnings, *warnings, *self._pipeline.warnings))

    def _advance(self, chars: int) -> None:
        # Not every chunk has marks, and marks need not be in order: what was spoken stays spoken.
        self.spoken_chars = max(self.spoken_chars, chars)

    def _counted(self, chunk: Chunk | None) -> Chunk | None:
        if chunk is not None:
            self.delivered = True
            self.delivered_s += chunk.duration
            self._tokens += chunk.tokens
            self._rate = chunk.sample_rate
        return chunk


class _Live:
    """Release the chunks of one text as they come."""

    live = True

    def __init__(self, text: _Text) -> None:
        self._text = text

    def may_restart(self, row: Row) -> bool:
        # A later row cannot: the audio before it may still wait in the pipeline, and would be forgotten.
        return row is self._text.rows[0] and not self._text.delivered

    def restarted(self, row: Row) -> None:  # noqa: ARG002 - of the protocol
        self._text.reset()


@contextlib.contextmanager
def _reported(ladder: AnyLadder, texts: int, queue_s: float) -> Iterator[Callable[[str, float, Metrics], None]]:
    """Tell extensions that a request started, and how it ended; yield what tells the ending of a text."""

    def finished(reason: str, duration: float, metrics: Metrics) -> None:
        about = {"finish_reason": reason, "duration": duration, **metrics.as_dict()}
        ladder.report(Event("request.finished", data=about))

    ladder.stages.reset()
    ladder.report(Event("request.started", data={"texts": texts, "queue_s": queue_s}))
    try:
        yield finished
    except GeneratorExit:
        ladder.report(Event("request.finished", data={"finish_reason": "cancelled"}))
        raise
    except BaseException as error:
        about = {"exception": exception_name(error, module=False), "message": exception_message(error)}
        ladder.report(Event("request.failed", data=about))
        raise


class _Clock:
    """The clock of one call."""

    def __init__(self, started: float, queue_s: float, speaker: Speaker) -> None:
        self.queue_s = queue_s
        self._started = started
        self._speaker = speaker
        self._paused = 0.0

    def pause(self, seconds: float) -> None:
        """Leave time out that the provider did not work in."""
        self._paused += seconds

    def metrics(self, rows: Sequence[Row], seconds: float, tokens: int) -> Metrics:
        total = time.perf_counter() - self._started - self._paused
        stages = self._speaker.stages
        work = self._speaker.work()
        first = min((row.first_at for row in rows if row.first_at is not None), default=self._started)
        return Metrics(
            first_audio_s=first - self._started,
            total_s=total,
            queue_s=self.queue_s,
            rtf=total / seconds if seconds else None,
            stages={
                **stages,
                "generate": max(0.0, total - sum(stages.values())),
                **{f"generate.{name}": done.seconds for name, done in work.items()},
            },
            work=work,
            tokens=tokens,
            pieces=len(rows),
            retries=sum(row.retries for row in rows),
        )


def _speech(plan: Plan, chunks: Sequence[Chunk], metrics: Metrics, provider: str) -> Speech:
    """Return the speech of a text's chunks, the closing one last."""
    closing = chunks[-1]
    return Speech(
        samples=np.concatenate([chunk.samples for chunk in chunks]),  # the caller's own copy, even of one chunk
        sample_rate=closing.sample_rate,
        text=plan.text,
        marks=tuple(mark for chunk in chunks for mark in chunk.marks),
        finish_reason=closing.finish_reason or "stop",
        metrics=metrics,
        warnings=tuple(dict.fromkeys(warning for chunk in chunks for warning in chunk.warnings)),
        provider=provider,
        seed=plan.seed,
    )
