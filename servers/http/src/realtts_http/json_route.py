"""Endpoints whose body is one JSON object."""

from __future__ import annotations

import asyncio
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from realtts.documents import DocumentError, parse_json
from realtts_http.problems import ProblemError, invalid_body

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request
    from starlette.responses import Response

__all__ = ["JsonRoute", "invalid_fields", "read_body", "read_object"]

BodyT = TypeVar("BodyT", bound=BaseModel)

_FIX = "Fix: send an object of JSON."
_SHORT_BYTES = 100_000
"""Longer bodies are read in a thread: others are spoken to meanwhile."""

_MOST_FIELDS = 100


class JsonRoute(APIRoute):
    """A route of an endpoint ``(body, request, server)``, whose body is read and checked here.

    FastAPI's own way takes longer than a short speech, and lets through what is no JSON: NaN, a key that stands twice.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        endpoint: Callable[..., Coroutine[Any, Any, Response]] = self.endpoint
        kind: type[BaseModel] = typing.get_type_hints(endpoint)["body"]

        async def handle(request: Request) -> Response:
            return await endpoint(await read_body(request, kind), request, request.app.state.server)

        return handle


async def read_body(request: Request, kind: type[BodyT]) -> BodyT:
    """Return the checked body of a request.

    Args:
        request: The request.
        kind: What it is to be.

    Raises:
        ProblemError: It is something else, or does not come.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and not (media_type.startswith("application/") and media_type.endswith(("/json", "+json"))):
        message = f"The body is {media_type!r:.80}. Fix: send JSON with the header Content-Type: application/json."
        raise ProblemError(400, "invalid_content_type", message)
    try:
        content = await request.body()
    except ClientDisconnect:
        raise ProblemError(400, "disconnected", "The client left before its request was complete.") from None
    if not content.strip():
        raise ProblemError(400, "missing_body", f"The request has no body. {_FIX}")
    if len(content) > _SHORT_BYTES:
        return await asyncio.to_thread(_checked_object, content, kind)
    return _checked_object(content, kind)


def _checked_object(content: bytes, kind: type[BodyT]) -> BodyT:
    """Return what bytes of JSON describe.

    Raises:
        ProblemError: It is something else.
    """
    value = read_object(content)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise invalid_fields(error, value) from None


def invalid_fields(error: ValidationError, value: dict[str, Any]) -> ProblemError:
    """Return the answer to an object that has not the form that is wanted."""
    faults = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
    return invalid_body(faults, value)


def read_object(content: bytes | str) -> dict[str, Any]:
    """Return the JSON object that bytes or a text hold.

    Raises:
        ProblemError: They hold none.
    """
    try:
        value = parse_json(content)
    except DocumentError as error:
        raise ProblemError(400, "invalid_json", f"This is no sound JSON: {error}. {_FIX}") from None
    if not isinstance(value, dict):
        raise ProblemError(400, "invalid_value", f"This is JSON, but no object. {_FIX}")
    if len(value) > _MOST_FIELDS:
        message = f"There are {len(value):,} fields; {_MOST_FIELDS} are the most. Fix: see /docs for what there is."
        raise ProblemError(400, "too_many_fields", message)
    return value
