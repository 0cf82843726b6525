"""The worker's side of the conversation: calls are answered one after another, in the main thread.

Another thread reads, so that a cancellation is heard while the model works, and that the end of the parent ends the
worker at once, whatever it is doing.
"""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts.contract.types import Voice
from realtts.contract.voice_cache import VoiceCache
from realtts.exception_text import describe_error
from realtts.ladder.facts import versions
from realtts.ladder.failures import StageError
from realtts.ladder.proposals import LadderSetup
from realtts.machine.memory import memory_report
from realtts.settings import Layers, Settings
from realtts.wire.calls import Call, Close, GiveUp, ListVoices, Load, Reply, Setup, Speak, Stop
from realtts.wire.channel import Channel, ChannelClosed, Kind
from realtts.wire.child import leave
from realtts.wire.faults import ErrorMessage, FailureMessage
from realtts.wire.reading import Cancel, Credit, End, outgoing, read_from_parent
from realtts.wire.rows import RowMessage
from realtts.wire.specs import spec_from_json
from realtts.worker.inflow import Inflow, Recordings, RowControl
from realtts.worker.ladder import PoisonedContext, WorkerLadder
from realtts.worker.speaking import Speaking

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.events import Event
    from realtts.contract.types import VoiceInfo

__all__ = ["Server"]


class Server:
    """Answers a parent's calls with a ladder of its own.

    Args:
        channel: Where calls come from.
        report: Receives the ladder's events.
    """

    def __init__(self, channel: Channel, report: Callable[[Event], None]) -> None:
        self._channel = channel
        self._report = report
        self._inflow = Inflow()
        self._recordings = Recordings()
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
            message, control = self._inflow.take()
            if isinstance(message, Voice):
                self._recordings.keep(message)
                continue
            if isinstance(message, RowMessage):
                continue  # it was on its way when its call failed
            self._answer(message, control)
            if isinstance(message, Stop):
                return

    def _read(self) -> None:
        control = RowControl(self._inflow.changed)
        try:
            while True:
                frame = self._channel.receive(None)
                assert frame is not None
                message = read_from_parent(frame)
                if isinstance(message, (Credit, Cancel, End)):
                    control.apply(message)
                    continue
                if isinstance(message, RowMessage):
                    if control.ended:  # its call is over for the parent, and so is the row
                        continue
                    control.begin(message.row)
                elif not isinstance(message, Voice):
                    control = RowControl(self._inflow.changed, message if isinstance(message, Speak) else None)
                self._inflow.put(message, control)
        except ChannelClosed:
            leave()
        except BaseException as error:  # whatever it is, the parent cannot be understood any more
            sys.stderr.write(f"the channel is broken: {describe_error(error)}\n")
            leave()

    def _answer(self, call: Call, control: RowControl) -> None:
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

    def _reply(self, call: Call, control: RowControl) -> Reply:
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
                self._speak(call, control)
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

    def _speak(self, call: Speak, control: RowControl) -> None:
        logging.getLogger().setLevel(call.log_level)
        Speaking(
            call, control, self._inflow, channel=self._channel, ladder=self._ladder, recordings=self._recordings
        ).run()

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
