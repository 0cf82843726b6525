"""The ladder as the parent sees it when it stands in a worker.

`Speaker` uses it like one in this process. Planning, queueing, retries, joining and extensions stay in the parent, and
are the same code for both.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts.attempt import Attempt
from realtts.contract.voice_cache import VoiceCache
from realtts.errors import RealTTSError, WorkerDied
from realtts.isolation.exits import Crashes, closing
from realtts.isolation.remote_rung import RemoteRung, RemoteStages
from realtts.isolation.supervisor import Host
from realtts.ladder.rung import StageError
from realtts.wire.channel import Kind
from realtts.wire.faults import error_to_json, raise_told
from realtts.wire.specs import checkpoint_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from realtts.attempt import State
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.types import Chunk, Request
    from realtts.isolation.client import Worker
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.settings import Layers

__all__ = ["RemoteLadder"]

WINDOW = 2
"""Chunks that a worker may send ahead of the parent: one is heard while the next is made."""


class RemoteLadder:
    """A provider's ladder in a worker. Used by one thread at a time; its attributes may be read by any.

    Args:
        environment: Where the worker runs.
        spec: The provider, its options made from their schema.
        layers: Settings and where they came from.
        checkpoint: What to load.
        report: Receives every event.

    Attributes:
        live: The rung that stands, None while nothing is loaded.
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
        self.stages = RemoteStages()
        self._sources = layers.sources
        self._forward = report
        self._log = logging.getLogger(f"realtts.{spec.name}")
        self._host = Host(environment, layers.settings, self._heard)
        self._given_up: dict[str, bool] = {}
        self._failure: StageError | None = None  # the worker has it still
        self._recorded: StageError | None = None  # its rung is given up already
        self._crashes = Crashes()
        self._fresh = True  # nothing of this request has been spoken
        self._facts: dict[str, Any] = {}

    def begin(self) -> RemoteRung:
        """The live rung for a new request, in a worker that lives. Raises as `ensure_loaded`."""
        self._fresh = True
        worker = self._host.worker
        if worker is not None:
            worker.new_request()
            if worker.exited():  # while nobody used it: no request is lost
                self._log.warning("the worker has ended while it was idle; a new one is started")
                self._host.lose(None)
                self._let_go("unloaded")
        return self._loaded(begin=True)

    def ensure_loaded(self) -> RemoteRung:
        """The live rung; when there is none, the fastest one that works is loaded.

        Raises:
            StageFailed, LadderExhausted: As in process. WorkerDied: the worker has. IsolationError: it cannot start.
        """
        return self._loaded(begin=False)

    def give_up(self, failure: StageError) -> None:
        """Record a failure of the live rung, free it and forbid it.

        Raises:
            StageFailed: With ``strict``. WorkerDied.
        """
        if failure is self._recorded:
            self._recorded = None
            return
        known = failure is self._failure
        told = {"stage": failure.stage, "seconds": failure.seconds, "error": error_to_json(failure.error)}
        self._failure = None
        self.call("give_up", "stepping down", failure=None if known else told)

    def unload(self, *, forget: bool = True) -> None:
        """End the worker, and with it everything that it held.

        Args:
            forget: Forget what was given up. False keeps the rungs closed whose failure would happen again.
        """
        self._let_go("unloaded")
        if forget:
            self.attempts, self._given_up = (), {}
            self._crashes.forget()
        else:
            self._given_up = {index: again for index, again in self._given_up.items() if not again}
        self._host.stop(forget=forget)

    def report(self, event: Event) -> None:
        """Hand an event on, with the provider's name; never raises."""
        try:
            event = event if event.provider else replace(event, provider=self.spec.name)
            self._forward(event)
        except Exception:
            self._log.exception("reporting %r failed", event)

    def call(self, call: str, doing: str, **content: Any) -> dict[str, Any]:
        """Ask the worker for something.

        Raises:
            StageError, WorkerDied: See `Worker`. Else what the worker raised.
        """
        worker = self._running()
        try:
            reply = worker.call(call, doing, **content)
        except WorkerDied as death:
            self._lose(death)
            raise
        self._told(reply)
        return reply

    def speak(self, requests: Sequence[Request]) -> Generator[tuple[int, Chunk], None, None]:
        """Chunks of requests as the worker sends them; it works a few chunks ahead and no further.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all. WorkerDied.
        """
        worker = self._running()
        self._crashes.at_work(None if self.live is None else self.live.place)
        reply: dict[str, Any] | None = None
        try:
            how = {"fresh": self._fresh, "log_level": self._log_level(), "window": WINDOW}
            worker.speak(requests, how)
            self._fresh = False
            try:
                while (frame := worker.receive()).kind is Kind.CHUNK:
                    yield worker.heard(frame)
                    worker.credit()
                reply = frame.content
            finally:
                if reply is None and worker.usable:
                    reply = worker.finish()
        except WorkerDied as death:
            self._lose(death)
            if not self._steps_down(death):
                raise
            self._recorded = StageError("generate", death)
            raise self._recorded from death
        finally:
            if reply is not None:
                self._told(reply, raises=False)
        self._host.went_well()
        self._crashes.forget()
        self._raise(reply)

    def facts(self) -> dict[str, Any]:
        """What the status tells of the place where the model is: versions, memory, cache, isolation, worker."""
        return {
            "versions": self._host.versions,
            "memory": {"rss": self._host.memory(), **self._facts.get("device_memory", {})},
            "cache": self._facts.get("cache") or VoiceCache(0).stats(),
            "isolation": "isolated",
            "worker": self._host.facts(),
        }

    def _loaded(self, *, begin: bool) -> RemoteRung:
        while self.live is None:
            self.state = "loading"
            self._crashes.at_work(None)
            try:
                self._load(begin=begin)
            except BaseException:
                self.state = "failed"
                raise
        self.state = "ready"
        return self.live

    def _load(self, *, begin: bool) -> None:
        try:
            self.call("load", "loading", begin=begin, log_level=self._log_level())
        except WorkerDied as death:
            if not self._steps_down(death):
                raise

    def _steps_down(self, death: WorkerDied) -> bool:
        """Whether the rung was given up that a worker has crashed on, and another one may be tried.

        Two crashes in a row on a rung, while it loads or speaks, close it, unless it is the last one.
        """
        place = self._crashes.take()
        if place is None or self.settings.strict:
            return False
        failure = {"stage": place.stage, "seconds": 0.0, "error": error_to_json(closing(death))}
        with contextlib.suppress(RealTTSError):  # then the death is what is told
            reply = self.call("close", "stepping down", variant=place.variant, rung=place.rung, failure=failure)
            return bool(reply["result"]["closed"])
        return False

    def _running(self) -> Worker:
        """The worker, started if there is none. Raises IsolationError, WorkerDied."""
        try:
            return self._host.running(self._setup)
        except WorkerDied:
            self._let_go("failed")
            raise

    def _setup(self) -> dict[str, Any]:
        return {
            "settings": self.settings.model_dump(mode="json", exclude_unset=True),
            "sources": self._sources,
            "checkpoint": None if self.checkpoint is None else checkpoint_to_json(self.checkpoint),
            "attempts": [attempt.as_dict() for attempt in self.attempts],
            "given_up": self._given_up,
            "log_level": self._log_level(),
        }

    def _told(self, reply: Mapping[str, Any], *, raises: bool = True) -> None:
        """Take over what a reply says of the ladder, and let a worker go whose CUDA context is destroyed."""
        self._facts = {**self._facts, **{name: reply[name] for name in ("cache", "device_memory") if name in reply}}
        if "work" in (reply.get("result") or {}):
            self.stages.told(reply["result"]["work"])
        if "ladder" in reply:
            self._take_over(reply["ladder"])
        if reply.get("poisoned"):
            self._log.warning("CUDA works no more in the worker; a new one is started")
            self.live = None
            self._host.drop()
        if raises:
            self._raise(reply)

    def _raise(self, reply: Mapping[str, Any]) -> None:
        try:
            raise_told(reply)
        except BaseException as error:
            self._failure = error if "failure" in reply else None  # type: ignore[assignment]
            raise

    def _take_over(self, ladder: Mapping[str, Any]) -> None:
        self.attempts = tuple(Attempt(**attempt) for attempt in ladder["attempts"])
        self._given_up = ladder["given_up"]
        self.details = ladder["details"]
        live = ladder["live"]
        self.live = None if live is None else RemoteRung(self, self.settings, live)

    def _lose(self, death: WorkerDied) -> None:
        """The worker has died."""
        worker = self._host.worker
        self._crashes.died(by_itself=worker is not None and worker.crashed)
        self._host.lose(death)
        self._let_go("failed")

    def _let_go(self, state: State) -> None:
        """What stood in the worker stands no more."""
        self.live, self._failure, self._facts = None, None, {}
        self.state = state

    def _heard(self, event: Event) -> None:
        self._crashes.heard(event)
        self.report(event)

    def _log_level(self) -> int:
        """The lowest level that anybody here listens to."""
        return min(self._log.getEffectiveLevel(), logging.getLogger().getEffectiveLevel())
