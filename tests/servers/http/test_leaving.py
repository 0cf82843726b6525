"""Clients that go away or dawdle, and the end of the server in each phase."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading

import httpx
import pytest
from running_server import Running
from waiting import until

from realtts.testing import fake_spec
from realtts_http import ServeConfig, create_app, serving, speech
from realtts_http.serving import DrainingServer

SLOW = {"model": "fake", "voice": "low", "options": {"delay_s": 0.05}}
TEXT = "word " * 400
GOOD = {"model": "fake", "input": "alpha beta", "response_format": "pcm"}


def post(port, path, body, *, length=None):
    """A connection on which a request was sent."""
    content = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {length or len(content)}\r\n\r\n".encode() + content)
    return connection


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tts", {"gen_text": TEXT, "delay_s": 0.05}),
        ("/v1/audio/speech", {**SLOW, "input": TEXT, "timestamps": "json"}),
        ("/v1/audio/speech", {**SLOW, "input": TEXT, "timestamps": "srt", "response_format": "mp3"}),
        ("/v1/audio/speech", {**SLOW, "input": TEXT, "response_format": "flac"}),
        ("/v1/audio/speech", {**SLOW, "input": TEXT, "stream_format": "sse"}),
        ("/v1/audio/speech/batch", {**SLOW, "inputs": [TEXT] * 5}),
    ],
)
def test_a_client_that_leaves_stops_the_model(serve, path, body):
    """Whatever it has asked for, and it is counted."""
    running = serve()
    model = running.state.models.find("fake")
    with post(running.port, path, body):
        until(lambda: model.provider.get_provider_status()["queue"]["running"] >= 1)
    until(lambda: model.users == 0 and model.provider.get_provider_status()["queue"]["running"] == 0)
    until(lambda: 'realtts_streams_aborted_total{model="fake"} 1.0' in httpx.get(f"{running.url}/metrics").text)


def test_whole_answers_are_counted(client):
    """As streams are; and failures by their code."""
    client.post("/tts", json={"gen_text": "alpha beta"})
    client.post("/v1/audio/speech", json={**GOOD, "timestamps": "json"})
    client.post("/v1/audio/speech/batch", json={"inputs": ["alpha", "beta"]})
    client.post("/v1/audio/speech", json={**GOOD, "voice": "nobody"})
    client.get("/v1/nothing")
    text = client.get("/metrics").text
    assert 'realtts_audio_seconds_total{model="fake"} 0.6' in text
    assert 'realtts_requests_total{code="voice_not_found",endpoint="/v1/audio/speech",status="400"} 1.0' in text
    assert 'realtts_requests_total{code="not_found",endpoint="other",status="404"} 1.0' in text


def test_a_fault_of_the_server_itself(client, monkeypatch):
    """Is answered in general words, and counted as any other."""

    def broken():
        raise RuntimeError("/root/secret")

    monkeypatch.setattr(client.app.state.server.models.all[0].provider, "get_provider_status", broken)
    answer = client.get("/v1/status")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"]
    monkeypatch.undo()
    text = client.get("/metrics").text
    assert 'realtts_requests_total{code="internal_error",endpoint="/v1/status",status="500"} 1.0' in text


def test_a_body_that_drips(serve):
    """Byte by byte, each in time: 408 all the same, and the next request is answered."""
    running = serve(body_timeout_s=0.4)
    with post(running.port, "/v1/audio/speech", {}, length=9999) as slow:
        slow.settimeout(0.02)
        answer = b""
        while not answer:
            slow.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(1000)
        slow.settimeout(10)
        while b"\r\n\r\n{" not in answer:  # the head comes alone, sometimes
            answer += slow.recv(1000)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer
    assert httpx.post(f"{running.url}/v1/audio/speech", json=GOOD).status_code == 200


@pytest.mark.parametrize(
    "parts", [[b"{"], [b'{"inp', b'ut": "alpha"', b"}"], [b" "] * 50 + [json.dumps(GOOD).encode()]]
)
def test_bodies_in_parts(serve, parts):
    """Chunked, of any length each."""
    answer = httpx.post(
        f"{serve().url}/v1/audio/speech", content=iter(parts), headers={"content-type": "application/json"}
    )
    assert answer.status_code == (400 if parts == [b"{"] else 200)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n",
        b"POST /tts HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /tts HTTP/1.1\r\nhost: localhost\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http(serve, request_bytes):
    """Is refused, and harms nobody."""
    running = serve()
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as odd, contextlib.suppress(ConnectionError):
        odd.sendall(request_bytes)
        assert odd.recv(100).split(b" ")[1][:1] == b"4"
    assert httpx.get(f"{running.url}/health").status_code == 200


def test_expected_and_pipelined_requests(serve):
    """A client that waits for 100 gets it; requests behind each other are answered in order."""
    running = serve()
    content = json.dumps(GOOD).encode()
    head = (
        b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as polite:
        polite.sendall(head % len(content) + b"expect: 100-continue\r\n\r\n")
        assert polite.recv(100).startswith(b"HTTP/1.1 100")
        polite.sendall(content + b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        received = b""
        while part := polite.recv(65536):
            received += part
    assert received.count(b"HTTP/1.1 200") == 2
    assert received.endswith(b'{"status":"ok"}')
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as large:
        large.sendall(head % 10**10 + b"expect: 100-continue\r\n\r\n")
        assert large.recv(100).startswith(b"HTTP/1.1 413")


def test_events_have_a_heartbeat(client, monkeypatch):
    """A comment whenever nothing else came for a while, which harms no reader."""
    monkeypatch.setattr(speech, "HEARTBEAT_S", 0.02)
    body = {**SLOW, "input": "alpha beta gamma", "stream_format": "sse", "options": {"delay_s": 0.1}}
    answer = client.post("/v1/audio/speech", json={**body, "response_format": "pcm", "seed": 1})
    parts = answer.text.split("\n\n")
    assert ": still speaking" in parts
    events = [json.loads(part[6:]) for part in parts if part.startswith("data: ")]
    assert events[-1]["type"] == "speech.audio.done"
    assert len([part for part in parts if part]) == len(events) + parts.count(": still speaking")


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def start():
    """Starts servers that end as those of `realtts serve` do, and stops them."""
    started = []

    def start(*specs, **fields):
        app = create_app(ServeConfig(access_log=False, **fields), specs or (fake_spec(),))
        running = Running(app, lambda config: DrainingServer(config, app.state.server))
        started.append(running)
        return running

    yield start
    for each in started:
        each.stop()


def terminate(running):
    """What a signal does."""
    running.loop.call_soon_threadsafe(running.server.handle_exit, signal.SIGTERM, None)


def ends(running):
    """Wait for the end of the server."""
    running.thread.join(20)
    return not running.thread.is_alive()


def test_an_idle_server_ends(start):
    """With connections that are kept open, half of a request, and a WebSocket on which nothing is said."""
    from websockets.sync.client import connect

    running = start()
    with (
        httpx.Client() as kept,
        socket.create_connection(("127.0.0.1", running.port)) as half,
        connect(f"ws://127.0.0.1:{running.port}/v1/audio/speech/stream") as silent,
    ):
        assert kept.get(f"{running.url}/health").status_code == 200
        half.sendall(b"GET /health HT")
        terminate(running)
        assert ends(running)
        with contextlib.suppress(Exception):
            silent.recv(timeout=5)
        assert silent.close_code == 1001


def test_what_was_begun_is_answered(start):
    """While new requests are told to come back; health, metrics and status are answered still."""
    running = start()
    answers = []
    body = {**SLOW, "input": "word " * 12, "response_format": "pcm"}
    begun = threading.Thread(target=lambda: answers.append(httpx.post(f"{running.url}/v1/audio/speech", json=body)))
    begun.start()
    until(lambda: running.state.gate.running == 1)
    running.loop.call_soon_threadsafe(running.state.gate.enter)  # so that it does not end in the middle of this
    terminate(running)
    until(lambda: running.state.gate.draining)
    refused = httpx.post(f"{running.url}/v1/audio/speech", json=GOOD)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
    assert refused.headers["x-should-retry"] == "true"
    for path, status in {"/health": 200, "/metrics": 200, "/v1/status": 200, "/ready": 503}.items():
        assert httpx.get(f"{running.url}{path}").status_code == status
    begun.join(20)
    running.loop.call_soon_threadsafe(running.state.gate.leave)
    assert ends(running)
    assert (answers[0].status_code, len(answers[0].content)) == (200, 12 * 2400 * 2)


@pytest.mark.full
@pytest.mark.parametrize("phase", ["speaking", "uploading", "unread", "loading"])
def test_the_end_is_bounded(start, phase):
    """Whatever a client or a model does: what is not done in time is cut off."""
    spec = fake_spec()
    running = start(spec, drain_s=0.2)
    if phase == "uploading":
        busy = post(running.port, "/v1/audio/speech", {}, length=999)
    elif phase == "unread":
        busy = post(running.port, "/v1/audio/speech", {**GOOD, "input": "word " * 2000})
    else:
        busy = post(running.port, "/v1/audio/speech", {**SLOW, "input": TEXT, "options": {"delay_s": 0.1}})
    with busy:
        until(lambda: running.state.gate.running == 1)
        terminate(running)
        assert ends(running)


@pytest.mark.full
def test_a_second_signal_ends_at_once(start):
    """It waits for nobody."""
    running = start(drain_s=600)
    with post(running.port, "/v1/audio/speech", {**SLOW, "input": TEXT}):
        until(lambda: running.state.gate.running == 1)
        terminate(running)
        until(lambda: running.state.gate.draining)
        terminate(running)
        assert ends(running)


@pytest.mark.full
def test_connections_without_a_request_end(start, monkeypatch):
    """Those that say nothing, and those that stop in the head."""
    monkeypatch.setattr(serving, "_SLOWEST_HEAD_S", 0.0)
    running = start()
    place = ("127.0.0.1", running.port)
    with socket.create_connection(place, timeout=20) as silent, socket.create_connection(place, timeout=20) as half:
        half.sendall(b"GET /health HT")
        assert (silent.recv(100), half.recv(100)) == (b"", b"")
    assert httpx.get(f"{running.url}/health").status_code == 200
