"""The ladder as the parent sees it when it stands in a worker.

`Speaker` uses it like one in this process. Planning, queueing, retries, joining and extensions stay in the parent, and
are the same code for both.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.errors import WorkerDied
from realtts.isolation.calls import Worker
from realtts.isolation.faults import error_to_json, raise_told
from realtts.isolation.frames import Kind
from realtts.isolation.limits import Limits
from realtts.isolation.messages import request_to_json
from realtts.isolation.specs import checkpoint_to_json
from realtts.isolation.standing import RemoteRung, RemoteStages
from realtts.status import Attempt
from realtts.voices import VoiceCache

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from realtts.events import Event
    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.rung import StageError
    from realtts.settings import Layers
    from realtts.spec import Checkpoint, ProviderSpec
    from realtts.speech import Chunk, Request
    from realtts.status import State

__all__ = ["RemoteLadder"]

WINDOW = 2
"""Chunks that a worker may send ahead of the parent: one is heard while the next is made."""

BACK_OFF_S = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Pause before a new start, by the number of deaths since the last request that went well; the last one repeats."""


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
        details, attempts, state, stages: As of `realtts.lifecycle.Ladder`.
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
        self._environment = environment
        self._sources = layers.sources
        self._forward = report
        self._log = logging.getLogger(f"realtts.{spec.name}")
        self._worker: Worker | None = None
        self._given_up: dict[str, bool] = {}
        self._failure: StageError | None = None  # the worker has it still
        self._fresh = True  # nothing of this request has been spoken
        self._starts = self._deaths = self._in_a_row = 0
        self._last_death: str | None = None
        self._facts: dict[str, Any] = {}

    def begin(self) -> RemoteRung:
        """The live rung for a new request, in a worker that lives. Raises as `ensure_loaded`."""
        self._fresh = True
        if self._worker is not None:
            self._worker.new_request()
            if self._worker.exited():  # while nobody used it: no request is lost
                self._log.warning("the worker has ended while it was idle; a new one is started")
                self._lose(None)
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
        known = failure is self._failure
        told = {"stage": failure.stage, "seconds": failure.seconds, "error": error_to_json(failure.error)}
        self._failure = None
        self.call("give_up", "stepping down", failure=None if known else told)

    def unload(self, *, forget: bool = True) -> None:
        """End the worker, and with it everything that it held.

        Args:
            forget: Forget what was given up. False keeps the rungs closed whose failure would happen again.
        """
        worker, self._worker = self._worker, None
        self.live, self._failure = None, None
        if forget:
            self.attempts, self._given_up = (), {}
        else:
            self._given_up = {index: again for index, again in self._given_up.items() if not again}
        self.state = "unloaded"
        if worker is not None:
            worker.stop(forget=forget)

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
        try:
            reply = self._running().call(call, doing, **content)
        except WorkerDied as death:
            self._lose(death)
            raise
        self._told(reply)
        return reply

    def speak(self, requests: Sequence[Request], *, together: bool) -> Generator[tuple[int, Chunk], None, None]:
        """Chunks of requests as the worker sends them; it works a few chunks ahead and no further.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all. WorkerDied.
        """
        worker = self._running()
        reply: dict[str, Any] | None = None
        try:
            worker.speak(
                requests,
                {
                    "requests": [request_to_json(request) for request in requests],
                    "together": together,
                    "fresh": self._fresh,
                    "log_level": self._log_level(),
                    "window": WINDOW,
                },
            )
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
            raise
        finally:
            if reply is not None:
                self._told(reply, raises=False)
        self._in_a_row = 0
        self._raise(reply)

    def facts(self) -> dict[str, Any]:
        """What the status tells of the place where the model is: versions, memory, cache, isolation, worker."""
        worker = self._worker
        versions = {"realtts": self._environment.core_version, **self._environment.versions}
        return {
            "versions": self._facts.get("versions", versions),
            "memory": {
                "rss": worker.memory() if worker else 0,
                **(self._facts.get("device_memory", {}) if worker else {}),
            },
            "cache": self._facts.get("cache") or VoiceCache(0).stats(),
            "isolation": "isolated",
            "worker": {
                "python": str(self._environment.python),
                "pid": worker.pid if worker else None,
                "starts": self._starts,
                "deaths": self._deaths,
                "last_death": self._last_death,
            },
        }

    def _loaded(self, *, begin: bool) -> RemoteRung:
        while self.live is None:
            self.state = "loading"
            try:
                self.call("load", "loading", begin=begin, log_level=self._log_level())
            except BaseException:
                self.state = "failed"
                raise
        self.state = "ready"
        return self.live

    def _running(self) -> Worker:
        """The worker, started if there is none.

        Raises:
            IsolationError, WorkerDied.
        """
        if self._worker is not None:
            return self._worker
        if self._in_a_row:
            time.sleep(BACK_OFF_S[min(self._in_a_row, len(BACK_OFF_S)) - 1])
        self._starts += 1
        worker = Worker(self._environment, Limits.of(self.settings), self.report)
        try:
            worker.greet(importlib_metadata.version("realtts"))
            reply = worker.call("setup", "starting", **self._setup())
            raise_told(reply)
        except WorkerDied as death:
            self._lose(death)
            raise
        except BaseException:
            worker.kill()
            raise
        self._worker = worker
        self._facts = {"versions": reply["result"]["versions"]}
        return worker

    def _setup(self) -> dict[str, Any]:
        return {
            "spec": self._environment.spec,
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
            if self._worker is not None:
                self._worker.kill()
                self._worker = None
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
        self.live = None if live is None else RemoteRung(self, live)

    def _lose(self, death: WorkerDied | None) -> None:
        """The worker is gone: what stood in it stands no more."""
        if self._worker is not None:
            self._worker.kill()
        self._worker, self.live, self._failure = None, None, None
        self.state = "failed" if death is not None else "unloaded"
        self._deaths += 1
        if death is not None:
            self._in_a_row += 1
            self._last_death = death.what
            self._log.warning("%s", death)

    def _log_level(self) -> int:
        """The lowest level that anybody here listens to."""
        return min(self._log.getEffectiveLevel(), logging.getLogger().getEffectiveLevel())
