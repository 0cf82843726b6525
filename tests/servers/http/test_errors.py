"""What goes wrong is told in OpenAI's form, with the field at fault, and nothing of the machine."""

from __future__ import annotations

import base64

import pytest

from realtts.errors import Busy, RealTTSError, StageFailed
from realtts.testing import ContinuousFakeProvider, fake_spec, faulty
from realtts.wire.answers import answer_to
from realtts_http import ServeConfig, create_app

GOOD = {"model": "fake", "voice": "low", "input": "alpha beta"}

WRONG = [
    ({"input": None}, "input"),
    ({"input": ""}, "input"),
    ({"input": " \n"}, "input"),
    ({"input": 7}, "input"),
    ({"input": "x" * 200_001}, "input"),
    ({"voice": ""}, "voice"),
    ({"voice": "nobody"}, "voice"),
    ({"voice": {"id": 3}}, "voice"),
    ({"voice": "/etc/passwd"}, "voice"),
    ({"voice": "../../secret.wav"}, "voice"),
    ({"voice": "file:///etc/passwd"}, "voice"),
    ({"voice": "http://127.0.0.1/x.wav"}, "voice"),
    ({"response_format": "exe"}, "response_format"),
    ({"stream_format": "grpc"}, "stream_format"),
    ({"speed": 0}, "speed"),
    ({"speed": "NaN"}, "speed"),
    ({"language": "klingon"}, "language"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**70}, "seed"),
    ({"timestamps": "docx"}, "timestamps"),
    ({"options": {"loudnes": 1}}, "loudnes"),
    ({"options": {"loudness": "x"}}, "loudness"),
    ({"options": 3}, "options"),
    ({"voice": None, "ref_audio": "/etc/passwd"}, "ref_audio"),
    ({"voice": "alloy", "ref_audio": "AAAA"}, "ref_audio"),
    ({"voice": None, "ref_audio": base64.b64encode(b"no audio at all" * 40).decode()}, "ref_audio"),
    ({"ref_audio": base64.b64encode(b"x" * 400).decode()}, "ref_audio"),
    ({"normalize": "maybe"}, "normalize"),
    ({"check_words": "yes"}, "check_words"),
    ({"align": 1}, "align"),
]


@pytest.mark.parametrize(("change", "field"), WRONG, ids=[str(change)[:40] for change, _ in WRONG])
def test_the_field_at_fault_is_named(client, change, field):
    """400, in OpenAI's form, before any work."""
    answer = client.post("/v1/audio/speech", json={**GOOD, **change})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert str(error["param"]).split(".")[0] == field
    assert "Fix:" in error["message"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}"])
def test_a_body_that_is_no_request(client, content):
    """400, whatever it is."""
    answer = client.post("/v1/audio/speech", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/audio/speach", "/v1/models/none", "/v1", "/v1/audio/voices/none/x"])
def test_what_does_not_exist(client, path):
    """404, in the same form."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"]


def test_a_wrong_method(client):
    """405, in the same form."""
    answer = client.get("/v1/audio/speech")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "POST"
    assert client.put("/v1/audio/voices").headers["allow"] == "GET, POST"


def test_names_that_no_header_can_carry(client):
    """They are named as well as they can be."""
    for path, text in (("/v1/audio/speech", "input"), ("/tts", "gen_text")):
        answer = client.post(path, json={text: "alpha", "größe\r\nx: y": 1})
        assert answer.status_code == 200
        assert answer.headers["x-realtts-ignored"] == "gr??e??x: y"


@pytest.mark.parametrize("error", [RuntimeError("/root/secret.bin is broken"), OSError("disk /dev/sda1")])
def test_faults_of_the_model_say_nothing_of_the_machine(make_client, error):
    """500 in general words; the log has the rest. The same request is not worth a retry."""
    spec = faulty(faulty(fake_spec(), "generate", error=error), "generate", variant="plain", error=error)
    answer = make_client(spec).post("/v1/audio/speech", json=GOOD)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "sda1" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-should-retry"] == "false"


def test_a_fault_after_the_first_audio_cuts_the_answer(make_client):
    """Events say it; bytes end without their end, so that no client takes them for the whole."""
    spec = fake_spec(optimized=None)
    spec = faulty(faulty(spec, "generate", after=2), "generate", variant="plain", after=2)
    events = make_client(spec).post("/v1/audio/speech", json={**GOOD, "input": "a b c d", "stream_format": "sse"})
    assert '"speech.audio.error"' in events.text
    assert "speech.audio.done" not in events.text


def test_a_full_queue_is_429_with_a_time():
    """Worth a retry, after the estimate."""
    error = Busy("the queue is full", who="provider 'x'", fix="wait")
    error.wait_s = 2.4
    answer = answer_to(error)
    assert (answer.status, answer.retry_after_s, answer.retry) == (429, 3, True)


def test_every_typed_error_has_an_answer():
    """None is without a status of an error, and faults of the server are not blamed on the caller."""
    kinds = [RealTTSError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    for kind in kinds:
        extra = {"attempts": ()} if issubclass(kind, StageFailed) else {}
        answer = answer_to(kind("it is wrong", who="somebody", fix="mend it", **extra))
        assert 400 <= answer.status < 600, kind
        assert answer.code, kind


@pytest.mark.parametrize("fields", [{"providers": ("nothing",)}, {"aliases": {"a": "b"}}, {"models": {"x": "y"}}])
def test_a_wrong_configuration_ends_before_it_listens(fields):
    """With a typed error that names what there is."""
    with pytest.raises(RealTTSError, match="Fix:"):
        create_app(ServeConfig(**fields), (fake_spec(),) if "providers" not in fields else ())


def test_too_many_requests_at_once(make_client):
    """429 from the limit of the server itself."""
    client = make_client(fake_spec(optimized=None), max_requests=1)
    client.app.state.server.gate.enter()
    answer = client.post("/v1/audio/speech", json=GOOD)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    client.app.state.server.gate.leave()
    assert client.post("/v1/audio/speech", json=GOOD).status_code == 200


def test_continuous_variant_serves_too(make_client):
    """The way a model batches is none of a client's business."""
    name = f"{ContinuousFakeProvider.__module__}:{ContinuousFakeProvider.__qualname__}"
    assert make_client(fake_spec(optimized=name)).post("/v1/audio/speech", json=GOOD).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"inputs": [{"input": "a", "seed": -1}]}, "inputs.0.seed"),
        ({"inputs": ["a", {"input": "a", "speed": "fast"}]}, "inputs.1.speed"),
        ({"inputs": [{"speed": 1}]}, "inputs.0.input"),
        ({"inputs": [5]}, "inputs.0"),
        ({"inputs": [{"input": "a", "voice": {"id": ""}}]}, "inputs.0.voice.id"),
        ({"inputs": ["a"], "voice": {"name": "low"}}, "voice.id"),
        ({"inputs": ["a"], "voice": 7}, "voice"),
        ({"inputs": ["a"], "speed": 9, "voice": 7}, "voice"),
    ],
)
def test_a_field_of_several_forms_is_named_as_it_was_sent(client, fields, param):
    """With the fault of the form that was meant, rather than with the names of our classes."""
    answer = client.post("/v1/audio/speech/batch", json={"model": "fake", **fields})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
