"""The worker's side of the conversation: calls are answered one after another, in the main thread.

Another thread reads, so that a cancellation is heard while the model works, and that the end of the parent ends the
worker at once, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts.contract.continuous import Arrival, RowFailed
from realtts.contract.types import Chunk, Voice
from realtts.contract.voice_cache import VoiceCache
from realtts.errors import VoiceUnsuitable
from realtts.exception_text import describe_error
from realtts.ladder.facts import versions
from realtts.ladder.failures import PASSED_ON, StageError
from realtts.ladder.proposals import LadderSetup
from realtts.machine.memory import memory_report
from realtts.settings import Layers, Settings
from realtts.wire.calls import Call, Close, GiveUp, ListVoices, Load, Reply, Setup, Speak, Stop
from realtts.wire.channel import Channel, ChannelClosed, ChannelFault, Kind
from realtts.wire.child import leave
from realtts.wire.faults import ErrorMessage, FailureMessage
from realtts.wire.messages import VOICES_KEPT, ChunkMessage, samples_to_bytes, to_json
from realtts.wire.reading import Cancel, Credit, End, outgoing, read_from_parent
from realtts.wire.specs import spec_from_json
from realtts.worker.ladder import PoisonedContext, WorkerLadder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.events import Event
    from realtts.contract.types import Request, VoiceInfo
    from realtts.wire.messages import RequestMessage

__all__ = ["Server"]


class _Control:
    """What the parent says of a call while it runs: rows that are cancelled, chunks that may be sent."""

    def __init__(self, window: int) -> None:
        self._changed = threading.Condition()
        self._credit = window
        self._cancelled: set[int] = set()
        self._ended = False

    def is_cancelled(self, row: int) -> bool:
        return self._ended or row in self._cancelled

    def apply(self, message: Credit | Cancel | End) -> None:
        """Take over what the parent says."""
        with self._changed:
            match message:
                case Credit():
                    self._credit += message.chunks
                case Cancel():
                    self._cancelled.update(message.rows)
                case End():
                    self._ended = True
            self._changed.notify_all()

    def may_send(self) -> bool:
        """Wait until the parent takes a chunk; False when it wants no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._credit > 0 or self._ended)
            self._credit -= 1
            return not self._ended


