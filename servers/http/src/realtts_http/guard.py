"""What stands before every endpoint: keys, the Host header, limits, the log."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

from realtts.errors import SettingsError
from realtts_http.problems import ProblemError, problem_response

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from realtts.serving.gate import Gate
    from realtts_http.config import ServeConfig
    from realtts_http.metrics import ServerMetrics

__all__ = ["Guard", "read_keys"]

_OPEN = frozenset({"/health", "/ready"})
_KEY_PROTOCOL = "realtts-key."
_access = logging.getLogger("realtts.http.access")


def read_keys(path: Path | None) -> tuple[bytes, ...]:
    """Return the keys of a file, one a line; lines that begin with ``#`` are comments.

    Raises:
        SettingsError: It cannot be read, or holds no key.
    """
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the API keys cannot be read: {error}", who=str(path), fix="correct the path") from None
    keys = tuple(line.strip().encode() for line in lines if line.strip() and not line.startswith("#"))
    if not keys:
        raise SettingsError("there is no API key in it", who=str(path), fix="write one key a line")
    return keys


class Guard:
    """An ASGI layer that lets good requests through, and answers the others.

    Args:
        app: What is behind it.
        config: Limits and names.
        keys: Accepted API keys; none: everybody comes in.
        gate: Counts requests.
        metrics: Counts answers.
    """

    def __init__(
        self, app: ASGIApp, *, config: ServeConfig, keys: tuple[bytes, ...], gate: Gate, metrics: ServerMetrics
    ) -> None:
        self._app, self._config, self._keys, self._gate, self._metrics = app, config, keys, gate, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send, self._config)
        try:
            self._check(scope)
        except ProblemError as problem:
            await visit.refuse(problem)
            self._note(scope, visit)
            return
        self._gate.enter()
        self._metrics.running.inc()
        try:
            await self._app(scope, visit.receive, visit.send)
        except _TooLargeError as problem:
            await visit.refuse(problem)
        finally:
            self._gate.leave()
            self._metrics.running.dec()
            self._note(scope, visit)

    def _check(self, scope: Scope) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._check_host(headers.get("host", ""))
        path = scope["path"]
        if self._gate.draining and path != "/health":
            raise ProblemError(503, "shutting_down", "The server is being shut down.", retry_after_s=5)
        if path not in _OPEN and not self._is_page(path):
            self._check_key(scope, headers)
        if self._gate.running >= self._config.max_requests and path not in _OPEN:
            message = f"{self._gate.running} requests are being answered, which is the most."
            raise ProblemError(429, "too_many_requests", message, retry_after_s=1)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._config.max_body_mb * 2**20:
            raise _TooLargeError(self._config)

    def _is_page(self, path: str) -> bool:
        return self._config.studio and (path == "/" or path.startswith("/studio/"))

    def _check_host(self, host: str) -> None:
        """Refuse names of other machines: a page of theirs in a browser here would else speak with this server."""
        if self._keys or "*" in self._config.allowed_hosts:
            return
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.strip("[]").lower().rstrip(".")
        if name in {"localhost", self._config.host.lower(), *map(str.lower, self._config.allowed_hosts)}:
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            message = f"The Host header names {name!r:.100}. Fix: allow it with --allowed-host."
            raise ProblemError(403, "host_not_allowed", message) from None

    def _check_key(self, scope: Scope, headers: dict[str, str]) -> None:
        if not self._keys:
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        for protocol in headers.get("sec-websocket-protocol", "").split(",") if scope["type"] == "websocket" else ():
            if protocol.strip().startswith(_KEY_PROTOCOL):  # browsers can send no other header
                given = protocol.strip().removeprefix(_KEY_PROTOCOL)
        # All of them are compared, so that the time tells nothing.
        if not sum(hmac.compare_digest(given.encode(), known) for known in self._keys):
            message = "The API key is wrong." if given else "There is no API key."
            message += " Fix: send it as 'Authorization: Bearer KEY'."
            raise ProblemError(401, "invalid_api_key", message)

    def _note(self, scope: Scope, visit: _Visit) -> None:
        route = scope.get("route")
        endpoint = getattr(route, "path", None) or "other"
        self._metrics.answers.labels(endpoint, str(visit.status), visit.code).inc()
        if self._config.access_log:
            _access.info("%s", json.dumps(visit.record(), separators=(",", ":")))


class _TooLargeError(ProblemError):
    """The body is longer than the limit."""

    def __init__(self, config: ServeConfig) -> None:
        message = f"The body is larger than {config.max_body_mb:g} MiB. Fix: send less."
        super().__init__(413, "body_too_large", message)


class _Visit:
    """One request on its way through: its body is counted, its answer noted."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, config: ServeConfig) -> None:
        self._scope, self._receive, self._send, self._config = scope, receive, send, config
        self._left = int(config.max_body_mb * 2**20)
        self._body_read = False
        self._began = time.perf_counter()
        self.id = secrets.token_hex(8)
        self.status = 0
        self.code = ""
        self.sent = 0
        scope.setdefault("state", {})["arrived"] = self._began

    async def receive(self) -> Message:
        """Hand a part of the body on, unless it is too large or does not come."""
        if self._body_read or self._scope["type"] != "http":
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._config.body_timeout_s)
        except asyncio.TimeoutError:
            return {"type": "http.disconnect"}
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooLargeError(self._config)
        self._body_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Hand a part of the answer on, with the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message["headers"], (b"x-request-id", self.id.encode())]}
        elif message["type"] == "websocket.accept":
            self.status = 101
        self.sent += len(message.get("body", b"") or b"")
        await self._send(message)

    async def refuse(self, problem: ProblemError) -> None:
        """Answer with a problem, if nothing was answered yet."""
        self.code = problem.answer.code
        if self.status:
            return
        if self._scope["type"] == "websocket":
            self.status = problem.answer.status
            await self._send({"type": "websocket.close", "code": 1008, "reason": problem.answer.message[:120]})
            return
        await problem_response(problem)(self._scope, self._receive, self.send)

    def record(self) -> dict[str, Any]:
        """Return the line of the access log: no text, no key, no address of the query."""
        client = self._scope.get("client")
        return {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": self.id,
            "client": client[0] if client else None,
            "method": self._scope.get("method", "WEBSOCKET"),
            "path": self._scope["path"],
            "status": self.status,
            "bytes": self.sent,
            "seconds": round(time.perf_counter() - self._began, 4),
        }
