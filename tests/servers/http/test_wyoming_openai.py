"""wyoming-openai between a client of Wyoming and the server with espeak, unchanged, as its command runs it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from waiting import until

from realtts import RealProvider

pytest.importorskip("wyoming_openai")

from wyoming.audio import AudioChunk, AudioStart  # behind the line that skips without it
from wyoming.client import AsyncUnixClient
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]  # the client's own are not ours to mend

TEXT = "The train leaves at seven."


class Bridge:
    """The bridge as a process, with the path of its socket."""

    def __init__(self, process, path):
        self.process, self.path = process, path


@contextlib.contextmanager
def bridge(url, *options):
    """Run the bridge until the end of the block."""
    with tempfile.TemporaryDirectory() as folder:  # a path of pytest's own may be too long for a socket
        path = Path(folder, "bridge")
        command = [sys.executable, "-m", "wyoming_openai", "--uri", f"unix://{path}"]
        process = subprocess.Popen([*command, "--tts-openai-url", f"{url}/v1", *options])
        try:
            until(lambda: process.poll() is not None or path.exists())
            assert process.poll() is None, "the bridge ended"
            yield Bridge(process, path)
        finally:
            process.terminate()
            process.wait(20)


async def connected(running):
    """A client of the bridge."""
    client = AsyncUnixClient(running.path)
    await client.connect()
    return client


async def speak(running, text, voice=None, parts=None):
    """The samples and rate of a text; with parts it is sent while it is written, as Home Assistant does."""
    client = await connected(running)
    chosen = SynthesizeVoice(name=voice) if voice else None
    try:
        if parts is None:
            await client.write_event(Synthesize(text=text, voice=chosen).event())
        else:
            await client.write_event(SynthesizeStart(voice=chosen).event())
            for part in parts:
                await client.write_event(SynthesizeChunk(text=part).event())
            await client.write_event(Synthesize(text=text, voice=chosen).event())
            await client.write_event(SynthesizeStop().event())
        last = "audio-stop" if parts is None else "synthesize-stopped"
        audio, rate = b"", None
        while (event := await asyncio.wait_for(client.read_event(), 30)) is not None and event.type != last:
            assert event.type != "error", event.data
            if event.type == "audio-start":
                start = AudioStart.from_event(event)
                rate = start.rate
                assert (start.width, start.channels) == (2, 1)
            elif event.type == "audio-chunk":
                audio += AudioChunk.from_event(event).audio
        assert event is not None, "the connection ended"
        return np.frombuffer(audio, "<i2").astype(np.float32) / 32768, rate
    finally:
        await client.disconnect()


async def voices_of(running):
    """Names of voices by whether their program takes text while it is written."""
    client = await connected(running)
    try:
        await client.write_event(Describe().event())
        while (event := await client.read_event()).type != "info":
            pass
        programs = Info.from_event(event).tts
        return {program.supports_synthesize_streaming: [voice.name for voice in program.voices] for program in programs}
    finally:
        await client.disconnect()


@pytest.fixture(scope="module")
def running(espeak_server):
    """The bridge with the server's own voices, and with a model that speaks text while it is written."""
    options = ["--tts-models", "tts-1", "--tts-streaming-models", "espeak", "--tts-voices", "en-us", "de", "alloy"]
    with bridge(espeak_server.url, *options) as running:
        yield running


@pytest.fixture(scope="module")
def seconds():
    """Duration of the text in Python."""
    with RealProvider("espeak") as tts:
        return tts.generate(TEXT).duration


def test_its_voices_are_those_of_its_options(running):
    """Of both models; the names say of which."""
    voices = asyncio.run(voices_of(running))
    assert voices == {
        True: ["en-us (espeak)", "de (espeak)", "alloy (espeak)"],
        False: ["en-us (tts-1)", "de (tts-1)", "alloy (tts-1)"],
    }


@pytest.mark.parametrize("voice", ["en-us (espeak)", "alloy (tts-1)", "en-us (tts-1)", "alloy (espeak)", None])
def test_a_text_is_spoken(running, seconds, voice):
    """Whole, at the model's own rate."""
    samples, rate = asyncio.run(speak(running, TEXT, voice))
    assert rate == 22_050
    assert len(samples) / rate == pytest.approx(seconds, abs=0.02)
    assert 0.05 < np.abs(samples).max() < 1.0


def test_a_text_is_spoken_while_it_is_written(running):
    """Sentence by sentence."""
    parts = ["Der Zug fährt ", "um sieben. Der Bus ", "fährt um acht. ", "Bitte nehmen Sie Platz."]
    samples, rate = asyncio.run(speak(running, "".join(parts), "de (espeak)", parts))
    with RealProvider("espeak") as tts:
        whole = tts.generate("".join(parts), voice="de").duration
    assert len(samples) / rate == pytest.approx(whole, rel=0.3)  # it adds or leaves out pauses between sentences


def test_voices_that_nobody_named_are_openai_s(espeak_server):
    """It takes the server for OpenAI's and offers those names, which are spoken."""
    with bridge(espeak_server.url, "--tts-models", "tts-1") as running:
        voices = asyncio.run(voices_of(running))[False]
        assert "alloy" in voices
        for voice in voices[::3]:
            samples, _ = asyncio.run(speak(running, "Yes.", voice))
            assert len(samples) > 1000
