"""POST /v1/audio/speech: formats, events, timings, fields of other servers' clients."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile

from realtts import RealProvider
from realtts.audio import read
from realtts.testing import fake_spec, voice_like
from realtts_http.encoding import CONTENT_TYPES, PCM_RATE

TEXT = "alpha beta gamma delta epsilon"


def body(**fields):
    """A request as OpenAI's client sends it."""
    return {"model": "tts-1", "voice": "alloy", "input": TEXT, **fields}


def decoded(data, kind, tmp_path):
    """Samples and rate of an answer."""
    if kind == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768, PCM_RATE
    path = tmp_path / f"answer.{kind}"
    path.write_bytes(data)
    return read(path, max_seconds=60)


@pytest.mark.parametrize("kind", [kind for kind in CONTENT_TYPES if kind != "aac"])
def test_each_format_holds_the_whole_speech(client, kind, tmp_path):
    """Of the right kind, length and loudness, and not clipped."""
    with RealProvider(fake_spec()) as tts:
        speech = tts.generate(TEXT, seed=1)
    answer = client.post("/v1/audio/speech", json=body(response_format=kind, seed=1))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == CONTENT_TYPES[kind]
    samples, rate = decoded(answer.content, kind, tmp_path)
    assert len(samples) / rate == pytest.approx(speech.duration, abs=0.12)
    assert np.abs(samples).max() == pytest.approx(np.abs(speech.samples).max(), rel=0.15)


def test_aac_is_spoken_or_refused_before_work(client):
    """Without what writes it, it is a fault of the request with a way out."""
    answer = client.post("/v1/audio/speech", json=body(response_format="aac"))
    if answer.status_code != 200:
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "response_format"
    else:
        assert answer.content[:2] in {b"\xff\xf1", b"\xff\xf9"}


def test_mp3_is_the_default(client):
    """As the contract says."""
    assert client.post("/v1/audio/speech", json=body()).headers["content-type"] == "audio/mpeg"


def test_pcm_is_the_speech_at_24_khz(make_client):
    """Resampled where the model speaks at another rate."""
    spec = fake_spec()
    with RealProvider(spec) as tts:
        speech = tts.generate(TEXT, seed=3)
    answer = make_client(spec).post("/v1/audio/speech", json=body(response_format="pcm", seed=3))
    assert len(answer.content) / 2 / PCM_RATE == pytest.approx(speech.duration, abs=0.001)


def events_of(answer):
    """The events of a stream."""
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]


def test_events_carry_the_same_audio(client):
    """Deltas joined are what is sent without events; then one that is done, with its usage."""
    plain = client.post("/v1/audio/speech", json=body(response_format="pcm", seed=5)).content
    answer = client.post("/v1/audio/speech", json=body(response_format="pcm", seed=5, stream_format="sse"))
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer)
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == plain
    assert events[-1]["type"] == "speech.audio.done"
    usage = events[-1]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


def test_events_have_the_timings(client):
    """Where the model gives marks, they come with the audio that they are of."""
    answer = client.post("/v1/audio/speech", json=body(stream_format="sse"))
    words = [mark["text"] for event in events_of(answer)[:-1] for mark in event.get("timestamps", ())]
    assert words == TEXT.split()


@pytest.mark.parametrize("kind", ["json", "srt", "vtt"])
def test_timestamps_come_beside_the_audio(client, kind):
    """As a list, or as the text of subtitles."""
    answer = client.post("/v1/audio/speech", json=body(timestamps=kind, response_format="wav")).json()
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(answer["audio"])))
    assert len(samples) / rate == pytest.approx(answer["duration"], abs=0.01)
    if kind == "json":
        assert [mark["text"] for mark in answer["timestamps"]] == TEXT.split()
        assert all(mark["end"] > mark["start"] for mark in answer["timestamps"])
    else:
        assert "-->" in answer["timestamps"]
        assert answer["timestamps"].startswith("WEBVTT") == (kind == "vtt")


