"""What the router has to know of a request: its body, the model that it means, and the recording of a voice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.requests import HTTPConnection, Request

from realtts.documents import parse_json
from realtts_http import ServeConfig
from realtts_http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Receive, Scope

__all__ = ["Asked", "read_body", "read_request"]

_MODELS = "/v1/models/"


@dataclass(frozen=True)
class Asked:
    """What a request asks for.

    Attributes:
        path: Below the application's own prefix.
        model: As the client names it; empty: the default one.
        recording: Of the voice to clone, or the name of a voice; empty: none.
    """

    path: str
    model: str = ""
    recording: str = ""


async def read_body(receive: Receive, http: Mapping[str, Any]) -> bytes:
    """Return the whole body of a request.

    Args:
        receive: Of ASGI.
        http: Settings of the HTTP server, which bound size and time.

    Raises:
        ProblemError: It is too large, or does not come.
    """
    limits = ServeConfig(**http)
    most = int(limits.max_body_mb * 2**20)
    body = bytearray()
    while True:
        try:
            message = await asyncio.wait_for(receive(), limits.body_timeout_s)
        except asyncio.TimeoutError:  # on Python 3.10 not the built-in one
            raise ProblemError(408, "body_timeout", "The body of the request did not come.") from None
        if message["type"] != "http.request":
            raise ProblemError(400, "disconnected", "The client left.")
        body += message.get("body", b"")
        if len(body) > most:
            message_text = f"The body is larger than {limits.max_body_mb:g} MiB. Fix: send less."
            raise ProblemError(413, "body_too_large", message_text)
        if not message.get("more_body", False):
            return bytes(body)


async def read_request(scope: Scope, body: bytes) -> Asked:
    """Read what a request asks for. What is wrong with it otherwise is for the replica to say."""
    connection = HTTPConnection(scope)
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))) or "/"
    fields: Mapping[str, Any] = connection.query_params
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if path.startswith(_MODELS):
        fields = {"model": unquote(path.removeprefix(_MODELS))}
    elif kind.startswith("multipart/"):
        fields = {**fields, **await _form(scope, body)}
    elif body:
        fields = {**fields, **_object(body)}
    model, recording = fields.get("model"), fields.get("ref_audio") or fields.get("voice")
    return Asked(path, model if isinstance(model, str) else "", recording if isinstance(recording, str) else "")


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = parse_json(body.decode("utf-8"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


async def _form(scope: Scope, body: bytes) -> Mapping[str, Any]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(scope, receive).form() as form:
            return {name: value for name, value in form.items() if isinstance(value, str)}
    except Exception:  # a form that cannot be read, which the replica's own reader names
        return {}
