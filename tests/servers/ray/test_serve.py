"""The server on a cluster of two nodes: the same endpoints, whatever becomes of the replicas."""

from __future__ import annotations

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from ray import serve
from ray_provider import DIARY, diary_spec
from websockets.sync.client import connect

from realtts import RealProvider
from realtts_ray import build

pytestmark = pytest.mark.slow  # by hand: a node may need longer to start on a busy machine than Ray waits

ROWS = 8


@pytest.fixture(scope="module")
def url(server):
    """The address of an application with two providers."""
    config = {
        "providers": {
            "diary": {"num_cpus": 0.4, "min_replicas": 2, "max_replicas": 2, "rows": ROWS},
            "espeak": {"num_cpus": 0.2},
        },
        "aliases": {"robot": "espeak"},
        "sticky_voices": True,
    }
    serve.run(build(config, [diary_spec()]), name="speech")
    yield server
    serve.delete("speech")


@pytest.fixture
def client(url):
    """An HTTP client; the proxy closes no connection of its own."""
    with httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_connections=100)) as client:
        yield client


@pytest.fixture
def gate(word):
    """Opens what waits for the test's word."""
    path = Path(f"{os.environ[DIARY]}.{word}.open")
    yield path.touch
    path.touch()


def ask(client, text, **fields):
    """A request; the whole answer."""
    return client.post("/v1/audio/speech", json={"input": text, "response_format": "wav", **fields})


def test_a_lost_replica_loses_only_what_it_had(client, diary, word):
    """Of 200 requests, each is answered, cut off or refused by a typed error, and none is spoken twice.

    One of two replicas is killed meanwhile. What it had is not sent to the other: nobody knows how far it was.
    """
    lost = threading.Event()

    def speak(number):
        try:
            answer = ask(client, f"Text {number}x {word} four five.", seed=number, options={"delay_s": 0.005})
        except httpx.RemoteProtocolError:  # its audio had begun to come: the client sees that it is not complete
            answer = None
        speakers = [process for process, _ in diary.lines(word)]
        if len(speakers) > 60 and not lost.is_set():
            lost.set()
            os.kill(speakers[-1], signal.SIGKILL)
        return answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(speak, range(200)))
    assert lost.is_set()
    refused = [answer for answer in answers if answer is not None and answer.status_code != 200]
    assert {answer.json()["error"]["code"] for answer in refused} <= {"replica_lost", "too_many_requests"}
    assert all("retry-after" in answer.headers for answer in refused)
    spoken = [text for _, text in diary.lines(word)]
    assert len(spoken) == len(set(spoken))
    good = [number for number, answer in enumerate(answers) if answer is not None and answer.status_code == 200]
    assert len(good) >= 160
    assert len({process for process, _ in diary.lines(word)}) >= 2
    with RealProvider(diary_spec()) as alone:
        for number in good[::20]:
            speech = alone.generate(f"Text {number}x {word} four five.", seed=number)
            assert answers[number].headers["x-realtts-seed"] == str(number)
            assert len(answers[number].content) == len(speech.encode("wav"))


def test_a_stream_comes_while_it_is_spoken(client, word, gate):
    """The first audio is there while the model still waits to go on."""
    body = {"input": f"Wait {word} three four.", "response_format": "pcm"}
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        parts = answer.iter_raw()
        first = next(parts)
        gate()
        rest = b"".join(parts)
    assert first
    assert rest


def test_a_stream_that_is_lost_is_not_complete(client, diary, word, gate):
    """The client sees that the rest does not come; it takes no part of a speech for the whole."""
    body = {"input": f"Wait {word} three four.", "response_format": "pcm"}
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        parts = answer.iter_raw()
        next(parts)
        os.kill(diary.lines(word)[0][0], signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError):
            list(parts)


def test_a_lost_stream_of_events_says_so(client, diary, word, gate):
    """Its last event is the error."""
    body = {"input": f"Wait {word} three four.", "response_format": "pcm", "stream_format": "sse"}
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        os.kill(diary.lines(word)[0][0], signal.SIGKILL)
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert (events[-1]["type"], events[-1]["error"]["code"]) == ("speech.audio.error", "replica_lost")


def test_too_many_requests_are_refused(client, diary, word, gate):
    """At once, with the time to try again; those that were taken are answered."""
    refused = threading.Event()

    def speak(number):
        answer = ask(client, f"Wait {word} {number}x.")
        if answer.status_code == 429:
            refused.set()
        return answer

    with ThreadPoolExecutor(60) as pool:
        answers = [pool.submit(speak, number) for number in range(60)]
        assert refused.wait(60)
        gate()
        answers = [answer.result() for answer in answers]
    over = [answer for answer in answers if answer.status_code == 429]
    assert {answer.json()["error"]["code"] for answer in over} == {"too_many_requests"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in over)
    assert {answer.status_code for answer in answers} == {200, 429}


@pytest.mark.parametrize("model", ["espeak", "robot"])
def test_audio_is_that_of_one_machine(client, model):
    """Byte for byte, from the provider that the request names."""
    with RealProvider("espeak") as alone:
        speech = alone.generate("Hello there.", seed=5)
    answer = ask(client, "Hello there.", model=model, seed=5)
    assert answer.headers["x-realtts-model"] == "espeak"
    assert answer.content[44:] == speech.encode("wav")[44:]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"input": ""}, 400, "blank_text"),
        ({"model": "espaek"}, 404, "model_not_found"),
        ({"voice": "nobody-here"}, 400, "voice_not_found"),
        ({"options": {"warmth": 1}}, 400, "unknown_option"),
        ({"speeed": 2}, 400, "unknown_field"),
    ],
)
def test_faults_are_those_of_one_machine(client, fields, status, code):
    """In the form that OpenAI's clients read."""
    answer = client.post("/v1/audio/speech", json={"input": "Hello.", **fields})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_all_providers_are_listed(client):
    """The default one first."""
    models = [entry["id"] for entry in client.get("/v1/models").json()["data"]]
    assert models == ["diary", "espeak", "robot"]
    status = client.get("/v1/status").json()
    assert (status["default"], sorted(status["models"])) == ("diary", ["diary", "espeak"])
    assert client.get("/v1/models/espeak").json()["languages"]
    assert client.get("/v1/audio/voices", params={"model": "espeak"}).json()["voices"]
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/metrics").status_code == 404


def test_a_conversation(url, word):
    """Text in parts over a WebSocket, audio back from a replica."""
    with connect(f"{url.replace('http', 'ws')}/v1/audio/speech/stream", open_timeout=60) as socket:
        for message in (
            {"type": "speech.start", "id": "a"},
            {"type": "speech.text", "id": "a", "text": f"Hello {word} there. "},
            {"type": "speech.text", "id": "a", "text": "And good bye."},
            {"type": "speech.end", "id": "a"},
        ):
            socket.send(json.dumps(message))
        kinds = []
        while not kinds or kinds[-1] not in {"speech.done", "error"}:
            kinds.append(json.loads(socket.recv(60))["type"])
    assert kinds[-1] == "speech.done"
    assert len(kinds) > 2
