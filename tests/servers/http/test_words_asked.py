"""What a request asks of its words goes to the core; and a short request is begun without waking a thread."""

import pytest
from fastapi.testclient import TestClient

from realtts.errors import MissingExtra
from realtts.testing import fake_spec
from realtts_http import speech

PATH = "/v1/audio/speech"
BODY = {"model": "fake", "input": "Hello there.", "response_format": "pcm", "seed": 1}


@pytest.fixture
def asked(monkeypatch):
    """What the core is asked of words; nobody listens."""
    asked = []

    def note(check_words, timestamps, **_):
        asked.append((check_words, timestamps))

    monkeypatch.setattr("realtts.synthesis.words_asked.words_asked", note)
    return asked


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, []),
        ({"check_words": False, "align": False}, []),
        ({"check_words": True}, [(True, None)]),
        ({"align": True}, [(False, "align")]),
        ({"check_words": True, "align": True, "timestamps": "srt"}, [(True, "align")]),
        ({"align": True, "stream_format": "sse"}, [(False, "align")]),
    ],
)
def test_fields_of_a_request(client, asked, fields, wanted):
    """As bytes, as events and with timings."""
    assert client.post(PATH, json={**BODY, **fields}).status_code == 200
    assert asked == wanted


def test_inputs_of_a_batch(client, asked):
    """Each has its own, else the batch's; timings come where they are asked for."""
    body = {"model": "fake", "align": True, "inputs": ["One.", {"input": "Two.", "align": False}]}
    one, two = client.post(f"{PATH}/batch", json=body).json()["data"]
    assert asked == [(False, "align")]
    assert [mark["text"] for mark in one["timestamps"]] == ["One."]
    assert "timestamps" not in two


def test_an_utterance_of_a_websocket(client, asked):
    """Its start message has the fields of a request."""
    with client.websocket_connect(f"{PATH}/stream", headers={"host": "127.0.0.1"}) as live:
        live.send_json({"type": "speech.start", "id": "a", "model": "fake", "check_words": True})
        live.send_json({"type": "speech.text", "id": "a", "text": "Hello."})
        live.send_json({"type": "speech.end", "id": "a"})
        while live.receive_json()["type"] != "speech.done":
            pass
    assert asked == [(True, None)]


@pytest.mark.parametrize("fields", [{"check_words": True}, {"align": True}, {"align": True, "timestamps": "json"}])
def test_what_is_not_installed_on_the_server(client, monkeypatch, fields):
    """Is named, as what the server cannot do."""

    def missing(*_, **__):
        raise MissingExtra("there is no recognizer", who="realtts.listening", fix="pip install 'realtts[listen]'")

    monkeypatch.setattr("realtts.synthesis.words_asked.words_asked", missing)
    answer = client.post(PATH, json={**BODY, **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (501, "missing_extra", "server_error")
    assert "realtts[listen]" in error["message"]


@pytest.mark.parametrize("fields", [{}, {"stream_format": "sse"}, {"voice": "low"}, {"speed": 1.5}])
def test_a_short_request_wakes_no_thread(make_client, monkeypatch, fields):
    """Once the model is there; a thread that wakes costs more than the beginning of such a request."""
    client: TestClient = make_client(fake_spec(capabilities=frozenset({"voices", "speed", "marks"})))
    expected = client.post(PATH, json={**BODY, **fields})
    assert expected.status_code == 200

    async def woken(function, *_, **__):
        pytest.fail(f"a thread for {function}")

    with monkeypatch.context() as patch:
        patch.setattr(speech.asyncio, "to_thread", woken)
        again = client.post(PATH, json={**BODY, **fields})
    assert again.content == expected.content
