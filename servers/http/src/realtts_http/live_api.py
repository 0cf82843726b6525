"""``/v1/audio/speech/stream``: a WebSocket that takes text while it is written, and speaks it sentence by sentence."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from realtts_http.live_messages import Append, Cancel, End, Flush, Start, read_message
from realtts_http.problems import ProblemError, invalid_body, problem_body
from realtts_http.server_state import ServerState
from realtts_http.utterance import Utterance

__all__ = ["router"]

router = APIRouter()

_MOST_UTTERANCES = 16
"""On one connection at a time."""
_PROTOCOL = "realtts"
_UNSUPPORTED = 1003


@router.websocket("/v1/audio/speech/stream")
async def stream_speech(socket: WebSocket) -> None:
    """Speak what comes until the client leaves."""
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(_PROTOCOL if _PROTOCOL in offered else None)
    conversation = _Conversation(socket, socket.app.state.server)
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            if message.get("text") is None:  # bytes mean nothing here
                await socket.close(_UNSUPPORTED, "send text")
                break
            await conversation.take(message["text"])
    finally:
        await conversation.close()


class _Conversation:
    """The utterances of one connection."""

    def __init__(self, socket: WebSocket, server: ServerState) -> None:
        self._socket, self._server = socket, server
        self._utterances: dict[str, Utterance] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()

    async def take(self, text: str) -> None:
        """Do what a message says; what is wrong with it is answered, and harms no utterance."""
        try:
            message = read_message(text)
        except ValidationError as error:
            await self._problem(None, invalid_body(error.errors()))
            return
        try:
            if isinstance(message, Start):
                await self._start(message)
            else:
                self._pass_on(message)
        except ProblemError as problem:
            await self._problem(message.id, problem)

    async def close(self) -> None:
        """Stop all utterances: nobody hears them any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _start(self, message: Start) -> None:
        if message.id in self._utterances:
            raise ProblemError(409, "utterance_exists", f"There is an utterance {message.id!r}. Fix: use another id.")
        if len(self._utterances) >= _MOST_UTTERANCES:
            what = f"{_MOST_UTTERANCES} utterances are open, which is the most."
            raise ProblemError(429, "too_many_utterances", f"{what} Fix: end or cancel one.")
        utterance = self._utterances[message.id] = Utterance(message, self._server, self._send)
        task = asyncio.create_task(self._speak(utterance))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _speak(self, utterance: Utterance) -> None:
        try:
            await utterance.speak()
        finally:
            self._utterances.pop(utterance.id, None)

    def _pass_on(self, message: Append | Flush | End | Cancel) -> None:
        utterance = self._utterances.get(message.id)
        if utterance is None:
            if isinstance(message, Cancel):  # it may have ended meanwhile
                return
            what = f"There is no utterance {message.id!r}, or it has ended."
            raise ProblemError(404, "utterance_not_found", f"{what} Fix: send speech.start first.", field="id")
        if isinstance(message, Append):
            utterance.append(message.text)
        elif isinstance(message, Flush):
            utterance.flush()
        elif isinstance(message, End):
            utterance.end()
        else:
            utterance.cancel()

    async def _problem(self, utterance: str | None, problem: ProblemError) -> None:
        await self._send({"type": "error", "id": utterance, **problem_body(problem.answer)})

    async def _send(self, message: dict[str, object]) -> None:
        async with self._sending:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it is gone, which the reader finds out
                await self._socket.send_json(message)
