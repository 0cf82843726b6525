"""What stands before every endpoint: who may come in, limits, the log."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from realtts.wire.answers import answer_to
from realtts_http.access import AccessRules, headers_of
from realtts_http.problems import ProblemError
from realtts_http.speech import log_fault
from realtts_http.visit import TooLargeError, Visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from realtts.serving.gate import Gate
    from realtts_http.config import ServeConfig
    from realtts_http.metrics import ServerMetrics

__all__ = ["Guard"]

_OPEN = frozenset({"/health", "/ready"})
_WHILE_DRAINING = _OPEN | {"/metrics", "/v1/status"}
_LONGEST_LENGTH = 20
_access = logging.getLogger("realtts.http.access")


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
        self._app, self._config, self._gate, self._metrics = app, config, gate, metrics
        self._rules = AccessRules(config, keys)
        self._most_bytes = config.max_body_mb * 2**20

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        method = scope.get("method", "WEBSOCKET")
        if method == "HEAD":  # answered as GET; who speaks HTTP leaves the body out
            scope = {**scope, "method": "GET"}
        visit = Visit(scope, receive, send, self._config)
        try:
            self._check(scope)
        except ProblemError as problem:
            await visit.refuse(problem)
            self._note(scope, visit, method)
            return
        self._gate.enter()
        self._metrics.running.inc()
        try:
            await self._app(scope, visit.receive, visit.send)
        except Exception as error:  # a fault of the server's own
            if visit.status:
                raise
            log_fault(error)
            await visit.refuse(ProblemError.of(answer_to(error)))
        finally:
            self._gate.leave()
            self._metrics.running.dec()
            self._note(scope, visit, method)

    def _check(self, scope: Scope) -> None:
        headers, path = headers_of(scope), scope["path"]
        self._rules.check_host(headers)
        if self._gate.draining and path not in _WHILE_DRAINING:
            raise ProblemError(503, "shutting_down", "The server is being shut down.", retry_after_s=5)
        if path not in _OPEN and not self._is_page(path):
            self._rules.check_key(scope, headers)
        self._rules.check_origin(scope, headers)
        if self._gate.running >= self._config.max_requests and path not in _OPEN:
            message = f"{self._gate.running} requests are being answered, which is the most."
            raise ProblemError(429, "too_many_requests", message, retry_after_s=1)
        self._check_body(headers)

    def _check_body(self, headers: Mapping[bytes, bytes]) -> None:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and (len(length) > _LONGEST_LENGTH or int(length) > self._most_bytes):
            raise TooLargeError(self._config)
        coding = headers.get(b"content-encoding", b"").strip().lower()
        if coding not in {b"", b"identity"}:
            message = "The body is compressed. Fix: send it as it is, without Content-Encoding."
            raise ProblemError(415, "unsupported_encoding", message)

    def _is_page(self, path: str) -> bool:
        return self._config.studio and (path == "/" or path.startswith("/studio/"))

    def _note(self, scope: Scope, visit: Visit, method: str) -> None:
        route = scope.get("route")
        endpoint = getattr(route, "path", None) or "other"
        self._metrics.answers.labels(endpoint, str(visit.status), visit.code).inc()
        if self._config.access_log:
            _access.info("%s", json.dumps(visit.record(method), separators=(",", ":")))
