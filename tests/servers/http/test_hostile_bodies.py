"""Bodies that no client should send: each is refused with a typed error, and harms nobody."""

from __future__ import annotations

import gzip
import json
import pathlib

import pytest
import soundfile
from pydantic import Field

from realtts import Options
from realtts.testing import fake_spec, voice_like

SPEECH, BATCH, TTS = "/v1/audio/speech", "/v1/audio/speech/batch", "/tts"
GOOD = {"model": "fake", "input": "alpha beta"}
JSON = {"content-type": "application/json"}

UNSOUND = {
    "key twice": '{"input": "a", "input": "b", "gen_text": "a", "gen_text": "b", "inputs": ["a"], "inputs": ["b"]}',
    "key of an option twice": '{"input": "a", "gen_text": "a", "inputs": ["a"], "options": {"x": 1, "x": 2}}',
    "NaN": '{"input": "a", "gen_text": "a", "inputs": ["a"], "speed": NaN}',
    "-Infinity": '{"input": "a", "gen_text": "a", "inputs": ["a"], "x": -Infinity}',
    "1e999": '{"input": "a", "gen_text": "a", "inputs": ["a"], "speed": 1e999}',
    "many digits": '{"input": "a", "gen_text": "a", "inputs": ["a"], "seed": ' + "9" * 5000 + "}",
    "half a pair": '{"input": "\\ud800", "gen_text": "\\ud800", "inputs": ["\\ud800"]}',
    "half a pair as a name": '{"input": "a", "gen_text": "a", "inputs": ["a"], "options": {"\\udfff": 1}}',
    "deep": '{"input": ' + "[" * 3000 + "]" * 3000 + "}",
    "deep object": '{"input": "a", "gen_text": "a", "inputs": ["a"], "options": ' + '{"a":' * 80 + "1" + "}" * 81,
    "comment": '{"input": "a" /* hm */}',
    "two": '{"input": "a"}{"input": "b"}',
    "cut": '{"input": "a',
    "single quotes": "{'input': 'a'}",
    "number": "17",
    "list": '[{"input": "a"}]',
    "blank": "   \n",
}


@pytest.mark.parametrize("path", [SPEECH, BATCH, TTS])
@pytest.mark.parametrize("content", UNSOUND.values(), ids=UNSOUND)
def test_what_is_no_sound_json_is_refused(shared_client, path, content):
    """By every endpoint that takes JSON, with a way out."""
    answer = shared_client.post(path, content=content.encode(), headers=JSON)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "Fix:" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "content", [b"\xff\xfe{\x00}\x00", json.dumps({"input": "ä"}, ensure_ascii=False).encode("latin-1"), b"\x00" * 9]
)
def test_other_encodings_than_utf_8(shared_client, content):
    """Are no text; a byte order mark of UTF-8 is."""
    assert shared_client.post(SPEECH, content=content, headers=JSON).json()["error"]["code"] == "invalid_json"
    assert (
        shared_client.post(SPEECH, content=b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), headers=JSON).status_code == 200
    )


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),  # what curl says by itself
        ("multipart/form-data; boundary=x", False),
        ("application/xml", False),
        ("application/octet-stream", False),
        ("json", False),
        ("application/json; charset=utf-8", True),
        ("APPLICATION/JSON", True),
        ("application/vnd.api+json", True),
    ],
)
def test_what_is_announced(shared_client, kind, taken):
    """JSON is to be called so: the message says how."""
    for path, body in ((SPEECH, GOOD), (TTS, {"gen_text": "alpha"})):
        answer = shared_client.post(path, content=json.dumps(body).encode(), headers={"content-type": kind})
        assert answer.status_code == (200 if taken else 400), answer.text
        if not taken:
            assert answer.json()["error"]["code"] == "invalid_content_type"
            assert "Content-Type: application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "GZIP", "gzip, gzip", "nonsense"])
def test_compressed_bodies_are_not_unpacked(shared_client, coding):
    """A small one may be large inside."""
    content = gzip.compress(json.dumps(GOOD).encode())
    answer = shared_client.post(SPEECH, content=content, headers={**JSON, "content-encoding": coding})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")
    assert shared_client.post(SPEECH, json=GOOD, headers={"content-encoding": "identity"}).status_code == 200


@pytest.mark.parametrize("name", ["voice_path", "voice", "text", "self", "priority", "seed", "timestamps", "normalize"])
def test_options_are_no_arguments(shared_client, tmp_path, name):
    """Least of all one that names a recording on the server."""
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, *voice_like())
    values = {"voice_path": str(secret), "voice": str(secret), "seed": 3, "priority": "bulk"}
    options = {name: values.get(name, "align")}
    answer = shared_client.post(SPEECH, json={**GOOD, "options": options})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    entry = shared_client.post(BATCH, json={"inputs": [{"input": "a", "options": options}]}).json()["data"][0]
    assert entry["error"]["param"] == name
    spoken = shared_client.post(TTS, json={"gen_text": "alpha", "seed": 1})
    ignored = shared_client.post(TTS, json={"gen_text": "alpha", "seed": 1, "voice_path": str(secret)})
    assert ignored.content == spoken.content  # and not the recording's voice
    assert ignored.headers["x-realtts-ignored"] == "voice_path"


