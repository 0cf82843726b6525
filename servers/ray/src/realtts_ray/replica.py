"""A replica: one provider in a process of its own, behind the endpoints of realtts-http."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ray import serve

from realtts_http import ServeConfig, create_app
from realtts_ray.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ray.actor import ActorHandle
    from starlette.types import Message

    from realtts import ProviderSpec

__all__ = ["SpeechReplica"]

_MOST = 100_000
"""Requests at a time: Serve counts them already."""

_VOICES = 64
"""Cloned voices that Serve remembers of each replica."""


class SpeechReplica:
    """Speaks with one provider.

    It is ready when the model is loaded, and is replaced when no rung of the ladder works any more.

    Args:
        provider: Name of the provider.
        model: Checkpoint name, hub id or folder; None: the provider's own.
        settings: Further settings of the provider.
        http: Settings of the HTTP server.
        spec: The provider, where it is not installed by that name.

    Raises:
        RealTTSError: The provider cannot be loaded.
    """

    def __init__(
        self,
        provider: str,
        model: str | None,
        settings: Mapping[str, Any],
        http: Mapping[str, Any],
        spec: ProviderSpec | None = None,
    ) -> None:
        models = {provider: model} if model else {}
        config = ServeConfig(**http, providers=(provider,), models=models, max_requests=_MOST)
        self._app = create_app(config, (spec,) if spec is not None else (), **settings)
        self._models = self._app.state.server.models
        for served in self._models.all:
            served.provider.load()

    async def answer(self, scope: dict[str, Any], body: bytes) -> AsyncIterator[Message]:
        """Answer an HTTP request.

        Args:
            scope: Its ASGI scope, as far as it can be sent.
            body: Its whole body.

        Yields:
            The messages of the answer, as ASGI has them, each as soon as it is there.
        """
        if voice := serve.get_multiplexed_model_id():
            await _note_voice(voice)
        async for message in exchange(self._app, scope, _Whole(body)):
            yield message

    async def converse(self, scope: dict[str, Any], inbox: ActorHandle, key: str) -> AsyncIterator[Message]:
        """Take part in the conversation of a WebSocket.

        Args:
            scope: Its ASGI scope, as far as it can be sent.
            inbox: Where what the client sends is fetched.
            key: Names the conversation there.

        Yields:
            The messages to the client, as ASGI has them.
        """

        async def receive() -> Message:
            message: Message = await inbox.take.remote(key)
            return message

        async for message in exchange(self._app, scope, receive):
            yield message

    async def check_health(self) -> None:
        """Tell Serve whether the replica can speak.

        Raises:
            RuntimeError: No rung of the ladder works; a new replica may have more luck.
        """
        for served in self._models.all:
            state = served.provider.get_provider_status()["state"]
            if state in {"failed", "closed"}:
                message = f"the provider {served.name!r} is {state}"
                raise RuntimeError(message)

    async def __del__(self) -> None:
        """Free the model when the replica is stopped."""
        models = getattr(self, "_models", None)  # None: the constructor failed
        if models is not None:
            await asyncio.to_thread(models.close)


async def _hold(voice: str) -> str:
    return voice  # the provider keeps what it learned of a voice by itself


_note_voice = serve.multiplexed(_hold, max_num_models_per_replica=_VOICES)
"""Lets Serve know that this replica has had a voice, so that further requests with it come here."""


class _Whole:
    """The receiving side of a request whose body is there."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def __call__(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            await asyncio.Event().wait()  # until the answer is complete: Serve cancels it when the client leaves
        return {"type": "http.request", "body": body, "more_body": False}
