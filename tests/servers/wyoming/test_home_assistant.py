"""Home Assistant's own sequence of events, as docs/reference/wyoming.md has it with its source, and espeak's voices."""

from __future__ import annotations

import asyncio

import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice
from wyoming_client import Client, audio_of, kinds_of

from realtts import RealProvider
from realtts.serving.pcm import int16_bytes

INFO_TIMEOUT_S = 1.0


class HomeAssistant:
    """What its integration does with a server: a connection for each request, closed behind it."""

    def __init__(self, server):
        self._server = server

    async def languages(self):
        """Voices by language, of the first program that is installed."""
        async with Client(self._server) as client:
            info = await asyncio.wait_for(client.info(), INFO_TIMEOUT_S)
        program = next(program for program in info.tts if program.installed)
        assert program.supports_synthesize_streaming
        voices = {}
        for voice in program.voices:
            for language in voice.languages if voice.installed else ():
                voices.setdefault(language, {})[voice.name] = voice.description or voice.name
        return voices

    async def speak(self, message, voice=None):
        """The audio of a message, None where the connection ends first; errors are not looked at."""
        chosen = SynthesizeVoice(name=voice) if voice is not None else None
        audio = b""
        async with Client(self._server) as client:
            await client.send(Synthesize(text=message, voice=chosen))
            while True:
                event = await client.read_event()
                if event is None:
                    return None
                if AudioStop.is_type(event.type):
                    return audio
                if AudioChunk.is_type(event.type):
                    audio += AudioChunk.from_event(event).audio

    async def stream(self, parts, voice=None):
        """The audio of a message that comes in parts, as it comes: its first item is the rate."""
        chosen = SynthesizeVoice(name=voice) if voice is not None else None
        client = Client(self._server)
        await client.connect()
        writing = asyncio.create_task(self._write(client, parts, chosen))
        started = False
        try:
            while (event := await client.read_event()) is not None:
                if started and AudioChunk.is_type(event.type):
                    yield AudioChunk.from_event(event).audio
                elif not started and AudioStart.is_type(event.type):
                    started = True
                    yield AudioStart.from_event(event).rate
                elif SynthesizeStopped.is_type(event.type):
                    break
        finally:
            await client.disconnect()
            await writing

    async def _write(self, client, parts, voice):
        await client.send(SynthesizeStart(voice=voice))
        message = ""
        async for part in parts:
            message += part
            await client.send(SynthesizeChunk(text=part))
        await client.send(Synthesize(text=message, voice=voice), SynthesizeStop())


async def coming(*parts):
    """A message in parts."""
    for part in parts:
        yield part


def spoken_alone(text, **arguments):
    """The bytes that a provider in this process gives."""
    with RealProvider("espeak") as tts:
        return int16_bytes(tts.generate(text, **arguments).samples)


@pytest.fixture
def espeak(serve):
    """Starts a server of espeak."""
    return lambda **fields: serve(providers=("espeak",), **fields)


async def test_every_language_has_its_voices(espeak):
    """Under tags as Home Assistant writes them; all names are different."""
    async with espeak() as server:
        voices = await HomeAssistant(server).languages()
        assert "unloaded" in server.state.models.all[0].provider.get_provider_status()["state"]
    assert len(voices) > 100
    assert voices["de"]["espeak/de"] == "German (espeak)"
    assert voices["en-US"]["espeak/en-us"].startswith("English (America)")
    assert voices["fr-FR"]


@pytest.mark.parametrize(
    ("text", "voice", "arguments"),
    [
        ("Hello there.", None, {}),
        ("Guten Tag. Es ist 12 Uhr.", "espeak/de", {"voice": "de"}),
        ("Bonjour.", "espeak/fr-fr", {"voice": "fr-fr"}),
        ("Hello there.", "espeak", {}),
        ("Dia duit.", "espeak/GA", {"voice": "ga"}),
        ("Hello, as it was named once.", "en-gb", {"voice": "en-gb"}),
    ],
    ids=str,
)
async def test_a_message_is_the_providers_audio(espeak, text, voice, arguments):
    """To the sample, whatever voice."""
    async with espeak() as server:
        audio = await HomeAssistant(server).speak(text, voice)
    assert audio == spoken_alone(text, **arguments)


@pytest.mark.parametrize(
    "parts",
    [
        ["The light ", "is on."],
        ["Hello. How ", "are ", "you? ", "Fine."],
        ["", "One", "", " two three"],
        [*"Letter by letter. And on."],
        ["A whole message. In one part."],
    ],
    ids=len,
)
async def test_a_stream_is_spoken_once(espeak, parts):
    """About as long as the whole, but for pauses: what comes again as one text is passed over."""
    async with espeak() as server:
        items = [item async for item in HomeAssistant(server).stream(coming(*parts), "espeak/en-us")]
    assert items[0] == 22_050
    whole, heard = spoken_alone("".join(parts), voice="en-us"), b"".join(items[1:])
    assert 0.7 * len(whole) < len(heard) < 1.3 * len(whole)


async def test_a_sentence_is_heard_before_the_next_is_written(espeak):
    """A language model may take its time."""
    heard = asyncio.Event()

    async def writing():
        yield "The first sentence. And "
        await heard.wait()
        yield "the second."

    async with espeak() as server:
        seconds = 0.0
        async for item in HomeAssistant(server).stream(writing()):
            if isinstance(item, bytes):
                heard.set()
                seconds += len(item) / 2 / 22_050
    assert seconds > 1.5


@pytest.mark.parametrize("parts", [[], [""], [" ", "\n"], ["\t\n "]], ids=repr)
async def test_nothing_to_say(espeak, parts):
    """Audio without a length, and an end: nobody waits for more."""
    async with espeak() as server:
        assert await HomeAssistant(server).speak("".join(parts)) == b""
        assert [item async for item in HomeAssistant(server).stream(coming(*parts))] == [22_050]


async def test_an_unknown_voice_ends_the_connection(espeak):
    """So that a client that looks at no errors does not wait for ever."""
    async with espeak() as server:
        assert await HomeAssistant(server).speak("Hello.", "piper/nobody") is None
        assert [item async for item in HomeAssistant(server).stream(coming("Hello."), "nobody")] == []
        assert await HomeAssistant(server).speak("Hello.")


async def test_the_order_of_events(espeak):
    """One start and one stop for each text, several texts on one connection."""
    async with espeak() as server, Client(server) as client:
        for text in ("One. Two. Three.", "Four."):
            await client.send(Synthesize(text))
            events = await client.until("audio-stop")
            assert kinds_of(events) == ["audio-start", "audio-chunk", "audio-stop"]
        await client.send(
            SynthesizeStart(), SynthesizeChunk("One. Two. "), SynthesizeChunk("Three."), SynthesizeStop(),
            SynthesizeStart(), SynthesizeChunk("Four."), SynthesizeStop(),
        )  # fmt: skip
        for seconds in (1.0, 0.3):
            events = await client.until("synthesize-stopped")
            assert kinds_of(events) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
            assert len(audio_of(events)) / 2 / 22_050 > seconds
