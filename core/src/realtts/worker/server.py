"""The worker's side of the conversation: calls are answered one after another, in the main thread.

Another thread reads, so that a cancellation is heard while the model works, and that the end of the parent ends the
worker at once, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from realtts.attempt import Attempt
from realtts.contract.voice_cache import VoiceCache
from realtts.errors import VoiceUnsuitable
from realtts.ladder.facts import versions
from realtts.ladder.rung import StageError
from realtts.machine.memory import memory_report
from realtts.settings import Layers, Settings
from realtts.wire.channel import Channel, ChannelClosed, ChannelFault, Frame, Kind
from realtts.wire.faults import error_from_json, error_to_json
from realtts.wire.messages import (
    VOICES_KEPT,
    chunk_to_json,
    request_from_json,
    samples_to_bytes,
    voice_from_json,
    work_to_json,
)
from realtts.wire.specs import checkpoint_from_json, spec_from_json
from realtts.worker.ladder import PoisonedContext, WorkerLadder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.contract.events import Event
    from realtts.contract.types import Chunk, Request, Voice

__all__ = ["Server"]


class _Turn:
    """What the parent says of a call while it runs: rows that nobody wants, chunks that may be sent."""

    def __init__(self, window: int) -> None:
        self._changed = threading.Condition()
        self._credit = window
        self._cancelled: set[int] = set()
        self._ended = False

    def is_cancelled(self, row: int) -> bool:
        return self._ended or row in self._cancelled

    def cancel(self, rows: list[int]) -> None:
        with self._changed:
            self._cancelled.update(rows)

    def credit(self, chunks: int) -> None:
        with self._changed:
            self._credit += chunks
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def may_send(self) -> bool:
        """Wait until the parent takes a chunk; False when it wants no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._credit > 0 or self._ended)
            self._credit -= 1
            return not self._ended


