"""One request on its way through the server: its body is counted, its answer noted."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

from realtts_http.problems import ProblemError, problem_response

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from realtts_http.config import ServeConfig

__all__ = ["TooLargeError", "Visit"]

_SLOWEST_BYTES_S = 64 << 10
"""What comes slower than that is no upload, but holds a place."""

_DENIAL = "websocket.http.response"
"""What an ASGI server says that can answer a handshake with a status and a body."""


class TooLargeError(ProblemError):
    """The body is longer than the limit."""

    def __init__(self, config: ServeConfig) -> None:
        message = f"The body is larger than {config.max_body_mb:g} MiB. Fix: send less."
        super().__init__(413, "body_too_large", message)


class Visit:
    """One request.

    Args:
        scope: Of ASGI.
        receive: Gives its body.
        send: Takes the answer.
        config: Limits of bodies.

    Attributes:
        id: Of the answer's header ``x-request-id``, and of the log.
        status: Of the answer; 0: there was none. A WebSocket's is 101.
        sent: Bytes of the answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, config: ServeConfig) -> None:
        self._scope, self._receive, self._send, self._config = scope, receive, send, config
        self._came = 0
        self._most = int(config.max_body_mb * 2**20)
        self._body_read = scope["type"] != "http"
        self._began = time.perf_counter()
        self.id = secrets.token_hex(8)
        self.status = 0
        self.sent = 0
        scope.setdefault("state", {})["arrived"] = self._began

    @property
    def code(self) -> str:
        """The word for programs of a problem that was answered; empty: there was none."""
        return str(self._scope["state"].get("problem", ""))

    async def receive(self) -> Message:
        """Hand a part of the body on.

        Raises:
            ProblemError: The body is too large, or does not come.
        """
        if self._body_read:
            return await self._receive()
        message = await self._receive_in_time()
        self._came += len(message.get("body", b""))
        if self._came > self._most:
            raise TooLargeError(self._config)
        self._body_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Hand a part of the answer on, with the request's id."""
        kind = message["type"]
        if kind.endswith("http.response.start"):
            self.status = message["status"]
            message = {**message, "headers": [*message["headers"], (b"x-request-id", self.id.encode())]}
        elif kind == "websocket.accept":
            self.status = 101
        self.sent += len(message.get("body") or message.get("text") or message.get("bytes") or b"")
        await self._send(message)

    async def refuse(self, problem: ProblemError) -> None:
        """Answer with a problem, if nothing was answered yet."""
        if self.status:
            return
        if self._scope["type"] == "http" or _DENIAL in self._scope.get("extensions", {}):
            await problem_response(problem)(self._scope, self._receive, self.send)
            return
        self.status, self._scope["state"]["problem"] = problem.answer.status, problem.answer.code
        await self._send({"type": "websocket.close", "code": 1008, "reason": problem.answer.message[:120]})

    def record(self, method: str) -> dict[str, Any]:
        """Return the line of the access log: no text, no key, no address of the query."""
        client = self._scope.get("client")
        return {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": self.id,
            "client": client[0] if client else None,
            "method": method,
            "path": self._scope["path"],
            "status": self.status,
            "bytes": self.sent,
            "seconds": round(time.perf_counter() - self._began, 4),
        }

    async def _receive_in_time(self) -> Message:
        """Wait for a part of the body, by a timer instead of a task: most bodies are there already."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        left = self._config.body_timeout_s + self._came / _SLOWEST_BYTES_S - (time.perf_counter() - self._began)
        late = False

        def expire() -> None:
            nonlocal late
            late = True
            task.cancel()

        timer = loop.call_later(max(0.0, left), expire)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not late:
                raise
            getattr(task, "uncancel", int)()
            message = "The body of the request did not come in time. Fix: send it at once."
            raise ProblemError(408, "body_timeout", message) from None
        finally:
            timer.cancel()
