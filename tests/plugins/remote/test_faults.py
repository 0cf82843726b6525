"""Servers that refuse, fail, break off or lead elsewhere."""

from __future__ import annotations

import gzip
import logging

import numpy as np
import pytest
from scripted_server import ScriptedServer

from realtts import errors
from realtts_remote.errors import BrokenSpeech, ServerBusy, ServerFailed, ServerRefused, ServerUnreachable

TEXT = "Hello there, this is a test."
KEY = "sk-proj-2f9c1d7be4"
NAN = np.full(16, np.nan, "<f4").tobytes()


def raised_by(call):
    """Return what a call raises; of an exhausted ladder the failure of the server."""
    with pytest.raises(errors.RealTTSError) as caught:
        call()
    error = caught.value
    return error.__cause__ if isinstance(error, errors.StageFailed) else error


def wav_of(rate=24_000, kind=1, bits=16, size=64, samples=b"\1\2" * 32):
    """Return a WAV file of which anything may be wrong."""
    fields = ((16, 4), (kind, 2), (1, 2), (rate, 4), (rate * 2, 4), (2, 2), (bits, 2))
    chunk = b"fmt " + b"".join(value.to_bytes(width, "little") for value, width in fields)
    return b"RIFF\xff\xff\xff\xffWAVE" + chunk + b"data" + size.to_bytes(4, "little") + samples


@pytest.mark.parametrize(
    ("content", "about", "words"),
    [
        pytest.param("<!DOCTYPE html><title>Sign in</title>", {"kind": "text/html"}, "Sign in", id="page"),
        pytest.param("<html><title>Welcome</title>", {"kind": "audio/pcm"}, "text in place of sound", id="page-as-pcm"),
        pytest.param('{"error": {"message": "no GPU"}}', {"kind": "application/json"}, "no GPU", id="json"),
        pytest.param('{"audio": "AAAA"}', {"kind": "audio/pcm"}, "text in place", id="json-as-pcm"),
        pytest.param(b"ID3\4\0\0\0\0\0\0\0\0\0\0", {"kind": "audio/mpeg"}, "audio/mpeg", id="mp3"),
        pytest.param(b"OggS" + bytes(60), {"kind": "application/octet-stream"}, "Ogg", id="ogg"),
        pytest.param(b"fLaC" + bytes(60), {"kind": ""}, "FLAC", id="flac"),
        pytest.param(b"", {}, "no audio", id="nothing"),
        pytest.param(bytes(4801), {}, "middle of a sample", id="odd"),
        pytest.param(wav_of(size=6400), {"kind": "audio/wav"}, "early", id="wav-cut"),
        pytest.param(wav_of()[:30], {"kind": "audio/wav"}, "header", id="wav-header-cut"),
        pytest.param(wav_of(rate=12_345), {"kind": "audio/wav"}, "12345 Hz", id="wav-rate"),
        pytest.param(wav_of(kind=85), {"kind": "audio/wav"}, "format 85", id="wav-mp3-inside"),
        pytest.param(
            wav_of(kind=3, bits=32, samples=NAN),
            {"kind": "audio/wav"},
            "NaN",
            id="nan",
        ),
        pytest.param(gzip.compress(bytes(4800)), {"Content_Encoding": "gzip"}, "compressed", id="gzip"),
        pytest.param("data: {}\n\n", {"kind": "text/event-stream"}, "before the last", id="events-cut"),
        pytest.param("data: nonsense\n\n", {"kind": "text/event-stream"}, "no JSON", id="events-broken"),
        pytest.param(
            'data: {"type": "speech.audio.delta", "audio": "%%"}\n\n',
            {"kind": "text/event-stream"},
            "base64",
            id="base64",
        ),
    ],
)
def test_what_is_no_speech_is_an_error(server, tts, content, about, words):
    """It says what came instead, and nothing of it is heard."""
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer(content, length="true", **about)
    error = raised_by(lambda: tts.generate(TEXT, retries=0))
    assert isinstance(error, BrokenSpeech)
    assert words in str(error)
    assert error.fix
    assert server.url in error.who


