"""Open WebUI and SillyTavern: their requests byte for byte, as client_requests.json has them with their source."""

from __future__ import annotations

import http.client
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtts_espeak import spec as espeak

REQUESTS = json.loads(Path(__file__).with_name("client_requests.json").read_text(encoding="utf-8"))
SPEAKING = [request for request in REQUESTS if request["method"] == "POST"]
LISTING = {request["does"]: request for request in REQUESTS if request["method"] == "GET"}


def send(server, request, **changes):
    """The status, headers and body of the answer to a request, over a socket of its own, as the client reads them."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        body = changes.get("body", request.get("body"))
        # skip_host and skip_accept_encoding: nothing is sent but what is written down, and the host.
        connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
        for name, value in request["headers"].items():
            connection.putheader(name, changes.get("key", value) if name == "Authorization" else value)
        data = body.encode() if body is not None else None
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("request_", SPEAKING, ids=lambda request: f"{request['client']} {request['does']}")
def test_what_they_send_is_spoken(espeak_server, request_):
    """As a file of the kind that the client takes it for, by its content type, with sound in it."""
    status, headers, content = send(espeak_server, request_)
    assert status == 200, content
    wanted = json.loads(request_["body"]).get("response_format", "mp3")
    assert headers["content-type"] == {"mp3": "audio/mpeg", "wav": "audio/wav"}[wanted]
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    words = len(json.loads(request_["body"])["input"].split())
    assert 0.1 * words < len(samples) / rate < 3.0 * words
    assert 0.05 < np.abs(samples).max() < 1.0


def test_open_webui_lists_models_and_voices(espeak_server):
    """In the form that it reads: every name it offers is one it may send."""
    _, _, models = send(espeak_server, LISTING["lists the models"])
    _, _, voices = send(espeak_server, LISTING["lists the voices"])
    names = {voice["id"]: voice["name"] for voice in json.loads(voices).get("voices", [])}
    assert {"en-us", "de", "fr-fr"} <= names.keys()
    assert all(isinstance(name, str) and name for name in names.values())
    offered = [model["id"] for model in json.loads(models).get("models", [])]
    assert offered[0] == "espeak"
    for model in offered:
        body = json.dumps({"input": "Yes.", "voice": "fr-fr", "model": model})
        status, _, content = send(espeak_server, SPEAKING[0], body=body)
        assert status == 200, content


def test_open_webui_speaks_where_a_key_is_asked_for(serve, tmp_path):
    """It asks for the lists without its key, and then offers OpenAI's names, which are spoken with the key."""
    keys = tmp_path / "keys"
    keys.write_text("sesame")
    server = serve(espeak, api_key_file=keys)
    for request in LISTING.values():
        status, _, _ = send(server, request)
        assert status == 401
    for model, voice in (("tts-1", "alloy"), ("tts-1-hd", "fable"), ("tts-1", "onyx"), ("tts-1", "nova")):
        body = json.dumps({"input": "Yes.", "voice": voice, "model": model})
        status, _, _ = send(server, SPEAKING[0], body=body, key="Bearer sesame")
        assert status == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"input": ""}, 400),
        ({"voice": "nobody"}, 400),
        ({"model": "none"}, 404),
        ({"speed": 9}, 400),
        ({"response_format": "ogg"}, 400),
    ],
)
def test_they_show_what_is_wrong(espeak_server, fields, status):
    """Open WebUI shows the member "error" of the JSON, SillyTavern the status: it is the same for both."""
    for request in (SPEAKING[0], SPEAKING[-1]):
        body = json.dumps({**json.loads(request["body"]), **fields})
        got, headers, content = send(espeak_server, request, body=body)
        assert (got, headers["content-type"]) == (status, "application/json")
        assert "Fix: " in json.loads(content)["error"]["message"]


def test_names_of_voices_are_read_as_people_write_them(serve):
    """OpenAI's and those of the configuration like built-in ones: case, blanks, `_` and `-` do not matter."""
    server = serve(espeak, voices={"gpt-voice": "de"})
    fields = {"input": "Wo ist das Brot?", "model": "tts-1", "response_format": "pcm"}
    for meant, written in {
        "en-us": (" alloy", "Alloy", "ALLOY ", "EN_US"),
        "de": ("gpt voice", "GPT_Voice", " gpt-voice ", " DE"),
    }.items():
        answers = [send(server, SPEAKING[0], body=json.dumps({**fields, "voice": name})) for name in (meant, *written)]
        assert [status for status, _, _ in answers] == [200] * len(answers)
        assert len({content for _, _, content in answers}) == 1