class Server:
    """Answers a parent's calls with a ladder of its own.

    Args:
        channel: Where calls come from.
        report: Receives the ladder's events.
    """

    def __init__(self, channel: Channel, report: Callable[[Event], None]) -> None:
        self._channel = channel
        self._report = report
        self._calls: queue.SimpleQueue[tuple[Frame, _Turn | None]] = queue.SimpleQueue()
        self._voices: dict[str, Voice] = {}
        self._failure: StageError | None = None
        self._told: Any = None  # what the parent knows of the ladder
        self._ladder: WorkerLadder | None = None

    def serve(self) -> None:
        """Answer until the parent says stop.

        Raises:
            ChannelClosed: The parent is gone.
        """
        threading.Thread(target=self._read, name="realtts-channel", daemon=True).start()
        while True:
            frame, turn = self._calls.get()
            if frame.kind is Kind.VOICE:
                self._keep(voice_from_json(frame.content, frame.data))
                continue
            self._answer(frame.content, turn)
            if frame.content["call"] == "stop":
                return

    def _read(self) -> None:
        turn: _Turn | None = None
        try:
            while True:
                frame = self._channel.receive(None)
                assert frame is not None
                if frame.kind is Kind.CALL:
                    turn = _Turn(frame.content.get("window", 0))
                if frame.kind in {Kind.CALL, Kind.VOICE}:
                    self._calls.put((frame, turn))
                elif turn is not None:
                    _tell(turn, frame)
        except ChannelClosed:
            leave()
        except BaseException as error:  # whatever it is, the parent cannot be understood any more
            sys.stderr.write(f"the channel is broken: {type(error).__name__}: {error}\n")
            leave()

    def _answer(self, content: Mapping[str, Any], turn: _Turn | None) -> None:
        reply: dict[str, Any] = {}
        try:
            reply["result"] = getattr(self, f"_call_{content['call']}")(content, turn)
        except PoisonedContext:
            pass  # the ladder says so
        except StageError as failure:
            self._failure = failure
            reply["failure"] = {
                "stage": failure.stage,
                "seconds": failure.seconds,
                "error": error_to_json(failure.error),
            }
        except ChannelClosed:
            raise
        except BaseException as error:
            reply["error"] = error_to_json(error)
        self._channel.send(Kind.REPLY, {**reply, **self._facts()})

    def _call_setup(self, content: Mapping[str, Any], _: _Turn | None) -> dict[str, Any]:
        logging.getLogger().setLevel(content["log_level"])
        settings = Settings(**content["settings"])
        spec = spec_from_json(content["spec"], installed=True)
        checkpoint = content["checkpoint"]
        self._ladder = WorkerLadder(
            spec,
            Layers(settings, content["sources"]),
            None if checkpoint is None else checkpoint_from_json(checkpoint),
            VoiceCache(max_bytes=settings.voice_cache_mb << 20),
            self._report,
        )
        attempts = tuple(Attempt(**attempt) for attempt in content["attempts"])
        self._ladder.restore(attempts, {int(index): again for index, again in content["given_up"].items()})
        return {"versions": versions(spec)}

    def _call_load(self, content: Mapping[str, Any], _: _Turn | None) -> None:
        logging.getLogger().setLevel(content["log_level"])
        if content["begin"]:
            self._its.begin()
        else:
            self._its.ensure_loaded()

    def _call_give_up(self, content: Mapping[str, Any], _: _Turn | None) -> None:
        told = content["failure"]
        failure, self._failure = self._failure, None
        if told is not None or failure is None:  # the parent's own finding, such as silence
            failure = StageError(told["stage"], error_from_json(told["error"]), told["seconds"])
        self._its.give_up(failure)

    def _call_close(self, content: Mapping[str, Any], _: _Turn | None) -> dict[str, bool]:
        told = content["failure"]
        failure = StageError(told["stage"], error_from_json(told["error"]), told["seconds"])
        return {"closed": self._its.close(content["variant"], content["rung"], failure)}

    def _call_voices(self, _: Mapping[str, Any], __: _Turn | None) -> list[dict[str, str]]:
        rung = self._its.ensure_loaded()
        return [vars(info) for info in rung.voices()]

    def _call_speak(self, content: Mapping[str, Any], turn: _Turn | None) -> dict[str, Any]:
        assert turn is not None
        if content["fresh"]:
            logging.getLogger().setLevel(content["log_level"])
            self._its.stages.reset()
        requests = [self._request(about, row, turn) for row, about in enumerate(content["requests"])]
        with contextlib.closing(self._its.ensure_loaded().speak(requests)) as items:
            for row, chunk in items:
                if not turn.may_send():
                    break
                self._send(row, chunk)
        return {"work": work_to_json(self._its.stages.totals())}

    def _call_stop(self, content: Mapping[str, Any], _: _Turn | None) -> None:
        if self._ladder is not None:
            self._ladder.unload(forget=content["forget"])

    def _send(self, row: int, chunk: Chunk) -> None:
        try:
            self._channel.send(Kind.CHUNK, chunk_to_json(chunk, row), samples_to_bytes(chunk.samples))
        except ChannelFault as error:
            raise StageError("generate", error) from error

    def _request(self, about: Mapping[str, Any], row: int, turn: _Turn) -> Request:
        recording = about["recording"]
        if recording is not None:
            if recording not in self._voices:
                raise VoiceUnsuitable("the worker has not got the recording", who="voice", fix="report this")
            self._keep(self._voices[recording])
        return request_from_json(about, self._its.spec, self._voices, lambda: turn.is_cancelled(row))

    def _keep(self, voice: Voice) -> None:
        self._voices.pop(voice.digest, None)
        self._voices[voice.digest] = voice
        if len(self._voices) > VOICES_KEPT:
            del self._voices[next(iter(self._voices))]

    @property
    def _its(self) -> WorkerLadder:
        assert self._ladder is not None, "called before setup"
        return self._ladder

    def _facts(self) -> dict[str, Any]:
        """What the parent has to know after a call: counters, and the ladder where it has changed."""
        ladder = self._ladder
        if ladder is None:
            return {}
        live = ladder.live
        facts: dict[str, Any] = {"cache": ladder.voice_cache.stats(), "poisoned": ladder.poisoned}
        if live is not None and live.facts.device.startswith("cuda"):
            report = memory_report(live.facts.device)
            facts["device_memory"] = {name: value for name, value in report.items() if name != "rss"}
        now = (live, ladder.attempts, ladder.details)
        if self._told is None or any(a is not b for a, b in zip(now, self._told, strict=True)):
            self._told = now
            facts["ladder"] = ladder.snapshot()
        return facts


def leave() -> None:
    """End at once, with every process that this one has started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _tell(turn: _Turn, frame: Frame) -> None:
    if frame.kind is Kind.CREDIT:
        turn.credit(int(frame.content["chunks"]))
    elif frame.kind is Kind.CANCEL:
        turn.cancel(frame.content["rows"])
    elif frame.kind is Kind.END:
        turn.end()
