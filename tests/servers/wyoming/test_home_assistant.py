"""Home Assistant's own sequence of events, as docs/reference/wyoming.md has it with its source, and espeak's voices."""

from __future__ import annotations

import asyncio
import contextlib
import io
import wave

import numpy as np
import pytest
from home_assistant import Entity, Service, load_info
from wyoming.event import async_read_event, async_write_event
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop
from wyoming_client import Client, audio_of, kinds_of

from realtts import RealProvider
from realtts.serving.pcm import int16_bytes
from realtts.voices import VoiceStore


async def entity_of(server, *, wait_s=0.0):
    """The text-to-speech that Home Assistant makes of a server."""
    service = await Service.create("127.0.0.1", server.port, wait_s=wait_s)
    assert service is not None
    return Entity(service)


def samples_of(wav):
    """The bytes of a WAV file's samples, of one channel and 16 bits; its rate in Hz."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.readframes(file.getnframes()), file.getframerate()


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
        entity = await entity_of(server)
        assert (entity.service.platforms, entity.service.name, entity.streams) == (["tts"], "realtts", True)
        voices = {language: dict(named) for language, named in entity.voices.items()}
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
        options = {} if voice is None else {"voice": voice}
        audio = await (await entity_of(server)).audio(text, **options)
    assert samples_of(audio) == (spoken_alone(text, **arguments), 22_050)


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
@pytest.mark.parametrize("version", ["stream", "stream_of_2025"])
async def test_a_stream_is_spoken_once(espeak, parts, version):
    """About as long as the whole, but for pauses: what comes again as one text is passed over."""
    async with espeak() as server:
        stream = getattr(await entity_of(server), version)
        items = [item async for item in stream(coming(*parts), voice="espeak/en-us")]
    assert samples_of(items[0]) == (b"", 22_050)
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
        stream = (await entity_of(server)).stream(writing())
        assert samples_of(await anext(stream)) == (b"", 22_050)
        seconds = 0.0
        async for samples in stream:
            heard.set()
            seconds += len(samples) / 2 / 22_050
    assert seconds > 1.5


@pytest.mark.parametrize("parts", [[], [""], [" ", "\n"], ["\t\n "]], ids=repr)
async def test_nothing_to_say(espeak, parts):
    """Audio without a length, and an end: nobody waits for more."""
    async with espeak() as server:
        entity = await entity_of(server)
        assert await entity.audio("".join(parts)) == b""
        for stream in (entity.stream, entity.stream_of_2025):
            assert [samples_of(item) async for item in stream(coming(*parts))] == [(b"", 22_050)]


async def test_an_unknown_voice_ends_the_connection(espeak):
    """So that a client that looks at no errors does not wait for ever."""
    async with espeak() as server:
        entity = await entity_of(server)
        assert await entity.audio("Hello.", voice="piper/nobody") is None
        for stream in (entity.stream, entity.stream_of_2025):
            assert [item async for item in stream(coming("Hello."), voice="nobody")] == []
        assert await entity.audio("Hello.")


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


async def test_a_speaker_beside_the_voice(espeak):
    """The option that the integration adds to Home Assistant's own."""
    async with espeak() as server:
        audio = await (await entity_of(server)).audio("Guten Tag.", voice="espeak", speaker="de")
    assert samples_of(audio)[0] == spoken_alone("Guten Tag.", voice="de")


async def test_voices_come_and_go(serve, tmp_path, steps):
    """Every 30 s the list is asked for anew; a saved voice is in it without any restart."""
    async with serve() as server:
        entity = await entity_of(server)
        before = [name for name, _ in entity.voices["en"]]
        store = VoiceStore(tmp_path / "data" / "voices")
        noise = np.random.default_rng(0).normal(0, 0.2, 48_000).astype(np.float32)
        await asyncio.to_thread(store.add, "grandma", (noise, 24_000))
        assert await entity.refresh()
        assert {name for name, _ in entity.voices["en"]} - set(before) == {"stepping/grandma@en"}
        await asyncio.to_thread(store.remove, "grandma")
        assert await entity.refresh()
        assert [name for name, _ in entity.voices["en"]] == before
        assert steps.loads == 0
    assert not await entity.refresh()
    assert [name for name, _ in entity.voices["en"]] == before


async def test_setup_of_a_server_that_is_not_there_yet(espeak):
    """It is tried four times; one that comes meanwhile is found, and none that never comes."""
    async with espeak() as server:
        port = server.port
    assert await load_info("127.0.0.1", port, wait_s=0.0) is None
    tries = []

    async def answer(reader, writer):
        """A server that ends its first connections without an answer, and passes the last one on."""
        tries.append(await async_read_event(reader))
        if len(tries) == 4:
            async with Client(server) as client:
                await client.send(Describe())
                await async_write_event((await client.until("info"))[-1], writer)
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(espeak())
        front = await stack.enter_async_context(await asyncio.start_server(answer, "127.0.0.1", 0))
        info = await load_info("127.0.0.1", front.sockets[0].getsockname()[1], wait_s=0.0)
    assert [event.type for event in tries] == ["describe"] * 4
    assert [program.name for program in info.tts] == ["realtts"]


async def test_a_listener_who_interrupts(serve, steps):
    """Home Assistant stops reading and closes the connection: the model stops, and the next message is spoken."""
    async with serve() as server:
        entity = await entity_of(server)
        stream = entity.stream(coming("one two three four. And more."))
        steps.allowed.release()
        assert samples_of(await anext(stream))[1] == 16_000
        await anext(stream)
        await stream.aclose()
        await asyncio.to_thread(steps.stopped.wait, 10)
        assert steps.spoken == ["one"]
        steps.free()
        assert samples_of(await entity.audio("five six"))[0]
