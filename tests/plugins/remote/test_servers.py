"""What servers are, what they have, and how each is asked."""

from __future__ import annotations

import json

import pytest
from scripted_server import ScriptedServer

import realtts_remote
from realtts import RealProvider, errors
from realtts.contract.spec import Checkpoint
from realtts.contract.types import Request
from realtts.registry.offers import how_to_install
from realtts.synthesis.validate import check_options
from realtts.testing import voice_like
from realtts.wire.specs import spec_from_json, spec_to_json
from realtts_remote.address import find_address, find_key
from realtts_remote.body import make_body
from realtts_remote.errors import ServerRefused
from realtts_remote.options import RemoteOptions
from realtts_remote.server import Server

TEXT = "Hello there, this is a test."


def listed(*entries, **fields):
    """Return what answers with a list of models."""
    content = json.dumps({"object": "list", "data": [*entries], **fields})
    return lambda seen: seen.answer(content, kind="application/json", length="true")


@pytest.mark.parametrize(
    ("given", "variable", "url", "model"),
    [
        ("http://127.0.0.1:8091/v1", None, "http://127.0.0.1:8091/v1", ""),
        ("http://127.0.0.1:8091", None, "http://127.0.0.1:8091/v1", ""),
        ("http://h:1/v1/#Qwen/Qwen3-TTS", None, "http://h:1/v1", "Qwen/Qwen3-TTS"),
        ("https://api.openai.com/v1/audio/speech#tts-1", None, "https://api.openai.com/v1", "tts-1"),
        ("https://x.example/openai/deployments/a?api-version=1", None, "https://x.example/openai/deployments/a", ""),
        ("tts-1", "http://here:8000/v1", "http://here:8000/v1", "tts-1"),
        (None, "http://[::1]:8000/v1", "http://[::1]:8000/v1", ""),
        ("http://wins/v1", "http://loses/v1", "http://wins/v1", ""),
    ],
)
def test_an_address_is_read(given, variable, url, model):
    """From ``model=`` or the environment, with the model behind it."""
    checkpoint = None if given is None else Checkpoint(given)
    address = find_address(checkpoint, {} if variable is None else {"OPENAI_BASE_URL": variable})
    assert (address.shown, address.model) == (url, model)


@pytest.mark.parametrize(
    "given", [None, "tts-1", "127.0.0.1:8000/v1", "ftp://host/v1", "http://", "http://ho st/", "http://h:99999999/v1"]
)
def test_what_is_no_address_is_refused(given):
    """With an example of one."""
    with pytest.raises(ServerRefused, match="http://"):
        find_address(None if given is None else Checkpoint(given), {})


def test_a_password_in_an_address_is_refused_and_not_shown():
    """It would stand in the status: a key has a variable."""
    with pytest.raises(errors.UnknownCheckpoint) as caught:
        RealProvider(realtts_remote.spec, model="http://me:hunter2@host/v1")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ServerRefused) as refused:
        find_address(None, {"OPENAI_BASE_URL": "http://me:hunter2@host/v1"})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"two words", b"one\ntwo\n", b"\xff\xfe", None])