def test_the_seed_repeats_a_speech(client):
    """Given, or taken from the header of the first."""
    first = client.post("/v1/audio/speech", json=body(response_format="wav"))
    again = client.post("/v1/audio/speech", json=body(response_format="wav", seed=int(first.headers["x-realtts-seed"])))
    assert first.content == again.content


@pytest.mark.parametrize("voice", ["alloy", "cedar", {"id": "low"}, "low", "LOW", None])
def test_voices_by_every_name(client, voice):
    """OpenAI's names mean the default voice, ids may stand in an object, case does not matter."""
    assert client.post("/v1/audio/speech", json=body(voice=voice)).status_code == 200


def test_configured_voices_stand_for_others(make_client):
    """What unchanged clients send can be mapped to any voice."""
    client = make_client(voices={"alloy": "high"})
    mapped = client.post("/v1/audio/speech", json=body(seed=1, response_format="wav")).content
    high = client.post("/v1/audio/speech", json=body(seed=1, voice="high", response_format="wav")).content
    low = client.post("/v1/audio/speech", json=body(seed=1, voice="low", response_format="wav")).content
    assert mapped == high != low


@pytest.mark.parametrize(
    "extra", [{"lang_code": "a"}, {"volume_multiplier": 1}, {"instructions": "cheerful"}, {"user": "x"}]
)
def test_fields_of_other_servers_are_named_not_refused(client, extra):
    """Clients that were written for another server speak, and the header says what was left out."""
    answer = client.post("/v1/audio/speech", json=body(**extra))
    assert answer.status_code == 200
    assert answer.headers["x-realtts-ignored"] == next(iter(extra))


@pytest.mark.parametrize("name", ["sped", "sead", "langauge", "response-format", "inputs"])
def test_misspelt_fields_are_refused(client, name):
    """They would else be left out without that anybody notices."""
    answer = client.post("/v1/audio/speech", json=body(**{name: 1}))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name
    assert "did you mean" in answer.json()["error"]["message"]


def test_a_recording_is_cloned(client):
    """As base64 of a file, with or without what a browser puts before it; it speaks as in Python."""
    samples, rate = voice_like()
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    with RealProvider(fake_spec()) as tts:
        speech = tts.generate(TEXT, seed=1, voice=(samples, rate))
    for text in (encoded, f"data:audio/wav;base64,{encoded}"):
        answer = client.post("/v1/audio/speech", json=body(ref_audio=text, seed=1, response_format="wav"))
        assert answer.status_code == 200, answer.text
        spoken, _ = soundfile.read(io.BytesIO(answer.content), dtype="float32")
        assert np.abs(spoken - speech.samples).max() < 1e-4


def test_options_are_the_models_own(client):
    """They are checked as in Python, and named in the error."""
    quiet = client.post("/v1/audio/speech", json=body(options={"loudness": 0.01}, response_format="wav"))
    samples, _ = soundfile.read(io.BytesIO(quiet.content))
    assert 0 < np.abs(samples).max() < 0.02
    wrong = client.post("/v1/audio/speech", json=body(options={"loudness": 9}))
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "loudness")


def test_a_batch_answers_each_input(client):
    """In order; a wrong one is an error of its own."""
    inputs = ["one two", {"input": " "}, {"input": "three", "voice": "high", "seed": 4}, {"input": "x", "voice": "no"}]
    answer = client.post("/v1/audio/speech/batch", json={"inputs": inputs, "seed": 9, "response_format": "wav"})
    data = answer.json()["data"]
    assert [entry["index"] for entry in data] == [0, 1, 2, 3]
    assert [entry.get("seed") for entry in data] == [9, None, 4, None]
    assert [entry["error"]["param"] for entry in data if "error" in entry] == ["input", "voice"]
    assert soundfile.read(io.BytesIO(base64.b64decode(data[0]["audio"])))[1] == data[0]["sample_rate"]
