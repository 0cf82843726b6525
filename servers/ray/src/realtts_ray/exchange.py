"""An ASGI application called from afar: what of a scope can be sent, and its answer as a stream of messages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope

__all__ = ["exchange", "plain_scope"]

_log = logging.getLogger("realtts.ray")

_SENT = (
    *("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path"),
    *("headers", "client", "server", "subprotocols"),
)
_AHEAD = 16
"""Messages that wait for the reader."""


def plain_scope(scope: Scope) -> dict[str, Any]:
    """Return the part of a scope that does not belong to the process that has the connection."""
    return {name: scope[name] for name in _SENT if name in scope}


async def exchange(app: ASGIApp, scope: dict[str, Any], receive: Receive) -> AsyncIterator[Message]:
    """Call an application and yield its messages.

    Args:
        app: What answers. It is cancelled when the reader ends the iteration.
        scope: See `plain_scope`.
        receive: Returns what the client sends.

    Raises:
        Exception: What the application raised before its answer was complete.
    """
    messages: asyncio.Queue[Message | Exception | None] = asyncio.Queue(_AHEAD)

    async def answer() -> None:
        try:
            await app(scope, receive, messages.put)
        except Exception as error:
            await messages.put(error)
        else:
            await messages.put(None)

    task = asyncio.create_task(answer())
    complete = False
    try:
        while (message := await messages.get()) is not None:
            if isinstance(message, Exception):
                if not complete:
                    raise message
                _log.error("an error behind a complete answer", exc_info=message)
                return
            complete = _is_last(message)
            yield message
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _is_last(message: Message) -> bool:
    kind = message["type"]
    return kind == "websocket.close" or (kind == "http.response.body" and not message.get("more_body", False))
