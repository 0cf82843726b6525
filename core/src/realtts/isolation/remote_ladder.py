"""The ladder of a worker, as the parent sees it.

It is used like one in this process. Planning, queueing, retries, joining and extensions stay in the parent, and are
the same code for both.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts.contract.stages import StageLog
from realtts.contract.voice_cache import VoiceCache
from realtts.errors import ProviderClosed, RealTTSError, WorkerDied
from realtts.exception_text import format_traceback
from realtts.isolation.conversation import Conversation
from realtts.isolation.exits import Crashes, garbage_fix, repeated
from realtts.isolation.remote_rung import RemoteRung, chunk_checks
from realtts.isolation.supervisor import Supervisor, lowest_level
from realtts.ladder.failures import LoadAborted, StageError
from realtts.ladder.ladder import closed_while_loading
from realtts.wire.calls import Close, GiveUp, ListVoices, Load, Reply, Setup, Speak
from realtts.wire.faults import ErrorMessage, FailureMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from realtts.attempt import Attempt, State
    from realtts.contract.continuous import Arrival, Arrivals, RowItem
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.types import VoiceInfo
    from realtts.isolation.client import Worker
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.settings import Layers
    from realtts.wire.calls import Call

__all__ = ["RemoteLadder"]

WINDOW = 2
"""Chunks of a row that a worker may send ahead of the parent: one is played while the next is made."""

MOST_RUNGS = 32
"""Rungs that may be loaded for one request: far more than any ladder has, so that no worker descends for ever."""


class RemoteLadder:
    """A provider's ladder in a worker. Used by one thread at a time; any thread may read its attributes and `abort`.

    Args:
        environment: Where the worker runs.
        spec: The provider, its options made from their schema.
        layers: Settings and where they came from.
        checkpoint: What to load.
        report: Receives every event.

    Attributes:
        live: The loaded rung, None while nothing is loaded.
        details, attempts, state, stages: As of `realtts.ladder.ladder.Ladder`.
    """

    def __init__(
        self,
        environment: IsolatedEnvironment,
        spec: ProviderSpec,
        layers: Layers,
        checkpoint: Checkpoint | None,
        report: Callable[[Event], None],
    ) -> None:
        self.spec = spec
        self.settings = layers.settings
        self.checkpoint = checkpoint
        self.live: RemoteRung | None = None
        self.state: State = "unloaded"
        self.attempts: tuple[Attempt, ...] = ()
        self.details: dict[str, Any] = {}
        self.stages = StageLog()
        self._sources = layers.sources
        self._forward = report
        self._log = logging.getLogger(f"realtts.{spec.name}")
        self._supervisor = Supervisor(environment, layers.settings, self._on_event)
        self._crashes = Crashes()
        self._given_up: dict[int, bool] = {}
        self._reported: StageError | None = None  # the last failure, which the worker still has
        self._closed: StageError | None = None  # a failure whose rung is given up already
        self._talk: Conversation | None = None  # the call to speak that is open
        self._descents = 0  # rungs that were given up for this request
        self._cache: dict[str, int] | None = None
        self._device_memory: dict[str, int] = {}

    def begin(self) -> RemoteRung:
        """Return the live rung for a new request, in a worker that is alive. Raises as `ensure_loaded`."""
        self._descents = 0
        if self._talk is not None and self.live is not None:
            return self.live  # others are being spoken
        self._forget_exited()
        if self._supervisor.worker is not None:
            self._supervisor.worker.new_request()
        return self._loaded(begin=True)

    def ensure_loaded(self) -> RemoteRung:
        """Return the live rung; when there is none, load the fastest one that works.

        Raises:
            StageFailed, LadderExhausted: As in process. WorkerDied: the worker has. IsolationError: it cannot start.
        """
        return self._loaded(begin=False)

    def voices_before_load(self) -> tuple[VoiceInfo, ...] | None:
        """Return the built-in voices as far as the plugin can name them without the model; a worker is started.

        Raises:
            WorkerDied: The worker has. IsolationError: it cannot start.
        """
        if self.spec.voices is None or "voices" not in self.spec.capabilities:
            return None
        self._forget_exited()
        return self.call(ListVoices(load=False), "listing its voices").voices

    def abort_load(self) -> None:
        """Let a worker that starts or loads end, and start none any more: the provider closes. From any thread."""
        self._supervisor.abort_load()

    def give_up(self, failure: StageError) -> None:
        """Record a failure of the live rung, free it and forbid it.

        Raises:
            StageFailed: With ``strict``. WorkerDied.
        """
        if failure is self._closed:
            self._closed = None
            return
        self._interrupt(failure)
        reported, self._reported = failure is self._reported, None
        self.call(GiveUp(None if reported else FailureMessage.of(failure)), "stepping down")

    def unload(self, *, forget: bool = True) -> None:
        """End the worker, and with it everything that it held.

        Args:
            forget: Forget what was given up. False keeps the rungs closed whose failure would happen again.
        """
        self._reset("unloaded")
        if forget:
            self.attempts, self._given_up = (), {}
            self._crashes.forget()
        else:
            self._given_up = {index: again for index, again in self._given_up.items() if not again}
        self._supervisor.stop(forget=forget)

    def abort(self) -> None:
        """Kill the worker, from any thread: the provider was closed, and cannot wait for it."""
        self._supervisor.abort()

    def report(self, event: Event) -> None:
        """Hand an event on, with the provider's name; never raises."""
        try:
            event = event if event.provider else replace(event, provider=self.spec.name)
            self._forward(event)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._log.error("an event could not be reported\n%s", format_traceback(error))

    def call(self, call: Call, activity: str) -> Reply:
        """Send a call to the worker and wait for its reply.

        Raises:
            StageError, WorkerDied: See `realtts.isolation.client.Worker`. Else what the worker raised.
        """
        worker = self._running()
        try:
            reply = worker.call(call, activity)
            self._apply(worker, reply)
            if reply.error is None and not reply.poisoned:
                self._verify(worker, call)
        except WorkerDied as error:
            self._on_exit(error)
            raise
        self._check(reply)
        return reply

    def speak(self, rows: Sequence[Arrival]) -> Generator[RowItem, None, None]:
        """Yield chunks of rows that nobody joins as the worker sends them, and their ends.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all. WorkerDied.
        """
        with self._conversing(len(rows), joins=False) as talk:
            yield from talk.batch(rows)

    def speak_joining(self, arrivals: Arrivals) -> Generator[RowItem | None, None, None]:
        """Yield chunks and ends of rows that join while others are spoken, until none is left. Raises as `speak`."""
        live = self.live
        assert live is not None, "rows are spoken on a rung"
        rows = arrivals.take(live.places)
        if not rows:
            return
        if "voices" in self.spec.capabilities:
            live.ask_voices()  # the worker cannot be asked while it speaks
        with self._conversing(len(rows), joins=True) as talk:
            yield from talk.joining(rows, arrivals, live.places)

    @contextlib.contextmanager
    def _conversing(self, rows: int, *, joins: bool) -> Iterator[Conversation]:
        """Open a call to speak, and end it; it ends as its rows, its worker and its reply do."""
        worker = self._running()
        self._crashes.enter(None if self.live is None else self.live.place)
        talk = self._talk = Conversation(worker, self.stages, self._on_spoken)
        try:
            call = Speak(rows, joins, lowest_level(self._log), WINDOW)
            worker.speak(call, chunk_checks(self.spec))
            try:
                yield talk
            finally:
                reply = talk.conclude()
                self._talk = None
                if reply is not None and talk.broken is None:
                    self._apply(worker, reply)
        except WorkerDied as error:
            self._on_exit(error)
            if not self._step_down(error):
                raise
            self._closed = StageError("generate", error)
            raise self._closed from error
        finally:
            self._talk = None
        self._on_spoken()
        if reply is not None:
            self._check(reply)

    def _on_spoken(self) -> None:
        """Note that the worker has spoken something to its end."""
        self._supervisor.on_success()
        self._crashes.forget()

    def _interrupt(self, failure: StageError) -> None:
        """End the call to speak that is open, because the rung fails with something else; its rows fall with it."""
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.conclude()
            self._closed = talk.broken = StageError("generate", failure.error)

    def facts(self) -> dict[str, Any]:
        """Return the status of the process that holds the model: versions, memory, cache, isolation, worker."""
        return {
            "versions": self._supervisor.versions,
            "memory": {"rss": self._supervisor.memory(), **self._device_memory},
            "cache": {**VoiceCache(0).stats(), **(self._cache or {})},
            "isolation": "isolated",
            "worker": self._supervisor.facts(),
        }

    def _forget_exited(self) -> None:
        """Forget a worker that has ended while nobody used it, so that another one is started and no request lost."""
        worker = self._supervisor.worker
        if worker is not None and worker.exited():
            self._log.warning("the worker has ended while it was idle; a new one is started")
            self._supervisor.on_exit(None)
            self._reset("unloaded")

    def _loaded(self, *, begin: bool) -> RemoteRung:
        while self.live is None:
            self.state = "loading"
            self._crashes.enter(None)
            try:
                self._descend()
                self._load(begin=begin)
            except (LoadAborted, ProviderClosed):
                self._reset("unloaded")
                raise closed_while_loading(self.spec) from None
            except BaseException:
                self.state = "failed"
                raise
        self.state = "ready"
        return self.live

    def _load(self, *, begin: bool) -> None:
        try:
            self.call(Load(begin, lowest_level(self._log)), "loading")
        except WorkerDied as error:
            if not self._step_down(error):
                raise

    def _descend(self) -> None:
        """Count a rung that is given up for this request.

        Raises:
            WorkerDied: There are more of them than any ladder has.
        """
        self._descents += 1
        if self._descents > MOST_RUNGS:
            what = f"its worker sent garbage (more than {MOST_RUNGS} rungs, all of them given up)"
            error = WorkerDied(what, who=f"provider {self.spec.name!r}", fix=garbage_fix(self.spec.name))
            self._on_exit(error)
            raise error

    def _step_down(self, error: WorkerDied) -> bool:
        """Close the rung on which two workers in a row have crashed, while it loaded or spoke.

        Returns:
            Whether it was closed; not when there is none, with ``strict``, and on the last rung.
        """
        place = self._crashes.take_repeated()
        if place is None or self.settings.strict:
            return False
        failure = FailureMessage(place.stage, ErrorMessage.of(repeated(error)))
        with contextlib.suppress(RealTTSError):  # the caller raises the error of the crash
            return self.call(Close(place.variant, place.rung, failure), "stepping down").closed
        return False

    def _running(self) -> Worker:
        """Return the worker, started if there is none. Raises IsolationError, WorkerDied, ProviderClosed."""
        try:
            return self._supervisor.running(self._setup)
        except LoadAborted:
            self._reset("unloaded")
            raise closed_while_loading(self.spec) from None
        except WorkerDied:
            self._reset("failed")
            raise

    def _setup(self, spec: dict[str, Any]) -> Setup:
        settings = self.settings.model_dump(mode="json", exclude_unset=True)
        attempts, given_up = self.attempts, self._given_up
        return Setup(spec, settings, self._sources, self.checkpoint, attempts, given_up, lowest_level(self._log))

    def _apply(self, worker: Worker, reply: Reply) -> None:
        """Take over what a reply says of the ladder, and end a worker whose CUDA context is destroyed.

        Raises:
            WorkerDied: It says what cannot be.
        """
        if reply.cache is not None:
            self._cache, self._device_memory = reply.cache, reply.device_memory or {}
        if reply.ladder is not None:
            self.attempts, self._given_up = reply.ladder.attempts, reply.ladder.given_up
            self.details = reply.ladder.details
            live = reply.ladder.live
            self.live = None if live is None else worker.accept(lambda: RemoteRung(self, self.settings, live))
        if reply.poisoned:
            self._log.warning("CUDA works no more in the worker; a new one is started")
            self.live = None
            self._supervisor.kill()

    def _verify(self, worker: Worker, call: Call) -> None:
        """Check that a call has done what it is for.

        Raises:
            WorkerDied: It has not.
        """
        if isinstance(call, Load) and self.live is None:
            worker.reject("a reply to 'load' with nothing loaded")
        if isinstance(call, GiveUp) and (self.live is not None or not self.attempts):
            worker.reject("a reply to 'give_up' with nothing given up")

    def _check(self, reply: Reply) -> None:
        """Raise what went wrong in the worker, and remember a failure of its rung."""
        self._reported = None
        try:
            reply.check()
        except StageError as failure:
            self._reported = failure
            raise

    def _on_exit(self, error: WorkerDied) -> None:
        worker = self._supervisor.worker
        self._crashes.exited(crashed=worker is not None and worker.crashed)
        self._supervisor.on_exit(error)
        self._reset("failed")

    def _reset(self, state: State) -> None:
        """Forget what was loaded in the worker."""
        self.live, self._reported, self._cache, self._device_memory = None, None, None, {}
        self.state = state

    def _on_event(self, event: Event) -> None:
        self._crashes.on_event(event)
        self.report(event)