@pytest.mark.parametrize("about", [{"length": 96_000}, {"Transfer_Encoding": "chunked"}], ids=["length", "chunks"])
def test_a_connection_that_ends_half_way(server, tts, sound, about):
    """Is noticed by what the answer's head has promised."""
    part = sound[:9600] if "length" in about else b"2580\r\n" + sound[:9600] + b"\r\n"
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer(part, **about)
    error = raised_by(lambda: list(tts.stream(TEXT)))
    assert isinstance(error, ServerFailed)
    assert len(server.asked()) == 1  # some of it was heard


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            401,
            '{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}',
            ServerRefused,
            "Incor",
        ),
        (403, "Forbidden", ServerRefused, "Forbidden"),
        (404, '{"error": {"message": "The model `x` does not exist."}}', errors.UnknownCheckpoint, "does not exist"),
        (404, '{"detail": "Not Found"}', ServerRefused, "Not Found"),
        (405, '{"detail": "Method Not Allowed"}', ServerRefused, "Method"),
        (400, '{"error": {"message": "no such voice", "param": "voice"}}', errors.VoiceNotFound, "no such voice"),
        (
            400,
            '{"detail": {"error": "validation_error", "message": "Voice \'x\' not found"}}',
            errors.VoiceNotFound,
            "'x'",
        ),
        (422, '{"detail": [{"loc": ["body", "speed"], "msg": "too fast"}]}', errors.InvalidOption, "speed: too fast"),
        (400, '{"error": {"message": "too long", "param": "input"}}', errors.TextError, "too long"),
        (400, '{"error": "bad language", "param": "language"}', errors.InvalidOption, "bad language"),
        (400, '{"error": {"message": "Klingon?", "param": "language"}}', errors.UnknownLanguage, "Klingon"),
        (413, "<html><head><title>413 Too Large</title></head></html>", errors.InvalidOption, "413 Too Large"),
        (429, '{"error": {"message": "slow down"}}', ServerBusy, "slow down"),
        (503, '{"message": "warming up"}', ServerBusy, "warming up"),
        (500, "Traceback (most recent call last)", ServerFailed, "Traceback"),
        (502, "", ServerFailed, "502"),
        (418, "[1, 2]", errors.InvalidOption, "418"),
    ],
)
def test_an_answer_of_an_error_has_its_type(server, tts, status, body, kind, words):  # noqa: PLR0917
    """With the server's own words, and no rung is given up for what the caller can mend."""
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer(
        body, f"{status} No", "application/json", length="true"
    )
    error = raised_by(lambda: tts.generate(TEXT, retries=0))
    assert type(error) is kind
    assert words in str(error)
    assert str(status) in str(error)
    assert bool(tts.get_provider_status()["attempts"]) == isinstance(error, (ServerBusy, ServerFailed))