@pytest.mark.parametrize("words", ["What was said.", "a\u0000b", "x" * 10_001])
@pytest.mark.parametrize("voice", [None, "low", "alloy"])
def test_words_of_no_recording(shared_client, words, voice):
    """Are the field at fault, rather than text or voice."""
    answer = shared_client.post(SPEECH, json={**GOOD, "voice": voice, "reference_text": words})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "reference_text")
    answer = shared_client.post(TTS, json={"gen_text": "alpha", "voice": voice, "ref_text": words})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "ref_text")


class FileOptions(Options):
    """Options of which some name files."""

    words: str = Field("", description="Any words.")
    voices_file: str | None = Field(None, description="A file.", json_schema_extra={"format": "path"})
    folder: pathlib.Path | None = Field(None, description="A folder.")


@pytest.mark.parametrize("name", ["voices_file", "folder"])
def test_options_name_no_files(make_client, name):
    """Such options are the server's own."""
    client = make_client(fake_spec(options=FileOptions))
    for path, body in ((SPEECH, {**GOOD, "options": {name: "/etc/passwd"}}), (TTS, {"gen_text": "a", name: "/etc"})):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert set(client.get("/v1/models/fake").json()["options"]["properties"]) == {"words"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"gen_text": " "}, "gen_text"),
        ({"gen_text": "\u0000"}, "gen_text"),
        ({"gen_text": "x" * 100_001}, "gen_text"),
        ({"gen_text": "a", "ref_audio": "../../etc/passwd"}, "ref_audio"),
        ({"gen_text": "a", "voice": "low", "ref_audio": "AAAA"}, "ref_audio"),
        ({"gen_text": "a", "seed": True}, "seed"),
        ({"gen_text": "a", "seed": -2}, "seed"),
        ({"gen_text": "a", "speed": 99}, "speed"),
        ({"gen_text": "a", "language": "klingon"}, "language"),
        ({"gen_text": "a", "model": "nobody"}, "model"),
        ({"gen_text": "a", "loudness": "x"}, "loudness"),
        ({"gen_txt": "a"}, "gen_text"),
    ],
)
def test_fields_of_f5_servers_are_named_as_they_call_them(shared_client, fields, param):
    """A fault of ``gen_text`` is not one of ``input``."""
    answer = shared_client.post(TTS, json=fields)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["param"] == param


def test_what_f5_clients_leave_open(shared_client):
    """Empty words, an empty recording and the seed -1 are none."""
    body = {"gen_text": "alpha", "ref_text": "", "ref_audio": "", "nfe_step": 16, "use_fp16": True, "seed": -1}
    answer = shared_client.post(TTS, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-realtts-ignored"] == "nfe_step, use_fp16"
    assert int(answer.headers["x-realtts-seed"]) >= 0


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_of_a_model_without_timings(make_client, kind):
    """The field at fault is the one that asks for them."""

    class Silent(Options):
        pass

    spec = fake_spec(plain=f"{__name__}:Plain", optimized=None, options=Silent, capabilities=frozenset())
    answer = make_client(spec).post(SPEECH, json={"input": "alpha", "timestamps": kind})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "timestamps")


class Plain:
    """A provider without marks."""

    from realtts import hookimpl

    @hookimpl
    def load(self, context):
        """Load nothing."""
        return object()

    @hookimpl
    def generate(self, context, model, request):
        """Yield a tone."""
        import numpy as np

        from realtts import Chunk

        yield Chunk(np.full(1600, 0.1, np.float32), 16_000)


def test_a_batch_never_fills_the_queue(make_client):
    """However many inputs it has, and all of them together are one text."""
    client = make_client(settings={"queue_size": 20}, max_input_chars=1000)
    data = client.post(BATCH, json={"inputs": ["alpha"] * 80, "response_format": "pcm"}).json()["data"]
    assert [entry["index"] for entry in data if "audio" in entry] == list(range(80))
    answer = client.post(BATCH, json={"inputs": ["x" * 600, {"input": "y" * 600}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "inputs")


BOUNDED = "multipart/form-data; boundary=b"


def part(disposition, content=b"x"):
    """A part of a form."""
    return b"--b\r\nContent-Disposition: form-data" + disposition + b"\r\n\r\n" + content + b"\r\n"


@pytest.mark.parametrize(
    ("body", "kind", "param"),
    [
        (b"audio_sample=abc&name=x", "application/x-www-form-urlencoded", "audio_sample"),
        (b'{"name": "x"}', "application/json", "audio_sample"),
        (b"", BOUNDED, "audio_sample"),
        (part(b""), BOUNDED, None),
        (b"garbage", BOUNDED, None),
        (b"--b--", "multipart/form-data", None),
        (part(b'; name="audio_sample"') + part(b'; name="name"') + b"--b--", BOUNDED, "audio_sample"),
        (
            part(b'; name="audio_sample"; filename="a"') + part(b'; name="name"; filename="a"') + b"--b--",
            BOUNDED,
            "name",
        ),
        (part(b'; name="consent"', b"y" * 2_000_000) + b"--b--", BOUNDED, None),
        (part(b'; name="x"') * 1500 + b"--b--", BOUNDED, None),
    ],
)
def test_forms_that_are_none(shared_client, body, kind, param):
    """400 with a way out, without the names of our classes."""
    answer = shared_client.post("/v1/audio/voices", content=body, headers={"content-type": kind})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert "Fix:" in error["message"]
    assert "class" not in error["message"]
    assert param is None or error["param"] == param
