"""OpenAI's own client against the server, unchanged."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import pytest
import soundfile
from waiting import until

from realtts.testing import fake_spec, voice_like

openai = pytest.importorskip("openai")

TEXT = "alpha beta gamma"


@pytest.fixture
def running(serve):
    """A server."""
    return serve(fake_spec())


@pytest.fixture
def client(running):
    """OpenAI's client, without patience."""
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=1) as client:
        yield client


def test_speech_is_read_whole(client):
    """As a file."""
    answer = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="wav")
    assert answer.read().startswith(b"RIFF")


def test_speech_is_streamed(client, tmp_path):
    """To a file, and part by part."""
    with client.audio.speech.with_streaming_response.create(model="fake", voice="low", input=TEXT) as answer:
        answer.stream_to_file(tmp_path / "a.mp3")
    assert (tmp_path / "a.mp3").stat().st_size > 1000
    with client.audio.speech.with_streaming_response.create(
        model="fake", voice="low", input="word " * 40, response_format="pcm", extra_body={"options": {"delay_s": 0.01}}
    ) as answer:
        assert sum(1 for _ in answer.iter_bytes()) > 1


def test_events_are_read(client):
    """Lines of server-sent events, with OpenAI's types."""
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input=TEXT, response_format="pcm", stream_format="sse"
    ) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert len(audio) == pytest.approx(3 * 0.1 * 24_000 * 2, rel=0.01)
    assert events[-1]["type"] == "speech.audio.done"


def test_many_at_once(running):
    """The asynchronous client, 16 requests together; each as if it were alone."""

    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="none") as client:

            async def one(seed):
                answer = await client.audio.speech.create(
                    model="fake", voice="low", input=TEXT, response_format="pcm", extra_body={"seed": seed % 4}
                )
                return answer.content

            return await asyncio.gather(*(one(seed) for seed in range(16)))

    answers = asyncio.run(ask())
    assert all(answers[seed] == answers[seed % 4] for seed in range(16))


@pytest.mark.parametrize(
    ("change", "error", "param"),
    [
        ({"input": " "}, "BadRequestError", "input"),
        ({"voice": "nobody"}, "BadRequestError", "voice"),
        ({"speed": 9}, "BadRequestError", "speed"),
        ({"response_format": "exe"}, "BadRequestError", "response_format"),
        ({"model": "none"}, "NotFoundError", "model"),
    ],
)
def test_errors_are_its_own(client, change, error, param):
    """The client's exception, with the field and our fix."""
    with pytest.raises(getattr(openai, error), match="Fix:") as raised:
        client.audio.speech.create(**{"model": "fake", "voice": "low", "input": TEXT, **change})
    assert raised.value.param == param


def test_it_tries_again_where_that_helps(client, serve):
    """A full server is asked once more, after the time that it names; a wrong request is not."""
    running = serve(max_requests=1)
    answers, asked = running.state.metrics.answers, []
    labels = answers.labels
    answers.labels = lambda *names: (asked.append(names[1]), labels(*names))[1]
    client = client.with_options(base_url=f"{running.url}/v1")
    running.state.gate.enter()
    with pytest.raises(openai.RateLimitError):
        client.audio.speech.create(model="fake", voice="low", input=TEXT)
    running.state.gate.leave()
    until(lambda: asked == ["429", "429"])  # the count comes behind the answer
    asked.clear()
    with pytest.raises(openai.BadRequestError):
        client.audio.speech.create(model="fake", voice="low", input="")
    until(lambda: asked == ["400"])


def test_models_are_listed(client):
    """With the fields that its types have."""
    assert [model.id for model in client.models.list()] == ["fake"]
    assert client.models.retrieve("fake").owned_by == "realtts"


def test_voices_are_made_and_deleted(client):
    """With the fields that its types have, where it knows of voices."""
    if not hasattr(client.audio, "voices"):
        pytest.skip("this release of the client has none")
    buffer = io.BytesIO()
    soundfile.write(buffer, *voice_like(3.0), format="WAV")
    made = client.audio.voices.create(name="anna", audio_sample=("a.wav", buffer.getvalue()), consent="cons_1")
    assert (made.id, made.object, made.type) == ("anna", "audio.voice", "audio_sample")
    assert client.audio.speech.create(model="fake", voice={"id": "anna"}, input=TEXT).read()
    gone = client.audio.voices.delete("anna")
    assert (gone.id, gone.object, gone.deleted) == ("anna", "audio.voice.deleted", True)
