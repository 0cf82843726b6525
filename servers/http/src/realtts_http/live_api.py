"""``/v1/audio/speech/stream``: a WebSocket that takes text while it is written, and speaks it sentence by sentence."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from realtts_http.live_messages import Append, Cancel, End, Flush, Start, WrongMessageError, read_message
from realtts_http.problems import ProblemError, problem_body
from realtts_http.server_state import ServerState
from realtts_http.utterance import Utterance

__all__ = ["router"]

router = APIRouter()

_MOST_UTTERANCES = 16
"""On one connection at a time."""
_PROTOCOL = "realtts"
_GOING_AWAY, _UNSUPPORTED = 1001, 1003


@router.websocket("/v1/audio/speech/stream")
async def stream_speech(socket: WebSocket) -> None:
    """Speak what comes until the client leaves, or the server is shut down."""
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(_PROTOCOL if _PROTOCOL in offered else None)
    conversation = _Conversation(socket, socket.app.state.server)
    ending = asyncio.create_task(conversation.end_with_server())
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            if message.get("text") is None:  # bytes mean nothing here
                await conversation.hang_up(_UNSUPPORTED, "send text")
                break
            await conversation.take(message["text"])
    finally:
        ending.cancel()
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
        except WrongMessageError as error:
            begun = error.id in self._utterances
            await self._problem(error.id, error.problem, ended=error.begins and not begun)
            return
        try:
            if isinstance(message, Start):
                self._start(message)
            else:
                self._pass_on(message)
        except ProblemError as problem:
            await self._problem(message.id, problem, ended=message.id not in self._utterances)

    async def end_with_server(self) -> None:
        """Wait until the server is being shut down and everything was said, then hang up."""
        await self._server.gate.until_draining()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.hang_up(_GOING_AWAY, "the server is being shut down")

    async def hang_up(self, code: int, reason: str) -> None:
        """Close the connection."""
        async with self._sending:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it is closed already
                await self._socket.close(code, reason)

    async def close(self) -> None:
        """Stop all utterances: nobody hears them any more."""
        for utterance in self._utterances.values():
            utterance.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, message: Start) -> None:
        if self._server.gate.draining:
            raise ProblemError(503, "shutting_down", "The server is being shut down.", retry_after_s=5)
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
            last = await utterance.speak()
        finally:
            # Before its last message: behind that the client may use the id again.
            self._utterances.pop(utterance.id, None)
        await self._send(last)

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

    async def _problem(self, utterance: str | None, problem: ProblemError, *, ended: bool) -> None:
        await self._send({"type": "error", "id": utterance, "ended": ended, **problem_body(problem.answer)})

    async def _send(self, message: dict[str, object]) -> None:
        async with self._sending:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it is gone, which the reader finds out
                await self._socket.send_json(message)
