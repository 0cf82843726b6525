"""Speech as an answer: bytes of a format or server-sent events, sent while it is spoken."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from fastapi.responses import Response

from realtts.wire.answers import answer_to
from realtts_http.encoding import CONTENT_TYPES, encode_chunk, encode_end, first_parts, open_encoder
from realtts_http.leaving import ClientLeftError, unless_left
from realtts_http.problems import header_value, problem_body, problem_response
from realtts_http.timing import SpeechClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from realtts import Chunk, Mark
    from realtts.provider.stream import ChunkStream
    from realtts_http.calls import Call
    from realtts_http.encoding import StreamEncoder
    from realtts_http.metrics import ServerMetrics
    from realtts_http.served import ServedModels

__all__ = ["HEARTBEAT_S", "SpeechResponse", "chunk_message", "log_fault", "mark_message"]

HEARTBEAT_S = 15.0
"""Seconds without an event after which a comment is sent: proxies close connections that seem dead."""

_HEARTBEAT = b": still speaking\n\n"
_log = logging.getLogger("realtts.http")


@contextlib.asynccontextmanager
async def chunks_of(call: Call, models: ServedModels) -> AsyncIterator[ChunkStream]:
    """Open the stream of a call; leaving it stops the model within a step."""
    async with models.speaking(call.model) as provider:
        if call.is_light:
            stream = provider.stream(call.text, **call.arguments)
        else:
            stream = await asyncio.to_thread(provider.stream, call.text, **call.arguments)
        with stream:
            yield stream


def chunk_message(chunk: Chunk, text: str, before: int = 0) -> dict[str, Any]:
    """Return the timings and warnings that a chunk brings, as JSON has them; empty where it brings none.

    Args:
        chunk: From a stream.
        text: What its marks point into.
        before: Characters of the client's text before that.
    """
    message: dict[str, Any] = {}
    if chunk.marks:
        message["timestamps"] = [mark_message(mark, text, before) for mark in chunk.marks]
    if chunk.warnings:
        message["warnings"] = list(chunk.warnings)
    return message


def mark_message(mark: Mark, text: str, before: int = 0) -> dict[str, Any]:
    """Return a timing as JSON has it."""
    return {
        "start": round(mark.start, 4),
        "end": round(mark.end, 4),
        "span": [mark.span[0] + before, mark.span[1] + before],
        "kind": mark.kind,
        "text": mark.name or text[slice(*mark.span)],
    }


class SpeechResponse(Response):
    """Speaks, encodes and sends; an error before the first audio is an answer of its own.

    Args:
        call: What to speak.
        models: Who speaks.
        metrics: Where it is counted.
        format: A key of `CONTENT_TYPES`.
        events: Send server-sent events instead of the bytes alone.
        arrived: When the request came, on the clock of `time.perf_counter`.
    """

    def __init__(
        self,
        call: Call,
        models: ServedModels,
        metrics: ServerMetrics,
        *,
        format: str,  # noqa: A002 - the word users know
        events: bool,
        arrived: float,
    ) -> None:
        super().__init__(media_type="text/event-stream" if events else CONTENT_TYPES[format])
        self._call, self._models, self._metrics = call, models, metrics
        self._encoder: StreamEncoder = open_encoder(format)
        self._events = events
        self._clock = SpeechClock(arrived)
        self._started = self._encoded = self._complete = False
        self._sending = False
        self._sent_at: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; a client that goes away stops the model."""
        beating = asyncio.create_task(self._beat(send)) if self._events else None
        try:
            await unless_left(receive, self._answer(scope, receive, send), is_complete=lambda: self._complete)
        except ClientLeftError:
            self._metrics.aborted.labels(self._call.model.name).inc()
        finally:
            if beating is not None:
                beating.cancel()
            if not (self._encoded or self._encoder.is_light):
                # Not here: a thread may be encoding still.
                asyncio.get_running_loop().run_in_executor(None, self._encoder.drop)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with chunks_of(self._call, self._models) as stream:
                await self._send_chunks(stream, send)
        except Exception as error:
            if not self._started:
                log_fault(error)
                self._complete = True
                await problem_response(error)(scope, receive, send)
                return
            await self._fail(error, send)

    async def _send_chunks(self, stream: ChunkStream, send: Send) -> None:
        while (chunk := await stream.anext()) is not None:
            self._clock.heard(chunk.duration)
            parts = [chunk] if self._started else first_parts(self._encoder, chunk)
            if not self._started:
                await self._start(send)
            for part in parts:
                await self._send(self._delta(part, await encode_chunk(self._encoder, part)), send)
        if not self._started:
            await self._start(send)
        last = self._delta(None, await encode_end(self._encoder))
        self._encoded = True
        if self._events:
            last += _event(self._done(stream))
        self._complete = True
        await send({"type": "http.response.body", "body": last, "more_body": False})
        self._clock.report(self._metrics, self._call.model.name, stream.metrics)

    async def _beat(self, send: Send) -> None:
        """Send a comment whenever nothing else was sent for a while."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            silent = self._sent_at is not None and time.perf_counter() - self._sent_at >= HEARTBEAT_S
            if silent and not (self._sending or self._complete):
                await self._send(_HEARTBEAT, send)

    async def _start(self, send: Send) -> None:
        self._started = True
        call = self._call
        headers = {
            "content-type": self.media_type or "",
            "cache-control": "no-store",
            "x-realtts-model": call.model.name,
            "x-realtts-seed": str(call.seed),
            "x-realtts-rung": call.model.provider.rung or "",
        }
        if call.ignored:
            headers["x-realtts-ignored"] = ", ".join(call.ignored)
        encoded = [(name.encode(), header_value(value).encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        self._sent_at = time.perf_counter()

    async def _send(self, data: bytes, send: Send) -> None:
        if data:
            self._sending = True
            await send({"type": "http.response.body", "body": data, "more_body": True})
            self._sending, self._sent_at = False, time.perf_counter()

    def _delta(self, chunk: Chunk | None, data: bytes) -> bytes:
        """Return a part of the audio as it is sent."""
        if not self._events:
            return data
        more = chunk_message(chunk, self._call.text) if chunk is not None else {}
        if not (data or more):
            return b""
        message = {"type": "speech.audio.delta", "audio": base64.b64encode(data).decode(), **more}
        return _event(message)

    def _done(self, stream: ChunkStream) -> dict[str, Any]:
        characters, tokens = len(self._call.text), stream.metrics.tokens
        usage = {"input_tokens": characters, "output_tokens": tokens, "total_tokens": characters + tokens}
        return {"type": "speech.audio.done", "usage": usage, "seed": self._call.seed}

    async def _fail(self, error: Exception, send: Send) -> None:
        """Tell of an error after the first audio: as an event, else by an end that no client takes for a whole one."""
        self._metrics.failed.labels(self._call.model.name).inc()
        log_fault(error)
        if not self._events:
            raise BrokenSpeechError from error
        body = problem_body(answer_to(error))
        self._complete = True
        last = _event({"type": "speech.audio.error", **body})
        await send({"type": "http.response.body", "body": last, "more_body": False})


class BrokenSpeechError(ConnectionError):
    """The speech ended half-way; the connection is cut, so that the client sees it."""


def _event(message: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(message, separators=(',', ':'))}\n\n".encode()


def log_fault(error: Exception) -> None:
    """Write the whole of an error that is not the client's to the log."""
    if not (hasattr(error, "answer") or answer_to(error).status < 500):
        _log.error("a request failed", exc_info=error)