def test_a_file_without_a_key_is_refused(tmp_path, content):
    """And what it holds is not shown."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ServerRefused, match="OPENAI_API_KEY_FILE") as caught:
        find_key({"OPENAI_API_KEY_FILE": str(path)})
    assert "words" not in str(caught.value)


@pytest.mark.parametrize(
    ("models", "kind", "model"),
    [
        ([{"id": "espeak", "owned_by": "realtts"}, {"id": "tts-1", "owned_by": "realtts"}], "realtts", "espeak"),
        ([{"id": "Qwen/Qwen3-TTS", "owned_by": "vllm"}], "vllm-omni", "Qwen/Qwen3-TTS"),
        ([{"id": "fishaudio/s2-pro", "owned_by": "sglang-omni"}], "sglang", "fishaudio/s2-pro"),
        ([{"id": "tts-1", "owned_by": "kokoro"}, {"id": "kokoro", "owned_by": "kokoro"}], "kokoro", "tts-1"),
        ([{"id": "llama", "owned_by": "me"}, {"id": "my-tts", "owned_by": "me"}], "other", "my-tts"),
        ([{"id": "one"}], "other", "one"),
        ([], "other", None),
    ],
)
def test_a_server_is_known_by_its_models(server, tts, models, kind, model):
    """And the status shows what it said."""
    server.routes["GET /v1/models"] = listed(*models)
    tts.load()
    details = tts.get_provider_status()["optimization_details"]["server"]
    assert (details["kind"], details["model"], details["address"]) == (kind, model, server.url)
    assert details["models"] == [each["id"] for each in models]


def test_several_models_and_none_named(server, tts):
    """Is an error that lists them."""
    server.routes["GET /v1/models"] = listed({"id": "tts-a"}, {"id": "tts-b"}, {"id": "llama"})
    with pytest.raises(errors.UnknownCheckpoint) as caught:
        tts.load()
    assert "tts-a, tts-b" in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    ["null", "[]", "nonsense", '{"data": 7}', '{"data": [7, null, {"id": 3}]}', '["\\u0007"]', "[" * 5000],
    ids=["null", "empty", "nonsense", "number", "entries", "bell", "deep"],
)
def test_lists_that_are_none_harm_nobody(server, tts, answer):
    """The server speaks without."""
    for path in ("models", "audio/voices"):
        server.routes[f"GET /v1/{path}"] = lambda seen: seen.answer(answer, kind="application/json", length="true")
    assert tts.generate(TEXT).duration == 1.0
    assert [voice.id for voice in tts.voices()] == []


@pytest.mark.parametrize("status", ["500 Error", "503 Busy", "401 No", "403 No", "302 Found"])
@pytest.mark.parametrize(("owner", "path"), [("realtts", "status"), ("somebody", "audio/voices")])
def test_lists_that_cannot_be_had_keep_nobody_from_speaking(server, tts, status, owner, path):
    """What is not needed to speak may fail."""
    server.routes["GET /v1/models"] = listed({"id": "one", "owned_by": owner})
    server.routes[f"GET /v1/{path}"] = lambda seen: seen.answer("", status, Location="http://elsewhere.invalid/")
    assert tts.generate(TEXT).duration == 1.0
    assert len(server.asked(f"/v1/{path}")) == 1


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ({"voices": ["vivian", "ryan"], "uploaded_voices": [{"name": "mine", "consent": "x"}]}, "vivian ryan mine"),
        ({"voices": [{"id": "af_sky", "name": "Sky"}, {"id": "am_adam", "name": "Adam"}]}, "af_sky am_adam"),
        ({"data": [{"id": "alloy", "object": "voice"}]}, "alloy"),
        (["one", "two", "one"], "one two"),
        ({"voices": {"anna": {"language": "de"}, "bert": {}}}, "anna bert"),
        ({"voices": [{"voice_id": "v1", "name": "First"}, {"voice": "v2"}]}, "v1 v2"),
    ],
)
def test_voices_are_read_in_every_form(server, tts, answer, names):
    """Of vLLM-Omni, Kokoro-FastAPI, OpenAI's lists and others; each can be named."""
    server.routes["GET /v1/audio/voices"] = lambda seen: seen.answer(
        json.dumps(answer), kind="application/json", length="true"
    )
    assert [voice.id for voice in tts.voices()] == names.split()
    tts.generate(TEXT, voice=names.split()[-1].upper())
    assert server.asked()[-1].json["voice"] == names.split()[-1]


def test_voices_that_are_not_listed_are_the_servers_to_judge(server, tts):
    """Blends, and servers without a list."""
    tts.generate(TEXT, voice="nova")
    assert server.asked()[-1].json["voice"] == "nova"


def body(kind, voice=None, language=None, speed=1.0, model="m", **options):
    """Return the body for a server of some kind."""
    request = Request(TEXT, voice, language, 7, speed, streaming=True)
    return make_body(request, RemoteOptions(**options), Server(kind, model, ()), None)


@pytest.mark.parametrize(
    ("kind", "voice"), [("realtts", None), ("vllm-omni", None), ("sglang", None), ("kokoro", None), ("openai", "alloy")]
)
def test_a_voice_is_sent_where_it_must(kind, voice):
    """Those that have a default are left to it."""
    assert body(kind).fields.get("voice") == voice


