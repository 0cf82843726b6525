"""LiveKit Agents' OpenAI plugin against the server with espeak, unchanged."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from realtts import RealProvider

pytest.importorskip("livekit.plugins.openai")

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]  # the client's own are not ours to mend

TEXT = "The train leaves at seven."


def speak(url, *texts, **options):
    """The samples of each text and the count of frames, as its agents hear them."""
    from livekit.agents import APIConnectOptions
    from livekit.plugins import openai

    async def run():
        heard = []
        speech = openai.TTS(base_url=f"{url}/v1", api_key="none", **options)
        try:
            speech.prewarm()
            for text in texts:
                stream = speech.synthesize(text, conn_options=APIConnectOptions(max_retry=0, timeout=20))
                async with stream:
                    frames = [event.frame async for event in stream]
                assert {(frame.sample_rate, frame.num_channels) for frame in frames} == {(24_000, 1)}
                data = b"".join(bytes(frame.data) for frame in frames)
                heard.append((np.frombuffer(data, "<i2").astype(np.float32) / 32768, len(frames)))
        finally:
            await speech.aclose()
        return heard

    return asyncio.run(run())


@pytest.fixture(scope="module")
def seconds():
    """Duration of the text in Python."""
    with RealProvider("espeak") as tts:
        return tts.generate(TEXT).duration


@pytest.mark.parametrize(
    "options",
    [
        {},  # gpt-4o-mini-tts, ash, mp3 in server-sent events
        {"model": "tts-1", "voice": "alloy"},  # mp3 as bytes
        {"model": "espeak", "voice": "en-us", "response_format": "pcm"},
        {"model": "espeak", "voice": "en-us", "response_format": "wav"},
        {"model": "tts-1-hd", "response_format": "opus"},
        {"model": "espeak", "response_format": "flac", "instructions": "Speak calmly."},
    ],
    ids=lambda options: options.get("response_format", "mp3") + " " + options.get("model", "default"),
)
def test_its_agents_hear_the_whole_speech(espeak_server, seconds, options):
    """In every format that it reads, as bytes and as events; of any FLAC its decoder drops the last block."""
    ((samples, frames),) = speak(espeak_server.url, TEXT, **options)
    lost = 4096 / 22_050 if options.get("response_format") == "flac" else 0.0
    assert len(samples) / 24_000 == pytest.approx(seconds - lost, abs=0.08)
    assert 0.05 < np.abs(samples).max() < 1.0
    assert frames > 1


def test_several_texts_one_after_the_other(espeak_server):
    """On the connections that it keeps, faster where it asks for it."""
    texts = ["Yes.", "One moment, please.", "Your table is booked for four people."]
    usual = speak(espeak_server.url, *texts, model="espeak", response_format="pcm")
    quick = speak(espeak_server.url, *texts, model="espeak", response_format="pcm", speed=2.0)
    lengths = [len(samples) for samples, _ in usual]
    assert lengths == sorted(lengths)
    assert all(len(samples) < 0.8 * length for (samples, _), length in zip(quick, lengths, strict=True))


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [({"model": "none"}, 404, "no model 'none'"), ({"voice": "nobody"}, 400, "nobody"), ({"speed": 9.0}, 400, "speed")],
)
def test_errors_are_read(espeak_server, options, status, word):
    """As errors of the client with the server's message."""
    from livekit.agents import APIStatusError

    with pytest.raises(APIStatusError) as caught:
        speak(espeak_server.url, TEXT, **options)
    assert caught.value.status_code == status
    assert word in str(caught.value)
