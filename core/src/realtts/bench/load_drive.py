"""Putting a load on a target: every request has a listener of its own, who notes when the audio came."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from realtts.bench.load_target import Account
from realtts.exception_text import exception_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from realtts.bench.load_source import Load, Mix, Order
    from realtts.bench.load_target import Heard, Target

__all__ = ["Listener", "Outcome", "Round", "drive"]


@dataclass
class Listener:
    """Somebody who plays a stream from its first audio on.

    Attributes:
        first_s: When the first audio came; None: none has.
        audio_s: Seconds of audio so far.
        gaps: Times that everything was played before more came.
        gap_s: Seconds of silence in these.
    """

    first_s: float | None = None
    audio_s: float = 0.0
    gaps: int = 0
    gap_s: float = 0.0

    def hear(self, at_s: float, duration_s: float) -> None:
        """Take audio that has come at a time."""
        if duration_s <= 0:
            return
        if self.first_s is None:
            self.first_s = at_s
        late = at_s - (self.first_s + self.audio_s + self.gap_s)
        if late > 0:
            self.gaps, self.gap_s = self.gaps + 1, self.gap_s + late
        self.audio_s += duration_s


@dataclass(frozen=True)
class Outcome:
    """What came of a request; times in seconds from when it was due.

    Attributes:
        listener: When its audio came.
        total_s: When it ended.
        account: What the target tells of it.
        error: Name of the exception that it ended with; empty: none.
    """

    listener: Listener
    total_s: float
    account: Account = field(default_factory=Account)
    error: str = ""


@dataclass(frozen=True)
class Round:
    """What came of the requests of a round, and the seconds from the first one's coming to the last one's end."""

    outcomes: Sequence[Outcome]
    seconds: float


def drive(target: Target, mix: Mix, load: Load, part: int) -> Round:
    """Put the load of one round on a target, and wait until every request has ended.

    Args:
        target: Who speaks.
        mix: What is asked for.
        load: How much.
        part: Number of the round.
    """
    outcomes: list[Outcome] = []
    began = time.perf_counter()

    def ask(order: Order, due: float) -> None:
        outcomes.append(_listen(target, order, due))

    run = _open_loop if load.rate is not None else _closed_loop
    run(ask, mix, load, part, began)
    return Round(outcomes, time.perf_counter() - began)


def _open_loop(ask: Callable[[Order, float], None], mix: Mix, load: Load, part: int, began: float) -> None:
    """Ask at the times that the load says, each time in a thread of its own."""
    threads = []
    for number, at in enumerate(load.times(part)):
        order, due = mix.order(part, number), began + at
        time.sleep(max(0.0, due - time.perf_counter()))
        threads.append(_started(ask, order, due))
    for thread in threads:
        thread.join()


def _closed_loop(ask: Callable[[Order, float], None], mix: Mix, load: Load, part: int, began: float) -> None:
    """Ask from some threads, again and again until the round is over."""
    numbers = itertools.count()

    def caller() -> None:
        while True:
            ask(mix.order(part, next(numbers)), time.perf_counter())
            if time.perf_counter() - began >= load.round_s:
                return

    assert load.concurrency is not None, "a load is open or closed"
    threads = [_started(caller) for _ in range(load.concurrency)]
    for thread in threads:
        thread.join()


def _started(work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, name="realtts-load", daemon=True)
    thread.start()
    return thread


def _listen(target: Target, order: Order, due: float) -> Outcome:
    """Ask for one request and hear it to its end."""
    listener, account, error = Listener(), Account(), ""
    try:
        told: list[Account] = []
        for heard in _with_account(target.speak(order), told):
            listener.hear(time.perf_counter() - due, heard.duration)
        account = told[0]
    except Exception as failure:
        error = exception_name(failure, module=False)
    return Outcome(listener, time.perf_counter() - due, account, error)


def _with_account(speaking: Generator[Heard, None, Account], told: list[Account]) -> Iterator[Heard]:
    """Yield what a target yields, and put what it returns into a list."""
    told.append((yield from speaking))