@pytest.mark.parametrize(
    ("kind", "language", "field", "value"),
    [
        ("realtts", "pt-br", "language", "pt-br"),
        ("vllm-omni", "de", "language", "German"),
        ("sglang", "zh-cn", "language", "Chinese"),
        ("vllm-omni", "Auto", "language", "Auto"),
        ("kokoro", "en-gb", "lang_code", "b"),
        ("kokoro", "ja", "lang_code", "j"),
        ("openai", "de", None, None),
        ("kokoro", "de", None, None),
    ],
)
def test_languages_are_said_in_the_servers_words(kind, language, field, value):
    """A warning says where it has none for them."""
    made = body(kind, language=language)
    assert {name: made.fields[name] for name in ("language", "lang_code") if name in made.fields} == (
        {field: value} if field else {}
    )
    assert bool(made.warnings) == (field is None)


@pytest.mark.parametrize(
    ("kind", "words"), [("realtts", "reference_text"), ("vllm-omni", "ref_text"), ("sglang", "ref_text")]
)
def test_recordings_are_sent_to_servers_that_clone(kind, words):
    """As a WAV file, with their words."""
    from realtts.contract.types import Voice

    fields = body(kind, voice=Voice(*voice_like(1.0), "Some words.")).fields
    assert fields["ref_audio"].startswith("data:audio/wav;base64,UklGR")
    assert fields[words] == "Some words."
    assert "voice" not in fields


def test_streams_are_asked_for_in_the_servers_way():
    """vLLM-Omni streams at its own speed alone."""
    assert body("vllm-omni").fields["stream_format"] == "audio"
    assert body("vllm-omni").fields["response_format"] == "wav"
    assert body("sglang", response_format="wav").fields["response_format"] == "wav"
    assert body("sglang").fields["response_format"] == "pcm"
    assert body("vllm-omni", response_format="pcm").fields["response_format"] == "pcm"
    assert "stream_format" not in body("vllm-omni", speed=1.2).fields
    assert body("sglang").fields["stream"] is True
    assert not {"stream", "stream_format"} & body("openai").fields.keys()
    assert body("other", server="vllm-omni").fields["stream_format"] == "audio"


@pytest.mark.parametrize(
    "wrong", [{"timeout_s": 0}, {"server": "x"}, {"extra_body": 3}, {"retries": 11}, {"instructions": "x" * 4097}]
)
def test_a_process_without_the_plugin_checks_the_options_alike(wrong):
    """By their JSON Schema, as of a provider in an environment of its own."""
    spec = spec_from_json(json.loads(json.dumps(spec_to_json(realtts_remote.spec))))
    assert spec.remote
    assert check_options({"extra_body": {"a": 1}, "server": "sglang"}, spec).model_dump()["extra_body"] == {"a": 1}
    with pytest.raises(errors.InvalidOption, match=next(iter(wrong))):
        check_options(wrong, spec)


def test_it_is_never_chosen_by_itself():
    """Not an embedded voice; and the errors of who lacks it name its distribution."""
    assert not realtts_remote.spec.embedded
    assert "remote" in how_to_install("openai-compatible")


def test_our_server_tells_its_rung(make):
    """Before and after it has loaded the model."""
    pytest.importorskip("realtts_http")
    pytest.importorskip("realtts_espeak")
    from running_server import Running

    from realtts_http import ServeConfig, create_app

    running = Running(create_app(ServeConfig(access_log=False, providers=("espeak",))))
    try:
        tts = make(f"{running.url}/v1")
        tts.load()
        assert tts.get_provider_status()["optimization_details"]["server"]["running"]["rung"] is None
        speech = tts.generate(TEXT, language="en-gb", speed=1.2)
        assert 0.5 < speech.duration < 4
        assert "de" in [voice.id for voice in tts.voices()]
        details = tts.get_provider_status()["optimization_details"]["server"]
        assert (details["kind"], details["model"], details["running"]["rung"]) == ("realtts", "espeak", "plain")
        tts.close()
    finally:
        running.stop()


def test_a_key_of_another_server_is_not_sent_on(monkeypatch, make, sound):
    """Each server sees what was sent to it, and no cookies or credentials of files."""
    server = ScriptedServer({"POST /v1/audio/speech": lambda seen: seen.answer(sound, length="true", Set_Cookie="a=b")})
    tts = make(server.url)
    tts.generate(TEXT)
    tts.generate(TEXT)
    server.close()
    assert all("authorization" not in seen.headers for seen in server.seen)
