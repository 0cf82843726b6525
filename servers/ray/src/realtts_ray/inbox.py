"""What clients send over WebSockets, on its way from the router that has the connection to the replica that speaks."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ray.actor import ActorHandle
    from starlette.types import Message, Receive

__all__ = ["Inbox"]

_MOST_CALLS = 10_000
_LEFT: dict[str, Any] = {"type": "websocket.disconnect", "code": 1001}


class _Letters:
    """An actor that keeps messages until they are fetched, in the order in which they came."""

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[Message]] = {}

    async def put(self, key: str, message: Message) -> None:
        """Keep a message of a conversation."""
        self._queues.setdefault(key, asyncio.Queue()).put_nowait(message)

    async def take(self, key: str) -> Message:
        """Return the next message of a conversation, as soon as there is one."""
        return await self._queues.setdefault(key, asyncio.Queue()).get()

    async def forget(self, key: str) -> None:
        """Drop a conversation; who still waits for a message is told that the client left."""
        queue = self._queues.pop(key, None)
        if queue is not None:
            queue.put_nowait(_LEFT)


class Inbox:
    """The messages of a router's WebSockets. Its actor is started with the first of them."""

    def __init__(self) -> None:
        self._actor: ActorHandle | None = None

    @contextlib.asynccontextmanager
    async def open(self, receive: Receive) -> AsyncIterator[tuple[ActorHandle, str]]:
        """Begin a conversation.

        Args:
            receive: Returns what the client sends.

        Yields:
            The actor that has the messages, and the conversation's key there.
        """
        if self._actor is None:
            actor = ray.remote(num_cpus=0, max_concurrency=_MOST_CALLS, max_restarts=-1)(_Letters)
            self._actor = actor.remote()
        inbox, key = self._actor, secrets.token_hex(16)
        task = asyncio.create_task(_pass_on(receive, inbox, key))
        try:
            yield inbox, key
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await inbox.forget.remote(key)


async def _pass_on(receive: Receive, inbox: ActorHandle, key: str) -> None:
    """Hand on what a client sends, until it leaves."""
    while True:
        message = await receive()
        await inbox.put.remote(key, dict(message))
        if message["type"] == "websocket.disconnect":
            return
