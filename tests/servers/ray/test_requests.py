"""What the router reads of a request, and how answers of an application come through."""

from __future__ import annotations

import asyncio
import json

import pytest
from ray.serve.exceptions import BackPressureError, ReplicaUnavailableError

from realtts.errors import Busy, VoiceNotFound
from realtts_http.problems import ProblemError
from realtts_ray.exchange import exchange, plain_scope
from realtts_ray.losses import problem_of
from realtts_ray.requests import read_body, read_request


def scope(path, *, query=b"", kind="application/json", root=""):
    """An ASGI scope with something that cannot be sent."""
    headers = [(b"content-type", kind.encode())]
    return {
        "type": "http",
        "method": "POST",
        "path": root + path,
        "root_path": root,
        "query_string": query,
        "headers": headers,
        "app": object(),
    }


FORM = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nqwen3\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("request_scope", "body", "model"),
    [
        (scope("/v1/audio/speech"), b'{"model": "qwen3", "input": "x"}', "qwen3"),
        (scope("/v1/audio/speech", root="/speech"), b'{"model": "qwen3"}', "qwen3"),
        (scope("/v1/audio/speech"), b'{"input": "x"}', ""),
        (scope("/v1/audio/speech"), b'{"model": 5}', ""),
        (scope("/v1/audio/speech"), b"{oops", ""),
        (scope("/v1/audio/speech"), b"\xff\xfe", ""),
        (scope("/v1/audio/speech"), b"[1]", ""),
        (scope("/v1/audio/voices", query=b"model=qwen3"), b"", "qwen3"),
        (scope("/v1/audio/voices", kind="multipart/form-data; boundary=b"), FORM, "qwen3"),
        (scope("/v1/audio/voices", kind="multipart/form-data"), b"no form", ""),
        (scope("/v1/models/a%20b"), b"", "a b"),
        (scope("/v1/models/qwen3", root="/speech"), b"", "qwen3"),
    ],
)
def test_the_model_that_a_request_means(request_scope, body, model):
    """Wherever it stands; what cannot be read is left to the provider's own endpoints."""
    assert asyncio.run(read_request(request_scope, body)).model == model


@pytest.mark.parametrize(
    ("fields", "recording"),
    [
        ({"voice": "anna"}, "anna"),
        ({"ref_audio": "QUJD", "voice": "anna"}, "QUJD"),
        ({"voice": {"id": 1}}, ""),
        ({}, ""),
    ],
)
def test_the_voice_of_a_request(fields, recording):
    """A recording rather than a name."""
    read = read_request(scope("/v1/audio/speech"), json.dumps(fields).encode())
    assert asyncio.run(read).recording == recording


def receiver(*messages):
    """Receives these."""
    left = list(messages)

    async def receive():
        return left.pop(0)

    return receive


def part(body, more):
    """A part of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_read_whole():
    """However it is cut."""
    receive = receiver(part(b"ab", True), part(b"", True), part(b"cd", False))
    assert asyncio.run(read_body(receive, {})) == b"abcd"


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([part(b"x" * 2000, False)], "body_too_large"),
        ([part(b"x" * 600, True), part(b"x" * 600, True)], "body_too_large"),
        ([part(b"x", True), {"type": "http.disconnect"}], "disconnected"),
    ],
)
def test_a_body_that_is_none(messages, code):
    """It is not read on, and the answer says why."""
    with pytest.raises(ProblemError) as caught:
        asyncio.run(read_body(receiver(*messages), {"max_body_mb": 0.001}))
    assert caught.value.answer.code == code


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BackPressureError(9, 9), 429, "too_many_requests"),
        (BackPressureError(9, 9, retry_after_s=2.5), 429, "too_many_requests"),
        (ReplicaUnavailableError("r"), 503, "replica_lost"),
        (Busy("full", who="x", fix="wait"), 429, "busy"),
        (VoiceNotFound("no voice", who="x", fix="look"), 400, "voice_not_found"),
        (ProblemError(404, "model_not_found", "none"), 404, "model_not_found"),
        (ZeroDivisionError("secret"), 500, "internal_error"),
    ],
)
def test_every_loss_is_a_typed_answer(error, status, code):
    """What may be tried again says when."""
    answer = problem_of(error).answer
    assert (answer.status, answer.code) == (status, code)
    assert (answer.retry_after_s is not None) == (status in {429, 503})
    assert "secret" not in answer.message


def test_only_plain_values_of_a_scope_are_sent():
    """Not the application that has the connection."""
    assert "app" not in plain_scope(scope("/x"))
    assert plain_scope(scope("/x"))["path"] == "/x"


def start(status=200):
    """The begin of an answer."""
    return {"type": "http.response.start", "status": status, "headers": []}


def body(content, more=False):
    """A part of an answer's body."""
    return {"type": "http.response.body", "body": content, "more_body": more}


def test_messages_come_one_by_one():
    """The second is made only when the first was taken, but for a few ahead."""
    made = []

    async def app(scope, receive, send):
        await send(start())
        for number in range(100):
            made.append(number)
            await send(body(b"x", more=number < 99))

    async def read():
        answer = exchange(app, {}, receiver())
        assert (await anext(answer))["status"] == 200
        await asyncio.sleep(0)
        ahead = len(made)
        rest = [message async for message in answer]
        return ahead, len(rest)

    ahead, rest = asyncio.run(read())
    assert ahead < 30
    assert rest == 100


def test_an_application_that_fails():
    """Its error comes to the reader, unless the answer was complete."""

    async def early(scope, receive, send):
        await send(start())
        raise KeyError("early")

    async def late(scope, receive, send):
        await send(start(500))
        await send(body(b"error"))
        raise KeyError("late")

    async def read(app):
        return [message async for message in exchange(app, {}, receiver())]

    with pytest.raises(KeyError, match="early"):
        asyncio.run(read(early))
    assert len(asyncio.run(read(late))) == 2


def test_an_application_whose_reader_leaves():
    """It is cancelled."""
    ended = []

    async def app(scope, receive, send):
        try:
            await send(start())
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def read():
        answer = exchange(app, {}, receiver())
        await anext(answer)
        await answer.aclose()

    asyncio.run(read())
    assert ended == [True]
