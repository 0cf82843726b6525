"""One utterance of a WebSocket: its text comes in parts, its audio goes out in parts."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Any

from realtts.wire.answers import answer_to
from realtts_http.calls import make_call
from realtts_http.encoding import PCM_RATE, open_encoder
from realtts_http.problems import ProblemError, problem_body
from realtts_http.speech import chunk_message, log_fault
from realtts_http.timing import SpeechClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from realtts_http.calls import Call
    from realtts_http.encoding import StreamEncoder
    from realtts_http.live_messages import Start
    from realtts_http.server_state import ServerState

__all__ = ["Utterance"]

_FLUSH, _END = object(), object()


class Utterance:
    """Speaks one text, part by part.

    What is flushed is a text of its own: the next part begins another one, with the same seed.

    Args:
        start: Who speaks, and how.
        server: Who has the models.
        send: Sends a message to the client.

    Attributes:
        id: What the client calls it.
    """

    def __init__(self, start: Start, server: ServerState, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self.id = start.id
        self._start, self._server, self._to_client = start, server, send
        self._parts: asyncio.Queue[object] = asyncio.Queue()
        self._left = server.config.max_input_chars
        self._characters = self._tokens = 0
        self._ended = False
        self._speaking: asyncio.Task[None] | None = None

    def append(self, text: str) -> None:
        """Take more text.

        Raises:
            ProblemError: It was ended, or the whole text is too long.
        """
        if self._ended:
            raise ProblemError(409, "utterance_ended", f"The utterance {self.id!r} was ended. Fix: start another one.")
        self._left -= len(text)
        if self._left < 0:
            most = self._server.config.max_input_chars
            what = f"The utterance has more than {most:,} characters."
            raise ProblemError(400, "input_too_long", f"{what} Fix: start another one.", field="text")
        self._parts.put_nowait(text)

    def flush(self) -> None:
        """Speak what is there."""
        self._parts.put_nowait(_FLUSH)

    def end(self) -> None:
        """Take no more text."""
        self._ended = True
        self._parts.put_nowait(_END)

    def cancel(self) -> None:
        """Stop within a step."""
        if self._speaking is not None:
            self._speaking.cancel()

    async def speak(self) -> None:
        """Speak until the text has ended, and tell how it went."""
        self._speaking = asyncio.create_task(self._run())
        try:
            await self._speaking
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and getattr(task, "cancelling", int)():
                raise  # the connection ended, not the utterance
            await self._send("speech.cancelled")
        except Exception as error:
            log_fault(error)
            answer = error.answer if isinstance(error, ProblemError) else answer_to(error)
            await self._send("error", **problem_body(answer))
        finally:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)

    async def _run(self) -> None:
        call = await make_call(self._server.models, self._server.config, self._start.model, "", self._start)
        encoder = open_encoder(self._start.response_format)
        started = {"model": call.model.name, "seed": call.seed, "format": self._start.response_format}
        if self._start.response_format == "pcm":
            started["sample_rate"] = PCM_RATE
        if call.ignored:
            started["ignored"] = list(call.ignored)
        await self._send("speech.started", **started)
        while await self._speak_part(call, encoder):
            pass
        await self._audio(encoder.finish())
        usage = {"input_tokens": self._characters, "output_tokens": self._tokens}
        await self._send("speech.done", usage={**usage, "total_tokens": self._characters + self._tokens})

    async def _speak_part(self, call: Call, encoder: StreamEncoder) -> bool:
        """Speak the text up to a flush or the end; tell whether more may come."""
        part = _Part(self._parts)
        if not await part.begins():
            return not part.was_last
        clock = SpeechClock(time.perf_counter())
        # Held from the first text on: a client who has said nothing yet keeps no other model out of the memory.
        async with self._server.models.speaking(call.model) as provider:
            async for chunk in provider.astream(part.texts(), **call.arguments):
                clock.heard(chunk.duration)
                self._tokens += chunk.tokens
                await self._audio(encoder.encode(chunk), **chunk_message(chunk, part.text, self._characters))
        self._server.metrics.audio.labels(call.model.name).inc(clock.audio_s)
        self._characters += len(part.text)
        return not part.was_last

    async def _audio(self, data: bytes, **more: Any) -> None:
        if data or more:
            await self._send("speech.audio.delta", audio=base64.b64encode(data).decode(), **more)

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._to_client({"type": kind, "id": self.id, **fields})


class _Part:
    """The text between two flushes."""

    def __init__(self, parts: asyncio.Queue[object]) -> None:
        self._parts = parts
        self._first = ""
        self.text = ""
        self.was_last = False

    async def begins(self) -> bool:
        """Wait for its first text; False where it has none."""
        while (part := await self._parts.get()) not in (_FLUSH, _END):
            self._first += str(part)
            if self._first.strip():
                return True
        self.was_last = part is _END
        return False

    async def texts(self) -> AsyncIterator[str]:
        """Yield its text as it comes."""
        part: object = self._first
        while part not in (_FLUSH, _END):
            self.text += str(part)
            yield str(part)
            part = await self._parts.get()
        self.was_last = part is _END
