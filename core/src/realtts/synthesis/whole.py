"""Whole speeches: the chunks of a call put together, and calls spoken without a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.synthesis.rates import usual_rate
from realtts.synthesis.scheduler import Scheduler
from realtts.synthesis.session import Session
from realtts.synthesis.speech import Metrics, Speech

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.types import Chunk
    from realtts.ladder.protocols import AnyLadder
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.plan import Plan

__all__ = ["Collector", "speak_now", "unspoken"]


class Collector:
    """A sink that keeps everything.

    Args:
        plans: What is said.
        provider: Name of the provider that says it.
    """

    def __init__(self, plans: Sequence[Plan], provider: str) -> None:
        self.chunks: list[list[Chunk]] = [[] for _ in plans]
        self._plans = plans
        self._provider = provider
        self._metrics: Sequence[Metrics] = ()
        self._error: BaseException | None = None

    def deliver(self, index: int, chunk: Chunk, spoken_chars: int) -> None:  # noqa: ARG002 - of the protocol
        """Keep a chunk."""
        self.chunks[index].append(chunk)

    def has_room(self) -> bool:
        """Tell that there always is room."""
        return True

    def begun(self) -> float:
        """Return 0: nothing was waited for."""
        return 0.0

    def finished(self, metrics: Sequence[Metrics]) -> None:
        """Keep what it has cost."""
        self._metrics = metrics

    def failed(self, error: BaseException) -> None:
        """Keep the error."""
        self._error = error

    def speeches(self) -> list[Speech]:
        """Return one speech per text. Raises the error that ended them."""
        if self._error is not None:
            raise self._error
        return [
            _speech(plan, chunks, metrics, self._provider)
            for plan, chunks, metrics in zip(self._plans, self.chunks, self._metrics, strict=True)
        ]


class _InOrder:
    """Turns in the order in which sessions were given."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._outside = list(sessions)

    def choose(self, sessions: Sequence[Session], fits: Callable[[Session], bool]) -> Session | None:
        if sessions:
            return sessions[0]
        return self._outside.pop(0) if self._outside and fits(self._outside[0]) else None

    def quiet(self) -> bool:
        return False


def speak_now(plans: Sequence[Plan], ladder: AnyLadder, extensions: Extensions, *, live: bool = False) -> list[Speech]:
    """Speak texts in the calling thread.

    Args:
        plans: What to say; one when live.
        ladder: Who says it.
        extensions: Who sees the audio.
        live: As for somebody who hears the audio as it comes.

    Raises:
        InputError, StageFailed, LadderExhausted, ExtensionError.
    """
    sink = Collector(plans, ladder.spec.name)
    scheduler = Scheduler(ladder, _InOrder([Session(plans, ladder, extensions, sink, live=live)]))
    try:
        while scheduler.step():
            pass
    finally:
        scheduler.close()
    return sink.speeches()


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
        markup=plan.ssml,
    )
