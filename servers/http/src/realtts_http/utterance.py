"""One utterance of a WebSocket: its text comes in parts, its audio goes out in parts."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any, cast

from realtts.wire.answers import answer_to
from realtts_http.calls import make_call
from realtts_http.encoding import PCM_RATE, encode_chunk, encode_end, open_encoder
from realtts_http.problems import ProblemError, problem_body
from realtts_http.speech import chunk_message, log_fault
from realtts_http.timing import SpeechClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from realtts import Chunk, RealProvider
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
        self._ended = self._flushed = self._heard = False
        self._model = server.models.default
        self._run_task = asyncio.create_task(self._run())

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
        if text:
            self._parts.put_nowait(text)
            self._flushed = False

    def flush(self) -> None:
        """Speak what is there."""
        if not (self._flushed or self._ended):  # a flood of flushes fills no memory
            self._parts.put_nowait(_FLUSH)
            self._flushed = True

    def end(self) -> None:
        """Take no more text."""
        if not self._ended:
            self._ended = True
            self._parts.put_nowait(_END)

    def cancel(self) -> None:
        """Stop within a step."""
        self._run_task.cancel()

    async def speak(self) -> dict[str, Any]:
        """Speak until the text has ended; return the last message, which tells how it went."""
        metrics = self._server.metrics
        try:
            return self._message("speech.done", usage=await self._run_task)
        except asyncio.CancelledError:  # by the client, or because it has left
            metrics.aborted.labels(self._model).inc()
            return self._message("speech.cancelled")
        except Exception as error:
            log_fault(error)
            if self._heard:
                metrics.failed.labels(self._model).inc()
            answer = error.answer if isinstance(error, ProblemError) else answer_to(error)
            if answer.field == "input":
                answer = dataclasses.replace(answer, field="text")
            return self._message("error", ended=True, **problem_body(answer))

    async def _run(self) -> dict[str, int]:
        """Speak; return what was used."""
        call = await make_call(self._server.models, self._server.config, self._start.model, "", self._start)
        self._model = call.model.name
        encoder = open_encoder(self._start.response_format)
        started = {"model": call.model.name, "seed": call.seed, "format": self._start.response_format}
        if self._start.response_format == "pcm":
            started["sample_rate"] = PCM_RATE
        if call.ignored:
            started["ignored"] = list(call.ignored)
        await self._send("speech.started", **started)
        try:
            while await self._speak_part(call, encoder):
                pass
            await self._audio(await encode_end(encoder))
        finally:
            if not encoder.is_light:  # not here: a thread may be encoding still
                asyncio.get_running_loop().run_in_executor(None, encoder.drop)
        usage = {"input_tokens": self._characters, "output_tokens": self._tokens}
        return {**usage, "total_tokens": self._characters + self._tokens}

    async def _speak_part(self, call: Call, encoder: StreamEncoder) -> bool:
        """Speak the text up to a flush or the end; tell whether more may come."""
        part = _Part(self._parts)
        if not await part.begins():
            return not part.was_last
        clock = SpeechClock(time.perf_counter())
        # Held from the first text on: a client who has said nothing yet keeps no other model out of the memory.
        async with self._server.models.speaking(call.model) as provider, _chunks(provider, part, call) as chunks:
            async for chunk in chunks:
                clock.heard(chunk.duration)
                self._tokens += chunk.tokens
                data = await encode_chunk(encoder, chunk)
                await self._audio(data, **chunk_message(chunk, part.text, self._characters))
        self._server.metrics.audio.labels(call.model.name).inc(clock.audio_s)
        clock.report_hearing(self._server.metrics, call.model.name)
        self._characters += len(part.text)
        return not part.was_last

    async def _audio(self, data: bytes, **more: Any) -> None:
        if data or more:
            self._heard = True
            await self._send("speech.audio.delta", audio=base64.b64encode(data).decode(), **more)

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._to_client(self._message(kind, **fields))

    def _message(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "id": self.id, **fields}


def _chunks(provider: RealProvider, part: _Part, call: Call) -> contextlib.aclosing[AsyncGenerator[Chunk, None]]:
    """Return the chunks of a part; leaving them ends the request at once, whoever still refers to them."""
    chunks = provider.astream(part.texts(), **call.arguments)
    return contextlib.aclosing(cast("AsyncGenerator[Chunk, None]", chunks))


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
