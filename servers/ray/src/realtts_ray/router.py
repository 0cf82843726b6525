"""The router: takes every request, finds the provider that it means, and hands the answer on as it comes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from realtts.errors import closest, enumeration
from realtts_http.config import OPENAI_MODELS
from realtts_http.problems import ProblemError, problem_body, problem_response
from realtts_ray.config import ClusterConfig
from realtts_ray.exchange import plain_scope
from realtts_ray.inbox import Inbox
from realtts_ray.losses import problem_of
from realtts_ray.requests import Asked, read_body, read_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ray.serve.handle import DeploymentHandle
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Router"]

_LISTS = {"/v1/models": "data", "/v1/audio/models": "models", "/v1/status": "models"}
"""Paths whose answer is put together from all providers, with the field that holds what each says."""


class Router:
    """Hands requests to the replicas of the providers.

    A request is never sent to a second replica once one may have begun with it: a client whose replica is lost gets an
    answer that says so, and decides itself.

    Args:
        replicas: Handles of the providers' deployments, by name.
        config: Fields of `ClusterConfig`.
    """

    def __init__(self, replicas: Mapping[str, DeploymentHandle], config: Mapping[str, Any]) -> None:
        self._config = ClusterConfig(**config)
        self._replicas = {name: handle.options(stream=True) for name, handle in replicas.items()}
        self._names = dict.fromkeys(OPENAI_MODELS, self._config.default) | self._config.aliases
        self._inbox = Inbox()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the application that Serve gives the requests to."""
        return _Application(self)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request."""
        sender = _Sender(send)
        try:
            body = await read_body(receive, self._config.http)
            asked = await read_request(scope, body)
            if asked.path == "/health":
                await sender.send_json({"status": "ok"})
            elif asked.path == "/metrics":
                raise ProblemError(404, "not_found", "A cluster's counters are Ray's. Fix: read Ray's metrics.")
            elif asked.path in _LISTS and len(self._replicas) > 1:
                await self._answer_for_all(scope, asked.path, sender)
            else:
                name = self._find(asked.model)
                async for message in self._messages(name, scope, body, self._voice_id(asked)):
                    await sender(message)
        except Exception as error:
            problem = problem_of(error)
            if sender.has_events:
                await sender.end_events({"type": "speech.audio.error", **problem_body(problem.answer)})
            elif sender.begun:  # the client sees that it is not complete
                raise
            else:
                await problem_response(problem)(scope, receive, send)

    async def converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the messages of a WebSocket back and forth between its client and a replica."""
        try:
            asked = await read_request(scope, b"")
            handle = self._replicas[self._find(asked.model)]
            async with self._inbox.open(receive) as (inbox, key):
                messages = handle.converse.remote(plain_scope(scope), inbox, key)
                async for message in _ended(messages):
                    await send(message)
        except Exception as error:
            answer = problem_of(error).answer
            await send({"type": "websocket.close", "code": 1013, "reason": answer.message[:120]})

    def _find(self, name: str) -> str:
        """Return the provider that a request means.

        Raises:
            ProblemError: There is none.
        """
        name = name.strip()
        provider = self._names.get(name, name) if name else self._config.default
        if provider not in self._replicas:
            near = closest(name, [*self._replicas, *self._config.aliases])
            message = f"There is no model {name!r:.100}{near}. Fix: choose from {enumeration(self._replicas)}."
            raise ProblemError(404, "model_not_found", message, field="model")
        return provider

    def _voice_id(self, asked: Asked) -> str:
        """Return what stands for a cloned voice; empty where any replica is as good."""
        if not (self._config.sticky_voices and asked.recording):
            return ""
        return hashlib.sha256(asked.recording.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _messages(self, name: str, scope: Scope, body: bytes, voice_id: str = "") -> AsyncIterator[Message]:
        """Return the answer of a provider's replica to a request."""
        handle = self._replicas[name]
        if voice_id:
            handle = handle.options(multiplexed_model_id=voice_id)
        return _ended(handle.answer.remote(plain_scope(scope), body))

    async def _answer_for_all(self, scope: Scope, path: str, sender: _Sender) -> None:
        """Ask one replica of each provider, and put the answers together; the first error is the answer."""
        merged: dict[str, Any] = {}
        for name in self._replicas:
            messages = [message async for message in self._messages(name, scope, b"")]
            if messages[0]["status"] != 200:
                for message in messages:
                    await sender(message)
                return
            answer = json.loads(b"".join(message.get("body", b"") for message in messages))
            part = answer[_LISTS[path]]
            whole = merged.setdefault(_LISTS[path], type(part)())
            whole.update(part) if isinstance(part, dict) else whole.extend(part)
            merged = {**answer, **merged}
        if "default" in merged:
            merged["default"] = self._config.default
        await sender.send_json(merged)


class _Application:
    """The router as an ASGI application; Serve takes no bound method for one, and no `__call__` of a deployment."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await self._router.converse(scope, receive, send)
        else:
            await self._router.answer(scope, receive, send)


class _Sender:
    """The way to the client.

    Attributes:
        begun: Whether anything was sent.
        has_events: Whether what was sent is a stream of events, which can say how it ends.
    """

    def __init__(self, send: Send) -> None:
        self.begun = self.has_events = False
        self._send = send

    async def __call__(self, message: Message) -> None:
        self.begun = True
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            self.has_events = headers.get(b"content-type", b"").startswith(b"text/event-stream")
        await self._send(message)

    async def end_events(self, event: dict[str, Any]) -> None:
        await self({"type": "http.response.body", "body": f"data: {json.dumps(event)}\n\n".encode()})

    async def send_json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self({"type": "http.response.start", "status": 200, "headers": headers})
        await self({"type": "http.response.body", "body": body})


async def _ended(messages: Any) -> AsyncIterator[Message]:
    """Yield the messages of a replica; it stops speaking when nobody reads on."""
    complete = False
    try:
        async for message in messages:
            yield message
        complete = True
    finally:
        if not complete:
            messages.cancel()


async def _live(receive: Receive, send: Send) -> None:
    """Say that the application has begun, and that it has ended, when Serve asks."""
    for phase in ("startup", "shutdown"):
        while (await receive())["type"] != f"lifespan.{phase}":
            pass
        await send({"type": f"lifespan.{phase}.complete"})
