"""From plans to speeches: pieces are spoken by the `Speaker` and joined by the `Pipeline`, whole or live."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.events import Event
from realtts.contract.types import Chunk
from realtts.synthesis.pipeline import Pipeline
from realtts.synthesis.rows import Row
from realtts.synthesis.speaker import Speaker
from realtts.synthesis.speech import Metrics, Speech

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import FinishReason
    from realtts.ladder.protocols import AnyLadder
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.plan import Plan

__all__ = ["LiveSpeech", "speak_whole", "unspoken"]


def speak_whole(plans: Sequence[Plan], ladder: AnyLadder, extensions: Extensions, queue_s: float = 0.0) -> list[Speech]:
    """Speak texts to their ends; the pieces of all of them share batches where the provider decodes batches.

    Args:
        plans: What to say.
        ladder: Who says it.
        extensions: Who sees the audio.
        queue_s: Seconds that the call has waited, for the metrics.

    Raises:
        InputError, StageFailed, LadderExhausted, ExtensionError.
    """
    if all(plan.cancelled.is_set() for plan in plans):
        return unspoken(plans, ladder, queue_s)
    started = time.perf_counter()
    speaker = Speaker(ladder)
    with _reported(ladder, len(plans), queue_s) as finished:
        speaker.prepare(_built_in_voices(plans))
        rows = [[Row(plan, piece) for piece in plan.pieces] for plan in plans]
        speaker.whole([row for group in rows for row in group])
        clock = _Clock(ladder.spec, started, queue_s, speaker)
        speeches = [_speech(plan, group, extensions, clock) for plan, group in zip(plans, rows, strict=True)]
        for speech in speeches:
            finished(speech.finish_reason, speech.duration, speech.metrics)
    return speeches


class LiveSpeech:
    """One text, spoken live.

    Attributes:
        metrics: What it has cost; complete once `chunks` is exhausted.
    """

    def __init__(self, plan: Plan, ladder: AnyLadder, extensions: Extensions, queue_s: float = 0.0) -> None:
        self.metrics = Metrics()
        self._plan = plan
        self._ladder = ladder
        self._extensions = extensions
        self._speaker = Speaker(ladder)
        self._clock = _Clock(ladder.spec, time.perf_counter(), queue_s, self._speaker)
        self._rows = [Row(plan, piece) for piece in plan.pieces]
        self._pipeline = Pipeline(plan, extensions)
        self._delivered = 0.0
        self._handed = False
        self._tokens = 0
        self._rate = ladder.spec.sample_rates[0]

    def chunks(self) -> Generator[Chunk, None, None]:
        """The audio as it comes. The last chunk carries finish reason and warnings, and may hold no samples.

        Raises:
            InputError, StageFailed, LadderExhausted, ExtensionError.
        """
        with contextlib.closing(self._chunks()) as chunks:
            for chunk in chunks:
                handed = time.perf_counter()
                yield chunk
                self._clock.pause(time.perf_counter() - handed)  # the reader's time is not the provider's

    def _chunks(self) -> Generator[Chunk, None, None]:
        with _reported(self._ladder, 1, self._clock.queue_s) as finished:
            if not self._plan.cancelled.is_set():
                self._speaker.prepare(_built_in_voices([self._plan]))
            for row in self._rows:
                if self._plan.cancelled.is_set():
                    break
                yield from self._spoken(row)
            rest = list(self._out(self._pipeline.finish()))
            self.metrics = self._clock.metrics(self._rows, self._delivered, self._tokens)
            finished(_finish(self._plan, self._rows), self._delivered, self.metrics)
        yield _closing(self._plan, self._rows, self._pipeline, rest[0] if rest else _nothing(self._rate))

    def _spoken(self, row: Row) -> Iterator[Chunk]:
        first = row is self._rows[0]
        # Closed here whatever happens: the provider's iterator must end in this thread, at once.
        with contextlib.closing(
            self._speaker.live(row, may_restart=lambda: first and not self._handed, on_restart=self._forget)
        ) as live:
            for chunk in live:
                yield from self._out(self._pipeline.feed(row.piece, chunk))
        yield from self._out(self._pipeline.end_piece(row.piece))

    def _forget(self) -> None:
        self._pipeline = Pipeline(self._plan, self._extensions)

    def _out(self, chunk: Chunk | None) -> Iterator[Chunk]:
        if chunk is not None:
            self._handed = True
            self._delivered += chunk.duration
            self._tokens += chunk.tokens
            self._rate = chunk.sample_rate
            yield chunk


@contextlib.contextmanager
def _reported(ladder: AnyLadder, texts: int, queue_s: float) -> Iterator[Callable[[str, float, Metrics], None]]:
    """Tells extensions that a request started, and how it ended; yields what tells the ending."""

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
    except Exception as error:
        ladder.report(Event("request.failed", data={"exception": type(error).__name__, "message": str(error)}))
        raise


class _Clock:
    """Times one call."""

    def __init__(self, spec: ProviderSpec, started: float, queue_s: float, speaker: Speaker) -> None:
        self.spec = spec
        self._started = started
        self.queue_s = queue_s
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


def _speech(plan: Plan, rows: Sequence[Row], extensions: Extensions, clock: _Clock) -> Speech:
    """The speech of rows that were spoken whole."""
    pipeline = Pipeline(plan, extensions)
    chunks = list(_joined(rows, pipeline))
    rate = chunks[0].sample_rate if chunks else clock.spec.sample_rates[0]
    closing = _closing(plan, rows, pipeline, _nothing(rate))
    seconds = sum(chunk.duration for chunk in chunks)
    return Speech(
        samples=np.concatenate([chunk.samples for chunk in (*chunks, closing)]),
        sample_rate=rate,
        text=plan.text,
        marks=tuple(mark for chunk in chunks for mark in chunk.marks),
        finish_reason=_finish(plan, rows),
        metrics=clock.metrics(rows, seconds, sum(chunk.tokens for chunk in chunks)),
        warnings=tuple(dict.fromkeys(warning for chunk in (*chunks, closing) for warning in chunk.warnings)),
        provider=clock.spec.name,
        seed=plan.seed,
    )


def _joined(rows: Sequence[Row], pipeline: Pipeline) -> Iterator[Chunk]:
    for row in rows:
        for chunk in row.chunks:
            if (out := pipeline.feed(row.piece, chunk)) is not None:
                yield out
        if (out := pipeline.end_piece(row.piece)) is not None:
            yield out
    if (out := pipeline.finish()) is not None:
        yield out


def _closing(plan: Plan, rows: Sequence[Row], pipeline: Pipeline, rest: Chunk) -> Chunk:
    """The chunk that ends a speech: the last samples, if any were held back, how it ended and what to know."""
    warnings = [warning for row in rows for warning in row.warnings]
    return replace(rest, finish_reason=_finish(plan, rows), warnings=(*rest.warnings, *warnings, *pipeline.warnings))


def _nothing(rate: int) -> Chunk:
    return Chunk(np.zeros(0, np.float32), rate)


def _finish(plan: Plan, rows: Sequence[Row]) -> FinishReason:
    if plan.cancelled.is_set():
        return "cancelled"
    return "length" if any(row.finish == "length" for row in rows) else "stop"


def _built_in_voices(plans: Sequence[Plan]) -> list[str]:
    return [plan.pieces[0].request.voice for plan in plans if isinstance(plan.pieces[0].request.voice, str)]


def unspoken(plans: Sequence[Plan], ladder: AnyLadder, queue_s: float) -> list[Speech]:
    """Speeches without audio, for calls that were cancelled before their turn."""
    return [
        Speech(
            samples=np.zeros(0, np.float32),
            sample_rate=ladder.spec.sample_rates[0],
            text=plan.text,
            finish_reason="cancelled",
            metrics=Metrics(queue_s=queue_s, pieces=len(plan.pieces)),
            provider=ladder.spec.name,
            seed=plan.seed,
        )
        for plan in plans
    ]
