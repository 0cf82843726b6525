"""The WebSocket on which text comes while it is written."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect
from waiting import until

from realtts import RealProvider
from realtts.testing import fake_spec

PATH = "ws://127.0.0.1/v1/audio/speech/stream"
START = {"type": "speech.start", "id": "a", "model": "fake", "voice": "low", "seed": 1}


def say(socket, *parts, flush_after=None, name="a", **fields):
    """Send a text in parts."""
    socket.send_json({**START, "id": name, **fields})
    for index, part in enumerate(parts):
        socket.send_json({"type": "speech.text", "id": name, "text": part})
        if index == flush_after:
            socket.send_json({"type": "speech.flush", "id": name})
    socket.send_json({"type": "speech.end", "id": name})


def until_end(socket, name="a"):
    """All messages up to the end of an utterance."""
    messages = []
    while not messages or messages[-1]["type"] not in {"speech.done", "speech.cancelled", "error"}:
        message = socket.receive_json()
        if message["id"] in {name, None}:
            messages.append(message)
    return messages


def audio_of(messages):
    """The samples of the deltas."""
    data = b"".join(base64.b64decode(each["audio"]) for each in messages if each["type"] == "speech.audio.delta")
    return np.frombuffer(data, "<i2")


def test_tokens_are_spoken_as_the_whole(client):
    """The same audio as the sentences in Python; timings point into all the text that was sent."""
    tokens = ["Al", "pha be", "ta. Ga", "mma delta. ", "Epsi", "lon"]
    with client.websocket_connect(PATH) as socket:
        say(socket, *tokens)
        messages = until_end(socket)
    assert messages[0]["type"] == "speech.started"
    assert (messages[0]["seed"], messages[0]["sample_rate"]) == (1, 24_000)
    assert messages[-1]["usage"]["input_tokens"] == len("".join(tokens))
    with RealProvider(fake_spec()) as tts:
        seconds = sum(chunk.duration for chunk in tts.stream(iter(tokens), voice="low", seed=1))
    assert len(audio_of(messages)) / 24_000 == pytest.approx(seconds, rel=0.01)
    words = [mark["text"] for each in messages for mark in each.get("timestamps", ())]
    assert words == "".join(tokens).split()
    spans = [mark["span"] for each in messages for mark in each.get("timestamps", ())]
    assert ["".join(tokens)[slice(*span)] for span in spans] == words


def test_a_sentence_is_heard_before_the_next_is_written(client):
    """It does not wait for the end of the text."""
    with client.websocket_connect(PATH) as socket:
        socket.send_json(START)
        socket.send_json({"type": "speech.text", "id": "a", "text": "Alpha beta. Gamma delta "})
        messages = [socket.receive_json() for _ in range(3)]
        assert [each["type"] for each in messages[:2]] == ["speech.started", "speech.audio.delta"]
        socket.send_json({"type": "speech.end", "id": "a"})
        assert until_end(socket)[-1]["type"] == "speech.done"


def test_a_flush_speaks_half_a_sentence(client):
    """And what comes then goes on in the same utterance, its timings behind it."""
    with client.websocket_connect(PATH) as socket:
        socket.send_json(START)
        socket.send_json({"type": "speech.text", "id": "a", "text": "alpha beta "})
        socket.send_json({"type": "speech.flush", "id": "a"})
        heard = []
        while len(heard) < 3:  # the start, and a delta for each word
            heard.append(socket.receive_json())
        socket.send_json({"type": "speech.text", "id": "a", "text": "gamma"})
        socket.send_json({"type": "speech.end", "id": "a"})
        messages = [*heard, *until_end(socket)]
    marks = [mark for each in messages for mark in each.get("timestamps", ())]
    assert [(mark["text"], mark["span"]) for mark in marks] == [
        ("alpha", [0, 5]), ("beta", [6, 10]), ("gamma", [11, 16]),
    ]  # fmt: skip
    assert messages[-1]["usage"]["input_tokens"] == 16


def test_cancelling_stops_the_model(client):
    """Within a step; the connection goes on."""
    with client.websocket_connect(PATH) as socket:
        say(socket, "word " * 400, options={"delay_s": 0.05})
        while socket.receive_json()["type"] != "speech.audio.delta":
            pass
        socket.send_json({"type": "speech.cancel", "id": "a"})
        assert until_end(socket)[-1]["type"] == "speech.cancelled"  # rather than done
        say(socket, "alpha", name="b")
        assert until_end(socket, "b")[-1]["type"] == "speech.done"


def test_a_connection_that_ends_stops_its_utterances(client):
    """Nobody hears them."""
    model = client.app.state.server.models.find("fake")
    with client.websocket_connect(PATH) as socket:
        say(socket, "word " * 400, options={"delay_s": 0.05})
        while socket.receive_json()["type"] != "speech.audio.delta":
            pass
    until(lambda: not (model.users or model.provider.get_provider_status()["queue"]["running"]))


def test_several_utterances_on_one_connection(client):
    """Each message says which one it belongs to."""
    with client.websocket_connect(PATH) as socket:
        for name in "abc":
            say(socket, "alpha beta", name=name, seed=ord(name))
        ends, audio = set(), dict.fromkeys("abc", b"")
        while len(ends) < 3:
            message = socket.receive_json()
            if message["type"] == "speech.done":
                ends.add(message["id"])
            elif message["type"] == "speech.audio.delta":
                audio[message["id"]] += base64.b64decode(message["audio"])
    assert len({len(data) for data in audio.values()}) == 1
    assert all(audio.values())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_json"),
        ("[]", "invalid_value"),
        ('{"type": "speech.sing", "id": "a"}', "invalid_value"),
        ('{"type": "speech.text", "id": "a"}', "missing_field"),
        ('{"type": "speech.text", "id": "nobody", "text": "x"}', "utterance_not_found"),
        ('{"type": "speech.start", "id": ""}', "invalid_value"),
        ('{"type": "speech.start", "id": "x", "speed": 99}', "invalid_value"),
        ('{"type": "speech.start", "id": "x", "model": "none"}', "model_not_found"),
        ('{"type": "speech.start", "id": "x", "voice": "/etc/passwd"}', "voice_not_found"),
        ('{"type": "speech.start", "id": "x", "options": {"loudness": 9}}', "invalid_option"),
    ],
)
def test_what_is_wrong_is_told(client, message, code):
    """And the connection goes on."""
    with client.websocket_connect(PATH) as socket:
        socket.send_text(message)
        if code in {"voice_not_found", "invalid_option"}:
            socket.send_json({"type": "speech.text", "id": "x", "text": "alpha. Beta. "})
        answers = [socket.receive_json()]
        while answers[-1]["type"] == "speech.started":
            answers.append(socket.receive_json())
        assert answers[-1]["type"] == "error"
        assert answers[-1]["error"]["code"] == code
        say(socket, "alpha", name="good")
        assert until_end(socket, "good")[-1]["type"] == "speech.done"


def test_limits(make_client):
    """Of the text of an utterance, and of utterances at a time."""
    with make_client(max_input_chars=20).websocket_connect(PATH) as socket:
        socket.send_json(START)
        socket.send_json({"type": "speech.text", "id": "a", "text": "x" * 21})
        while (message := socket.receive_json())["type"] != "error":
            pass
        assert message["error"]["code"] == "input_too_long"
    with make_client().websocket_connect(PATH) as socket:
        for number in range(17):
            socket.send_json({**START, "id": str(number)})
        while (message := socket.receive_json())["type"] != "error":
            pass
        assert message["error"]["code"] == "too_many_utterances"


def test_a_key_is_asked_for(make_client, tmp_path):
    """In the header, or where a browser can put it."""
    keys = tmp_path / "keys"
    keys.write_text("sesame")
    client = make_client(api_key_file=keys)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(PATH):
        pass
    for options in (
        {"headers": {"authorization": "Bearer sesame"}},
        {"subprotocols": ["realtts", "realtts-key.sesame"]},
    ):
        with client.websocket_connect(PATH, **options) as socket:
            say(socket, "alpha")
            assert until_end(socket)[-1]["type"] == "speech.done"


def test_bytes_end_the_connection(client):
    """They mean nothing here."""
    with client.websocket_connect(PATH) as socket:
        socket.send_bytes(json.dumps(START).encode())
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