@pytest.mark.parametrize(
    "first",
    [
        pytest.param({"status": "503 Busy", "Retry_After": "0"}, id="503"),
        pytest.param({"status": "429 Slow", "Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}, id="429-date"),
        pytest.param({"status": "502 Bad Gateway"}, id="502"),
        pytest.param({"status": "200 OK", "kind": "audio/pcm"}, id="empty"),
        pytest.param(None, id="cut"),
    ],
)
def test_what_was_not_heard_is_asked_for_again(server, tts, sound, first):
    """Once more, as the server wants it."""

    def refuse(seen):
        if first is not None:
            seen.answer(**{"kind": "text/plain", "length": "true", **first})

    server.routes["POST /v1/audio/speech"] = [refuse, lambda seen: seen.answer(sound, length="true")]
    assert tts.generate(TEXT).duration == 1.0
    assert len(server.asked()) == 2
    assert tts.get_provider_status()["attempts"] == []


@pytest.mark.parametrize(
    "about",
    [
        pytest.param({"status": "429 Slow", "Retry_After": "86400"}, id="tomorrow"),
        pytest.param({"status": "503 Busy", "X_Should_Retry": "false"}, id="told-not-to"),
        pytest.param({"status": "500 Error", "X_Should_Retry": "false"}, id="failed"),
        pytest.param({"status": "400 Bad"}, id="wrong"),
        pytest.param({"status": "401 No"}, id="key"),
        pytest.param(
            {"status": "429 No", "content": '{"error": {"message": "pay", "code": "insufficient_quota"}}'}, id="quota"
        ),
    ],
)
def test_some_answers_are_final(server, tts, about):
    """The same request is not sent again, but by a caller who asks again."""
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer(**{"length": "true", **about})
    raised_by(lambda: tts.generate(TEXT))
    assert len(server.asked()) == 1


def test_a_failed_server_is_asked_again_by_the_next_request(server, tts, sound):
    """Its rung is open again, because the failure may have passed."""
    fail, work = lambda seen: seen.answer("", "500 Error"), lambda seen: seen.answer(sound, length="true")
    server.routes["POST /v1/audio/speech"] = [fail, work]
    raised_by(lambda: tts.generate(TEXT, retries=0))
    assert tts.generate(TEXT).duration == 1.0


def test_a_server_that_is_not_there(server, tts, sound):
    """Is an error that says so, and is found once it runs."""
    server.close()
    error = raised_by(lambda: tts.generate(TEXT))
    assert isinstance(error, ServerUnreachable)
    assert "no connection" in str(error)
    assert tts.get_provider_status()["attempts"][0]["retryable"]


def test_a_server_that_says_nothing(server, tts):
    """Is given up after ``timeout_s``, and not asked again."""
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.until_closed()
    error = raised_by(lambda: tts.generate(TEXT, timeout_s=0.2))
    assert isinstance(error, ServerUnreachable)
    assert "0.2 s" in str(error)
    assert len(server.asked()) == 1


def test_no_trust_is_no_connection(make):
    """A certificate that nobody vouches for is refused; nothing is sent."""
    trustme = pytest.importorskip("trustme")
    import socket
    import ssl
    import threading

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            try:
                with listening.accept()[0] as raw, context.wrap_socket(raw, server_side=True) as secure:
                    heard.append(secure.recv(100))
            except (OSError, ssl.SSLError):
                return

        heard = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        tts = make(f"https://127.0.0.1:{listening.getsockname()[1]}/v1#x")
        error = raised_by(tts.load)
        thread.join(20)
    assert isinstance(error, ServerUnreachable)
    assert "certificate" in str(error)
    assert not heard


@pytest.mark.parametrize(
    "place",
    ["http://localhost:1/v1/audio/speech", "//example.invalid/v1", "https://example.invalid/", "http://a:b@127.0.0.1/"],
)
def test_redirects_to_others_are_refused(server, tts, place):
    """Neither text nor key go where they were not sent."""
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer("", "307 Elsewhere", Location=place)
    error = raised_by(lambda: tts.generate(TEXT))
    assert isinstance(error, ServerRefused)
    assert "redirects" in str(error)


def test_no_other_server_sees_a_request(server, tts):
    """Nor one of another port of the same machine."""
    other = ScriptedServer()
    place = f"{other.url}/audio/speech"
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer("", "308 Elsewhere", Location=place)
    raised_by(lambda: tts.generate(TEXT))
    other.close()
    assert not other.seen


def test_redirects_inside_a_server_are_followed(server, tts, sound):
    """With the text; not where it would be lost, and not for ever."""
    server.routes["POST /speak"] = lambda seen: seen.answer(sound, length="true")
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer("", "307 There", Location="/speak")
    assert tts.generate(TEXT).duration == 1.0
    assert server.asked("/speak")[0].json["input"] == TEXT
    for status, place in (("302 Found", "/speak"), ("307 Round", "/v1/audio/speech")):
        server.routes["POST /v1/audio/speech"] = lambda seen, s=status, p=place: seen.answer("", s, Location=p)
        assert isinstance(raised_by(lambda: tts.generate(TEXT)), ServerRefused)
    assert len(server.asked()) < 10


@pytest.mark.parametrize("source", ["variable", "file"])
def test_the_key_is_sent_and_never_shown(server, make, monkeypatch, tmp_path, caplog, source):  # noqa: PLR0917
    """Not in status, log or error, though the server repeats it."""
    if source == "file":
        (tmp_path / "key").write_text(f"{KEY}\n")
        monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    else:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    tts = make(server.url)
    shown = [str(tts.generate(TEXT).metrics)]
    assert server.asked()[0].headers["authorization"] == f"Bearer {KEY}"
    for status in ("401 No", "400 Bad", "500 Error", "429 Slow"):
        server.routes["POST /v1/audio/speech"] = lambda seen, status=status: seen.answer(
            f'{{"error": {{"message": "key {KEY} is wrong"}}}}', status, "application/json"
        )
        error = raised_by(lambda: tts.generate(TEXT, retries=0))
        assert "***" in str(error)
        shown += [str(error), repr(error), repr(vars(error)), str(tts.get_provider_status())]
    assert KEY not in "".join([*shown, caplog.text])


@pytest.mark.parametrize("name", ["input", "model", "voice", "stream", "speed"])
def test_fields_that_realtts_fills_are_no_extra_ones(tts, name):
    """A caller cannot set them past the checks."""
    with pytest.raises(errors.InvalidOption, match=name):
        tts.generate(TEXT, extra_body={name: "x"})


@pytest.mark.parametrize("rate", [0, 7999, 12_345, 96_000, "fast"])
def test_rates_that_are_none(server, tts, rate):
    """Are refused before anything is sent."""
    with pytest.raises(errors.InvalidOption, match="sample_rate"):
        tts.generate(TEXT, sample_rate=rate)
    assert not server.asked()


@pytest.mark.parametrize("speed", [0.2, 4.1, 8.0])
def test_speeds_that_the_protocol_lacks(server, tts, speed):
    """Are refused before anything is sent."""
    with pytest.raises(errors.InvalidOption, match="speed"):
        tts.generate(TEXT, speed=speed)
    assert not server.asked()
