"""One client: its events are read while its texts are spoken, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from wyoming.audio import AudioStop
from wyoming.error import Error
from wyoming.ping import Ping, Pong

from realtts.wire.answers import answer_to
from realtts_wyoming.events import Refusal, TextChunk, TextStart, WholeText, read_event, read_fields
from realtts_wyoming.peer import Peer, PeerGoneError
from realtts_wyoming.speaking import speak
from realtts_wyoming.utterance import Utterance

if TYPE_CHECKING:
    from wyoming.event import Event

    from realtts_wyoming.state import ServerState

__all__ = ["Connection"]

_MOST_TEXTS = 16
"""Of one connection at a time."""
_log = logging.getLogger("realtts.wyoming")


class Connection:
    """A client of the server.

    Args:
        state: What the connections share.
        reader: What comes from the client.
        writer: What goes to it.

    Attributes:
        used: When an event last came, on the monotonic clock.
        is_leaving: Whether it was told to end.
    """

    def __init__(self, state: ServerState, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._state = state
        self._reader = reader
        self._peer = Peer(reader, writer, state.config.send_timeout_s)
        self._texts: asyncio.Queue[Utterance | None] = asyncio.Queue()
        self._open: Utterance | None = None  # its text still comes
        self._speaking: Utterance | None = None
        self._counted: set[Utterance] = set()
        self._current: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.used = time.monotonic()
        self.is_leaving = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is spoken for it or waits to be."""
        return not self._counted

    async def run(self) -> None:
        """Answer the client until it leaves, or until an answer ends the connection."""
        self._task = asyncio.current_task()
        speaking = asyncio.create_task(self._speak_all())
        reading = asyncio.create_task(self._read_all())
        try:
            await asyncio.wait({speaking, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not speaking.done():
                reading.result()  # raises what ends the connection; else the client sends no more
                await self._finish(speaking)
            speaking.result()
        except (PeerGoneError, ConnectionError):
            self._peer.abort()
        except Exception as error:
            await _stop(speaking, reading)
            await self._tell(error)
        finally:
            try:
                await _stop(speaking, reading)
                self._leave_all()
                await self._peer.close()
            finally:  # also when the server stops this task in the middle of its end
                self._leave_all()
                self._peer.abort()

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with an error instead of anything else."""
        await self._tell(refusal)
        await self._peer.close()

    def end_if_idle(self) -> None:
        """End the connection if nothing is spoken or waits."""
        if self.is_idle:
            self._texts.put_nowait(None)

    def stop(self) -> None:
        """End the connection; what is spoken stops within a step."""
        self.is_leaving = True
        if self._task is not None:
            self._task.cancel()

    async def _finish(self, speaking: asyncio.Task[None]) -> None:
        """Speak what a client has sent that sends no more, as long as it reads."""
        self._end_open()
        self._texts.put_nowait(None)
        if self.is_idle:
            await speaking
            return
        gone = asyncio.create_task(self._peer.gone())
        try:
            await asyncio.wait({speaking, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not speaking.done():
                raise PeerGoneError
        finally:
            await _stop(gone)

    # -- what the client sends -----------------------------------------------------------------------------------------

    async def _read_all(self) -> None:
        limit = self._state.config.max_event_kb * 1024
        while (event := await read_event(self._reader, limit)) is not None:
            self.used = time.monotonic()
            await self._take(event)

    async def _take(self, event: Event) -> None:
        """Do what an event says; those that are not known are passed over, as the protocol has it."""
        if event.type == "describe":
            info = await self._state.in_thread(self._state.voices.info)
            await self._peer.send(info.event())
        elif Ping.is_type(event.type):
            text = event.data.get("text")
            await self._peer.send(Pong(_sendable(text) if isinstance(text, str) else None).event())
        elif event.type == "synthesize":
            if self._open is None:  # else the whole text again, for servers that do not stream
                fields = read_fields(WholeText, event)
                self._begin(fields, streamed=False).append(fields.text)
                self._end_open()
        elif event.type == "synthesize-start":
            self._abandon()
            self._begin(read_fields(TextStart, event), streamed=True)
        elif event.type == "synthesize-chunk":
            self._of_open(event).append(read_fields(TextChunk, event).text)
        elif event.type == "synthesize-stop":
            self._of_open(event)
            self._end_open()

    def _begin(self, start: TextStart, *, streamed: bool) -> Utterance:
        config = self._state.config
        if len(self._counted) >= _MOST_TEXTS:
            message = f"{_MOST_TEXTS} texts of this connection wait, which is the most. Fix: wait for their audio."
            raise Refusal("busy", message)
        utterance = Utterance(start, most_chars=config.max_input_chars, wait_s=config.text_timeout_s, streamed=streamed)
        self._state.enter()
        self._counted.add(utterance)
        self._open = utterance
        self._texts.put_nowait(utterance)
        return utterance

    def _of_open(self, event: Event) -> Utterance:
        if self._open is None:
            raise Refusal("invalid_event", f"{event.type} came before synthesize-start. Fix: send that first.")
        return self._open

    def _end_open(self) -> None:
        if self._open is not None:
            self._open.end()
            self._open = None

    def _abandon(self) -> None:
        """Stop a text that a client leaves unfinished, because it begins another one."""
        utterance, self._open = self._open, None
        if utterance is None:
            return
        utterance.is_abandoned = True
        utterance.end()
        if utterance is self._speaking and self._current is not None:
            self._current.cancel()

    # -- what it hears -------------------------------------------------------------------------------------------------

    async def _speak_all(self) -> None:
        """Speak the texts in their order, until the client sends no more."""
        while (utterance := await self._texts.get()) is not None:
            self._speaking = utterance
            self._current = asyncio.create_task(speak(utterance, self._state, self._peer.send))
            if utterance.is_abandoned:
                self._current.cancel()
            try:
                await asyncio.wait({self._current})
                if not self._current.cancelled():
                    self._current.result()
                elif utterance.is_heard:
                    await self._peer.send(AudioStop().event())
            finally:
                await _stop(self._current)
                self._leave(utterance)

    def _leave_all(self) -> None:
        for utterance in [*self._counted]:
            self._leave(utterance)

    def _leave(self, utterance: Utterance) -> None:
        if utterance in self._counted:
            self._counted.discard(utterance)
            self._state.gate.leave()
            self.used = time.monotonic()
            if self._state.gate.draining:
                self.end_if_idle()

    async def _tell(self, error: Exception) -> None:
        """Send an error as the protocol has it: the connection ends behind it, so that nobody waits for more."""
        if isinstance(error, Refusal):
            code, message = error.code, error.message
        else:
            answer = answer_to(error)
            code, message = answer.code, answer.message
            if not answer.is_callers:
                _log.error("a text could not be spoken", exc_info=error)
        with contextlib.suppress(PeerGoneError):
            await self._peer.send(Error(_sendable(message), code).event())


async def _stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _sendable(text: str) -> str:
    """Return a text without what UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()
