"""Speech of servers that work: its form, its time, its place."""

from __future__ import annotations

import base64
import io
import json
import threading

import numpy as np
import pytest
import soundfile

from realtts.testing import voice_like

TEXT = "Hello there, this is a test."
WHOLE = 24_000


def wav(sound, subtype="PCM_16", rate=24_000, channels=1):
    """Return raw samples as a file."""
    samples = np.repeat((np.frombuffer(sound, "<i2") / 32768)[:, None], channels, axis=1)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format="WAV")
    return file.getvalue()


def streamed(file):
    """Return a WAV file as servers stream it, with lengths that nobody knew."""
    place = file.index(b"data")
    return file[:4] + b"\xff" * 4 + file[8 : place + 4] + b"\xff" * 4 + file[place + 8 :]


@pytest.mark.parametrize(
    ("answer", "rate"),
    [
        pytest.param(lambda sound: (sound, {"kind": "audio/pcm"}), 24_000, id="raw"),
        pytest.param(lambda sound: (sound, {"kind": "application/octet-stream"}), 24_000, id="octets"),
        pytest.param(lambda sound: (sound, {"kind": "audio/pcm; rate=16000"}), 16_000, id="rate-in-type"),
        pytest.param(lambda sound: (sound, {"X_Sample_Rate": "48000"}), 48_000, id="rate-in-header"),
        pytest.param(lambda sound: (wav(sound), {"kind": "audio/wav"}), 24_000, id="wav"),
        pytest.param(lambda sound: (wav(sound, rate=44_100), {"kind": "audio/pcm"}), 44_100, id="wav-called-pcm"),
        pytest.param(lambda sound: (wav(sound), {"kind": "audio/mpeg"}), 24_000, id="wav-called-mp3"),
        pytest.param(lambda sound: (streamed(wav(sound)), {"kind": "audio/wav"}), 24_000, id="wav-stream"),
        pytest.param(lambda sound: (wav(sound, "FLOAT"), {"kind": "audio/wav"}), 24_000, id="float"),
        pytest.param(lambda sound: (wav(sound, "PCM_24", 22_050), {"kind": "audio/wav"}), 22_050, id="24-bit"),
        pytest.param(lambda sound: (wav(sound, "PCM_32", channels=2), {"kind": "audio/wav"}), 24_000, id="stereo"),
        pytest.param(lambda sound: (wav(sound) + b"LIST\4\0\0\0abcd", {"kind": "audio/wav"}), 24_000, id="trailing"),
    ],
)
def test_every_form_of_sound_is_read(server, tts, sound, answer, rate):
    """At its own rate, sample by sample."""
    content, about = answer(sound)
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer(content, length="true", **about)
    speech = tts.generate(TEXT)
    assert speech.sample_rate == rate
    expected = np.frombuffer(sound, "<i2") / 32768
    assert np.abs(speech.samples - expected).max() < 1e-4


def test_the_caller_may_know_the_rate(server, tts):
    """Where the server's samples have no header and are not OpenAI's."""
    assert tts.generate(TEXT, sample_rate=16_000).duration == 1.5


@pytest.mark.parametrize("size", [1, 3, 7, 1001, 65_537])
def test_pieces_of_any_size_are_the_whole(server, tts, sound, size):
    """Also where they cut samples and headers in two."""
    for content in (sound[:4800], wav(sound[:4800])):

        def answer(seen, content=content):
            seen.answer(kind="audio/wav", Transfer_Encoding="chunked")
            for start in range(0, len(content), size):
                piece = content[start : start + size]
                seen.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            seen.send(b"0\r\n\r\n")

        server.routes["POST /v1/audio/speech"] = answer
        assert np.array_equal(tts.generate(TEXT).samples, np.frombuffer(sound[:4800], "<i2") / np.float32(32768))


def test_the_first_chunk_comes_before_the_rest_is_there(server, tts, sound):
    """The server sends more only when the first was heard."""
    heard = threading.Event()

    def answer(seen):
        seen.answer(sound[:9600])
        assert heard.wait(20)
        seen.send(sound[9600:])

    server.routes["POST /v1/audio/speech"] = answer
    with tts.stream(TEXT) as stream:
        first = next(stream)
        heard.set()
        assert first.duration + sum(chunk.duration for chunk in stream) == 1.0
    assert 0 < first.duration <= 0.2


def test_events_of_openais_form_are_read(server, tts, sound):
    """``speech.audio.delta``, as OpenAI, vLLM-Omni and our server send them."""

    def event(**fields):
        return f"event: {fields['type']}\ndata: {json.dumps(fields)}\n\n".encode()

    parts = [event(type="speech.audio.delta", audio=base64.b64encode(sound[n : n + 9601]).decode())
             for n in range(0, len(sound), 9601)]  # fmt: skip
    content = b": hello\n\n" + b"".join(parts) + event(type="speech.audio.done", usage={"output_tokens": 7})
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer(content, kind="text/event-stream", length="true")
    assert tts.generate(TEXT).duration == 1.0


