"""The voices of a server: listed, added, spoken with, deleted."""

from __future__ import annotations

import io
import stat
import unicodedata
from urllib.parse import quote

import pytest
import soundfile

from realtts.testing import fake_spec, voice_like

GOOD = {"model": "fake", "input": "alpha beta", "response_format": "wav"}


def recording(seconds=3.0):
    """Bytes of a WAV file that holds a voice."""
    samples, rate = voice_like(seconds)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV")
    return buffer.getvalue()


def add(client, name="anna", content=None, **fields):
    """Send a recording as OpenAI's clients do."""
    content = recording() if content is None else content
    return client.post("/v1/audio/voices", files={"audio_sample": ("a.wav", content)}, data={"name": name, **fields})


def test_voices_are_listed(client):
    """With ids and names, of one model or of all."""
    for query in ("?model=fake", "?model=tts-1", ""):  # the last one loads no model
        voices = client.get(f"/v1/audio/voices{query}").json()["voices"]
        assert {"low", "high"} <= {voice["id"] for voice in voices}
        assert all(voice["name"] and voice["model"] == "fake" for voice in voices)
    assert client.get("/v1/audio/voices?model=none").status_code == 404


def test_an_added_voice_speaks(client):
    """By its name, in any case, until it is deleted."""
    answer = add(client, consent="cons_1", reference_text="What was said.")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        **answer.json(), "id": "anna", "object": "audio.voice", "name": "anna", "consent": "cons_1", "duration": 3.0,
    }  # fmt: skip
    for voice in ("anna", "Anna", {"id": "anna"}):
        assert client.post("/v1/audio/speech", json={**GOOD, "voice": voice}).status_code == 200
    assert client.post("/v1/audio/speech", json={**GOOD, "ref_audio": "anna"}).status_code == 200
    gone = client.delete("/v1/audio/voices/anna").json()
    assert gone == {"id": "anna", "object": "audio.voice.deleted", "deleted": True}
    assert client.post("/v1/audio/speech", json={**GOOD, "voice": "anna"}).status_code == 400
    assert client.delete("/v1/audio/voices/anna").status_code == 404


def test_consent_is_kept_for_nobody_else(client, tmp_path):
    """Beside the recording, readable by its owner."""
    add(client, consent="I agree.")
    files = list((tmp_path / "data" / "voices").rglob("consent.txt"))
    assert [file.read_text() for file in files] == ["I agree."]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_a_taken_name_is_a_conflict(client):
    """409, which is not worth a retry, and the first recording stays."""
    add(client)
    again = add(client, "ANNA", recording(4.0))
    assert (again.status_code, again.headers["x-should-retry"]) == (409, "false")
    assert again.json()["error"]["param"] == "name"


@pytest.mark.parametrize("name", ["../x", "a/b", "con", ".hidden", "x" * 100, "a\0b", " "])
def test_names_that_no_file_may_have(client, name, tmp_path):
    """400, and nothing is written."""
    answer = add(client, name)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "name"
    assert not list(tmp_path.rglob("voice.wav"))


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"PK\x03\x04" + b"\0" * 500, recording(0.2), b"\0" * 4000, b"<svg/>" * 100]
)
def test_recordings_that_are_none(client, content, tmp_path):
    """400 with the field, nothing of the machine in the message, nothing left behind."""
    answer = add(client, content=content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == "audio_sample"
    assert "/tmp" not in answer.text
    assert str(tmp_path) not in answer.text


def test_a_recording_that_is_too_long(make_client):
    """Refused from its header, by the server's own limit."""
    answer = add(make_client(max_reference_s=2.0), content=recording(3.0))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "audio_sample"


@pytest.mark.parametrize("path", ["..%2f..%2fetc", "%2e%2e", "a%00b", "x" * 300])
def test_paths_delete_nothing(client, path):
    """Names go to the store, which knows no folders."""
    assert client.delete(f"/v1/audio/voices/{path}").status_code in {400, 404}


def test_a_model_that_cannot_clone(make_client):
    """A saved voice says so."""
    client = make_client(fake_spec(), fake_spec(name="deaf", capabilities=frozenset({"voices"})))
    add(client)
    answer = client.post("/v1/audio/speech", json={**GOOD, "model": "deaf", "voice": "anna"})
    assert answer.status_code == 400
    assert "cannot clone" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["Größe", "名前", "İstanbul", "e\u0301a", "x.y-z_1", "क्षत्रिय"])
def test_names_of_any_script(client, name):
    """Added, listed, spoken with and deleted, as it was written and in the other normal form."""
    assert add(client, name).status_code == 200
    assert add(client, unicodedata.normalize("NFD", name)).status_code == 409
    for form in ("NFC", "NFD"):
        voice = unicodedata.normalize(form, name)
        assert client.post("/v1/audio/speech", json={**GOOD, "voice": voice}).status_code == 200
    listed = [voice["id"] for voice in client.get("/v1/audio/voices?model=fake").json()["voices"]]
    assert unicodedata.normalize("NFC", name) in listed
    assert client.delete(f"/v1/audio/voices/{quote(unicodedata.normalize('NFD', name))}").status_code == 200


def test_a_voice_is_deleted_while_it_speaks(client):
    """What was begun is spoken to its end; and the name is free for another recording."""
    add(client)
    with client.websocket_connect("ws://127.0.0.1/v1/audio/speech/stream") as live:
        live.send_json({"type": "speech.start", "id": "a", "voice": "anna", "options": {"delay_s": 0.02}})
        live.send_json({"type": "speech.text", "id": "a", "text": "word " * 10})
        live.send_json({"type": "speech.end", "id": "a"})
        while live.receive_json()["type"] != "speech.audio.delta":
            pass
        assert client.delete("/v1/audio/voices/anna").status_code == 200
        assert add(client, content=recording(4.0)).json()["duration"] == 4.0
        while (last := live.receive_json())["type"] == "speech.audio.delta":
            pass
    assert last["type"] == "speech.done"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"type": "prompt"}, "type"),
        ({"name": "x" * 300}, "name"),
        ({"consent": "x" * 5000}, "consent"),
        ({"reference_text": "x" * 10_001}, "reference_text"),
        ({"name": ""}, "name"),
    ],
)
def test_fields_of_the_form(client, fields, param):
    """The one at fault is named; a voice of words alone is none of ours."""
    answer = add(client, **fields) if "name" not in fields else add(client, fields["name"])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_folder_that_cannot_be_written(client, tmp_path):
    """Is the server's fault, not a format's; and nothing of it is in the answer."""
    (tmp_path / "data").touch()  # a file
    answer = add(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "voice_not_stored")
    assert str(tmp_path) not in answer.text
