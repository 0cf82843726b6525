"""Errors as OpenAI's clients read them: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from realtts.wire.answers import Answer, answer_to, without_paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from realtts.errors import RealTTSError

__all__ = ["ERRORS", "ProblemError", "header_value", "invalid_body", "problem_body", "problem_of", "problem_response"]

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
_CLASS_NAME = re.compile(r" or instance of \w+")
_CODES = {"missing": "missing_field", "extra_forbidden": "unknown_field", "misspelt_field": "unknown_field"}


class _Fault(BaseModel):
    """What is wrong."""

    message: str = Field(description="What is wrong and what can be done.")
    type: str = Field(description="invalid_request_error, authentication_error, rate_limit_error or server_error.")
    param: str | None = Field(description="The field at fault.")
    code: str | None = Field(description="A word for programs.")


class Problem(BaseModel):
    """The answer to a request that failed."""

    error: _Fault


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request is wrong, or too much."},
    "5XX": {"model": Problem, "description": "The model or the server failed."},
}
"""For the description of every endpoint."""


class ProblemError(Exception):
    """An answer that ends a request.

    Args:
        status: Of HTTP.
        code: A word for programs.
        message: What is wrong and what can be done.
        field: The part of the request at fault.
        retry_after_s: When to try again.
    """

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        retry = status in {429, 503}
        self.answer = Answer(status, code, message, field, retry_after_s, retry)

    @classmethod
    def of(cls, answer: Answer) -> ProblemError:
        """Return the error of an answer."""
        error = ProblemError(answer.status, answer.code, answer.message)
        error.answer = answer
        return error


def problem_of(
    error: RealTTSError,
    status: int,
    code: str,
    *,
    field: str | None = None,
    retry_after_s: int | None = None,
    about: str = "",
) -> ProblemError:
    """Return the answer to a typed error of which the endpoint knows more than `answer_to`.

    Args:
        error: What was raised.
        status: Of HTTP.
        code: A word for programs.
        field: The part of the request at fault.
        retry_after_s: When to try again.
        about: What the message begins with.
    """
    what = f"{about}: {error.what}" if about else f"{error.what[:1].upper()}{error.what[1:]}"
    message = without_paths(f"{what}. Fix: {error.fix}.")
    return ProblemError(status, code, message, field=field, retry_after_s=retry_after_s)


class _ProblemResponse(JSONResponse):
    """The answer to a request that failed; the layer before the endpoints counts it by its code."""

    def __init__(self, answer: Answer, headers: dict[str, str]) -> None:
        self.code = answer.code
        super().__init__(problem_body(answer), answer.status, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        scope.setdefault("state", {})["problem"] = self.code
        await super().__call__(scope, receive, send)

    def render(self, content: Any) -> bytes:
        """Return the body."""
        try:
            return super().render(content)
        except UnicodeEncodeError:  # the message repeats what a client sent, half a surrogate pair
            return json.dumps(content, separators=(",", ":")).encode()


def problem_body(answer: Answer) -> dict[str, Any]:
    """Return the JSON of an answer."""
    kind = _TYPES.get(answer.status, "invalid_request_error" if answer.is_callers else "server_error")
    return {"error": {"message": answer.message, "type": kind, "param": answer.field, "code": answer.code}}


def problem_response(error: BaseException) -> JSONResponse:
    """Return the whole answer to an error.

    OpenAI's clients try every 409, 429 and 5xx again by themselves unless a header says whether it is worth it.
    """
    answer = error.answer if isinstance(error, ProblemError) else answer_to(error)
    headers = {"x-should-retry": "true" if answer.retry else "false"}
    if answer.retry_after_s is not None:
        headers["retry-after"] = str(answer.retry_after_s)
    if answer.status == 401:
        headers["www-authenticate"] = "Bearer"
    return _ProblemResponse(answer, headers)


def invalid_body(errors: Sequence[Mapping[str, Any]], body: Any = None) -> ProblemError:
    """Return the answer to a body that does not have its form: the first fault, with the field that has it.

    Args:
        errors: Pydantic's list.
        body: What was sent; it tells fields from the names that pydantic gives to the forms of a field.
    """
    first: Mapping[str, Any] = {"loc": (), "msg": "is not what this endpoint takes"}
    path: list[str] = []
    if errors:
        first, path = _first(errors, body)
    field = ".".join(path) or None
    if first.get("type") == "misspelt_field":
        field = ".".join([*path, str(first["ctx"]["name"])[:80]])
    code = _CODES.get(str(first.get("type")), "invalid_value")
    message = _CLASS_NAME.sub("", str(first["msg"]).rstrip("."))
    if "UploadFile" in message:
        message = "it is no file, which has a filename in its Content-Disposition"
    what = f"{field}: {message[:1].lower()}{message[1:]}" if field else message
    return ProblemError(400, code, f"{what}. Fix: see /docs for what this endpoint takes.", field=field)


def _first(errors: Sequence[Mapping[str, Any]], body: Any) -> tuple[Mapping[str, Any], list[str]]:
    """Return the first fault and its field; of a field that takes several forms, what is wrong inside of one."""
    paths = [_path(error, body) for error in errors]
    inside = [number for number, path in enumerate(paths) if path[: len(paths[0])] == paths[0]]
    number = max(inside, key=lambda number: len(paths[number]))
    return errors[number], paths[number]


def _path(error: Mapping[str, Any], body: Any) -> list[str]:
    """Return the place of a fault without what clients did not write."""
    place = [part for part in error["loc"][:1] if part not in {"body", "query", "path"}] + list(error["loc"][1:])
    if tuple(error["loc"][:1]) != ("body",) or not isinstance(body, (dict, list)):
        return [str(part) for part in place]
    path: list[str] = []
    value: Any = body
    for number, part in enumerate(place, 1):
        missing = number == len(place) and error.get("type") == "missing"
        if (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int)):
            path.append(str(part))
            value = value[part]
        elif missing:
            path.append(str(part))
    return path


def header_value(*values: str) -> str:
    """Return values as a header can carry them, separated by commas: printable ASCII, the rest as question marks."""
    joined = ", ".join(values)
    if joined.isascii() and joined.isprintable():
        return joined.strip()
    return "".join(letter if " " <= letter <= "~" else "?" for letter in joined).strip()