def test_events_of_sglangs_form_are_read(server, tts, sound):
    """``audio.speech.chunk`` and ``[DONE]``; they are asked for where the caller streams."""

    def answer(seen):
        assert seen.json["stream"] is True
        data = json.dumps({"object": "audio.speech.chunk", "audio": {"data": base64.b64encode(sound).decode()}})
        seen.answer(f"data: {data}\r\n\r\ndata: [DONE]\r\n\r\n", kind="text/event-stream; charset=utf-8")

    models = '{"object": "list", "data": [{"id": "s2-pro", "object": "model", "owned_by": "sglang-omni"}]}'
    server.routes["GET /v1/models"] = lambda seen: seen.answer(models, kind="application/json", length="true")
    server.routes["POST /v1/audio/speech"] = answer
    assert sum(chunk.duration for chunk in tts.stream(TEXT)) == 1.0


def test_requests_are_sent_beside_each_other(server, tts, sound):
    """The server answers none before it has four: it puts them together, as it can."""
    four = threading.Barrier(4)

    def answer(seen):
        four.wait(20)
        seen.answer(sound[: 2400 * (1 + int(seen.json["input"][-2]))], length="true")

    server.routes["POST /v1/audio/speech"] = answer
    speeches = tts.generate_batch([f"This is text {n}." for n in range(4)])
    assert [round(speech.duration, 3) for speech in speeches] == [0.05, 0.1, 0.15, 0.2]


def test_max_batch_limits_them(server, make, sound):
    """One at a time, where the setting says so."""
    tts, running, most = make(server.url, max_batch=1), [], []

    def answer(seen):
        running.append(seen)
        most.append(len(running))
        seen.answer(sound, length="true")
        running.remove(seen)

    server.routes["POST /v1/audio/speech"] = answer
    tts.generate_batch(["One text.", "Two texts.", "Three texts."])
    assert most == [1, 1, 1]


@pytest.mark.parametrize("how", ["close", "cancel", "timeout"])
def test_cancelling_closes_the_connection(server, make, sound, how):
    """At once, although the server would go on."""
    tts = make(server.url, request_timeout_s=0.3 if how == "timeout" else 0.0)
    closed = threading.Event()

    def answer(seen):
        seen.answer(sound)
        seen.until_closed()
        closed.set()

    server.routes["POST /v1/audio/speech"] = answer
    with tts.stream(TEXT) as stream:
        next(stream)
        if how == "cancel":
            tts.cancel()
        elif how == "timeout":
            with pytest.raises(Exception, match="request_timeout_s"):
                list(stream)
    assert closed.wait(20)


def test_an_endless_answer_is_ended(server, tts, sound):
    """By the limit on what a text can last; its connection is closed."""
    closed = threading.Event()

    def answer(seen):
        seen.answer(sound)
        try:
            while True:
                seen.send(sound)
        except OSError:
            closed.set()

    server.routes["POST /v1/audio/speech"] = answer
    speech = tts.generate("Hi.", retries=0)
    assert speech.finish_reason == "length"
    assert speech.duration < 30
    assert closed.wait(20)


def test_what_the_request_says_reaches_the_server(server, make):
    """Text, model, voice, speed, instructions and what only this server knows."""
    tts = make(f"{server.url}#kokoro-v1")
    tts.generate(TEXT, voice="af_sky+af_bella", speed=1.5, instructions="Whisper.", extra_body={"volume_multiplier": 2})
    assert server.asked()[-1].json == {
        "input": TEXT,
        "model": "kokoro-v1",
        "voice": "af_sky+af_bella",
        "speed": 1.5,
        "instructions": "Whisper.",
        "response_format": "pcm",
        "volume_multiplier": 2,
    }


def test_ignored_fields_are_a_warning(server, tts, sound):
    """Our server names them in a header."""
    server.routes["POST /v1/audio/speech"] = lambda seen: seen.answer(
        sound, length="true", X_Realtts_Ignored="instructions"
    )
    assert any("instructions" in warning for warning in tts.generate(TEXT, instructions="Whisper.").warnings)


def test_another_provider_speaks_where_the_server_is_gone(server, make):
    """By the setting ``fallback``; nobody is asked for otherwise."""
    pytest.importorskip("realtts_espeak")
    server.close()
    speech = make(server.url, fallback=("espeak",)).generate(TEXT)
    assert speech.provider == "espeak"


def test_a_recording_of_a_server_that_does_not_clone(server, tts):
    """Is refused with what can be done, before anything is sent."""
    with pytest.raises(Exception, match="not known to clone") as caught:
        tts.generate(TEXT, voice=voice_like())
    assert "vllm-omni" in caught.value.fix
    assert not server.asked()
