"""Speeches that are answered whole: beside their timings, in a batch, as one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from realtts_http.leaving import ClientLeftError, unless_left

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from fastapi import Request

    from realtts import Speech
    from realtts_http.calls import Call
    from realtts_http.server_state import ServerState

__all__ = ["for_client", "speech_of"]

ResultT = TypeVar("ResultT")


async def speech_of(call: Call, server: ServerState) -> Speech:
    """Speak the whole of a call; cancelling the task stops the model within a step."""
    async with server.models.speaking(call.model) as provider:
        speech = await provider.agenerate(call.text, **call.arguments)
    server.metrics.count(call.model.name, speech.duration, speech.metrics)
    return speech


async def for_client(request: Request, server: ServerState, model: str, work: Awaitable[ResultT]) -> ResultT:
    """Return what some work for a client returns; it is cancelled, and counted, when the client goes away.

    Args:
        request: Of the client.
        server: Counts it.
        model: Name of the model that works.
        work: What is done, in this task.

    Raises:
        ClientLeftError: The client went away.
    """
    try:
        return await unless_left(request.receive, work)
    except ClientLeftError:
        server.metrics.aborted.labels(model).inc()
        raise
