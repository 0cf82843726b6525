"""Pipecat's OpenAI service in a pipeline of its own, against the server with espeak, unchanged."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from realtts import RealProvider

pytest.importorskip("pipecat")

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]  # the client's own are not ours to mend

TEXT = "The train leaves at seven."


def run_pipeline(url, *texts, **settings):
    """The frames that leave a pipeline in which the service speaks texts, down and up."""
    from pipecat.frames.frames import TTSSpeakFrame
    from pipecat.pipeline.worker import PipelineParams
    from pipecat.services.openai.tts import OpenAITTSService
    from pipecat.tests.utils import run_test

    async def run():
        service = OpenAITTSService(
            base_url=f"{url}/v1", api_key="none", settings=OpenAITTSService.Settings(**settings), sample_rate=24_000
        )
        return await run_test(
            service,
            frames_to_send=[TTSSpeakFrame(text) for text in texts],
            pipeline_params=PipelineParams(audio_out_sample_rate=24_000),
            start_timeout=30.0,
        )

    return asyncio.run(run())


def audio_of(frames):
    """The samples of the frames, and how many frames have some."""
    from pipecat.frames.frames import TTSAudioRawFrame

    audio = [frame for frame in frames if isinstance(frame, TTSAudioRawFrame)]
    assert {(frame.sample_rate, frame.num_channels) for frame in audio} == {(24_000, 1)}
    data = b"".join(frame.audio for frame in audio)
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768, len(audio)


def names_of(frames):
    """The types of frames by name."""
    return [type(frame).__name__ for frame in frames]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"voice": "nova"},
        {"model": "espeak", "voice": "alloy"},
        {"model": "tts-1"},
        {"instructions": "Speak calmly."},
    ],
    ids=str,
)
def test_a_pipeline_hears_the_whole_speech(espeak_server, settings):
    """Between the frames that begin and end it, at the rate that it assumes."""
    down, up = run_pipeline(espeak_server.url, TEXT, **settings)
    assert "ErrorFrame" not in names_of(up)
    names = names_of(down)
    assert names.index("TTSStartedFrame") < names.index("TTSAudioRawFrame") < names.index("TTSStoppedFrame")
    samples, frames = audio_of(down)
    with RealProvider("espeak") as tts:
        assert len(samples) / 24_000 == pytest.approx(tts.generate(TEXT).duration, abs=0.01)
    assert 0.05 < np.abs(samples).max() < 1.0
    assert frames >= 1


def test_several_texts_in_their_order(espeak_server):
    """Each between its own frames; faster where the settings say so."""
    texts = ["Yes.", "One moment, please.", "Your table is booked for four people."]
    usual, _ = run_pipeline(espeak_server.url, *texts)
    quick, _ = run_pipeline(espeak_server.url, *texts, speed=2.0)
    assert names_of(usual).count("TTSAudioRawFrame") >= len(texts)
    assert len(audio_of(quick)[0]) < 0.8 * len(audio_of(usual)[0])


@pytest.mark.parametrize(("settings", "word"), [({"speed": 9.0}, "speed"), ({"model": "none"}, "no model 'none'")])
def test_errors_leave_the_pipeline_as_frames(espeak_server, settings, word):
    """With the server's message."""
    _, up = run_pipeline(espeak_server.url, TEXT, **settings)
    errors = [frame.error for frame in up if type(frame).__name__ == "ErrorFrame"]
    assert any(word in error for error in errors), errors