class _Batch:
    """Requests that came together, and nothing after them."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._left = [Arrival(row, request) for row, request in enumerate(requests)]

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        fitting = [arrival for arrival in self._left if fits is None or fits(arrival)][:most]
        self._left = [arrival for arrival in self._left if arrival not in fitting]
        return fitting


class Server:
    """Answers a parent's calls with a ladder of its own.

    Args:
        channel: Where calls come from.
        report: Receives the ladder's events.
    """

    def __init__(self, channel: Channel, report: Callable[[Event], None]) -> None:
        self._channel = channel
        self._report = report
        self._messages: queue.SimpleQueue[tuple[Call | Voice, _Control]] = queue.SimpleQueue()
        self._voices: dict[str, Voice] = {}
        self._failure: StageError | None = None
        self._sent_state: Any = None  # live rung, attempts and details as the parent has them
        self._created: WorkerLadder | None = None

    def serve(self) -> None:
        """Answer until the parent says stop.

        Raises:
            ChannelClosed: The parent is gone.
        """
        threading.Thread(target=self._read, name="realtts-channel", daemon=True).start()
        while True:
            message, control = self._messages.get()
            if isinstance(message, Voice):
                self._keep(message)
                continue
            self._answer(message, control)
            if isinstance(message, Stop):
                return

    def _read(self) -> None:
        control = _Control(0)
        try:
            while True:
                frame = self._channel.receive(None)
                assert frame is not None
                message = read_from_parent(frame)
                if isinstance(message, (Credit, Cancel, End)):
                    control.apply(message)
                    continue
                if not isinstance(message, Voice):
                    control = _Control(message.window if isinstance(message, Speak) else 0)
                self._messages.put((message, control))
        except ChannelClosed:
            leave()
        except BaseException as error:  # whatever it is, the parent cannot be understood any more
            sys.stderr.write(f"the channel is broken: {describe_error(error)}\n")
            leave()

    def _answer(self, call: Call, control: _Control) -> None:
        reply = Reply()
        try:
            reply = self._reply(call, control)
        except PoisonedContext:
            pass  # the reply says so
        except StageError as failure:
            self._failure = failure
            reply = Reply(failure=FailureMessage.of(failure))
        except ChannelClosed:
            raise
        except BaseException as error:
            reply = Reply(error=ErrorMessage.of(error))
        try:
            content = outgoing(self._with_state(reply))
        except ValueError as error:
            content = outgoing(Reply(error=ErrorMessage.of(error)))
        self._channel.send(Kind.REPLY, content)

    def _reply(self, call: Call, control: _Control) -> Reply:
        match call:
            case Setup():
                return self._setup(call)
            case Load():
                self._load(call)
            case GiveUp():
                self._give_up(call)
            case Close():
                return Reply(closed=self._ladder.close(call.variant, call.rung, call.failure.failure()))
            case ListVoices():
                return Reply(voices=self._list_voices(load=call.load))
            case Speak():
                return self._speak(call, control)
            case Stop():
                if self._created is not None:
                    self._created.unload(forget=call.forget)
        return Reply()

    def _setup(self, call: Setup) -> Reply:
        logging.getLogger().setLevel(call.log_level)
        settings = Settings(**call.settings)
        spec = spec_from_json(call.spec, installed=True)
        voice_cache = VoiceCache(max_bytes=settings.voice_cache_mb << 20)
        layers = Layers(settings, call.sources)
        self._created = WorkerLadder(LadderSetup(spec, layers, call.checkpoint, voice_cache, self._report))
        self._created.restore(call.attempts, call.given_up)
        return Reply(versions=versions(spec))

    def _load(self, call: Load) -> None:
        logging.getLogger().setLevel(call.log_level)
        if call.begin:
            self._ladder.begin()
        else:
            self._ladder.ensure_loaded()

    def _list_voices(self, *, load: bool) -> tuple[VoiceInfo, ...] | None:
        return self._ladder.ensure_loaded().voices() if load else self._ladder.voices_before_load()

    def _give_up(self, call: GiveUp) -> None:
        failure, self._failure = self._failure, None
        if call.failure is not None:  # what the parent judged itself, such as silence
            failure = call.failure.failure()
        assert failure is not None, "there was no failure"
        self._ladder.give_up(failure)

    def _speak(self, call: Speak, control: _Control) -> Reply:
        logging.getLogger().setLevel(call.log_level)
        batch = _Batch([self._request(message, row, control) for row, message in enumerate(call.requests)])
        stages = self._ladder.stages
        for row in range(len(call.requests)):
            stages.begin(row, id(call))
        try:
            with contextlib.closing(self._ladder.ensure_loaded().run(batch)) as items:
                for row, content in filter(None, items):
                    if isinstance(content, RowFailed):
                        raise (
                            content.error
                            if isinstance(content.error, PASSED_ON)
                            else StageError("generate", content.error)
                        )
                    if isinstance(content, Chunk):
                        if not control.may_send():
                            break
                        self._send(row, content)
            return Reply(work=stages.totals(id(call)))
        finally:
            for row in range(len(call.requests)):
                stages.end(row)
            stages.forget(id(call))

    def _send(self, row: int, chunk: Chunk) -> None:
        try:
            self._channel.send(Kind.CHUNK, to_json(ChunkMessage.of(row, chunk)), samples_to_bytes(chunk.samples))
        except ChannelFault as error:
            raise StageError("generate", error) from error

    def _request(self, message: RequestMessage, row: int, control: _Control) -> Request:
        voice = None
        if message.recording is not None:
            voice = self._voices.get(message.recording)
            if voice is None:
                raise VoiceUnsuitable("the worker has not got the recording", who="voice", fix="report this")
            self._keep(voice)
        return message.request(self._ladder.spec, voice, lambda: control.is_cancelled(row))

    def _keep(self, voice: Voice) -> None:
        self._voices.pop(voice.digest, None)
        self._voices[voice.digest] = voice
        if len(self._voices) > VOICES_KEPT:
            del self._voices[next(iter(self._voices))]

    @property
    def _ladder(self) -> WorkerLadder:
        assert self._created is not None, "called before setup"
        return self._created

    def _with_state(self, reply: Reply) -> Reply:
        """Add what the parent has to know after a call: counters, and the ladder where it has changed."""
        ladder = self._created
        if ladder is None:
            return reply
        live, memory = ladder.live, None
        if live is not None and live.facts.device.startswith("cuda"):
            report = memory_report(live.facts.device)
            memory = {name: value for name, value in report.items() if name != "rss"}
        state = (live, ladder.attempts, ladder.details)
        changed = self._sent_state is None or any(a is not b for a, b in zip(state, self._sent_state, strict=True))
        self._sent_state = state
        return replace(
            reply,
            poisoned=ladder.poisoned,
            cache=ladder.voice_cache.stats(),
            device_memory=memory,
            ladder=ladder.snapshot() if changed else None,
        )
