"""What clients of others send that is unusual: each is answered as the protocol has it, or refused by name."""

from __future__ import annotations

import asyncio
import json

import pytest
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice
from wyoming_client import Client, audio_of, kinds_of, reached

from realtts.testing import fake_spec

WORD_BYTES = 3200  # of the stepping provider
WHOLE = ["audio-start", "audio-chunk", "audio-stop"]


async def test_parts_without_text_are_no_text(serve, steps):
    """A text whose parts stay empty ends after the time for the next part, however many of them come."""
    steps.free()
    async with serve(text_timeout_s=0.2) as server, Client(server) as client:
        await client.send(SynthesizeStart())
        reading = asyncio.create_task(client.error())
        while not reading.done():
            await client.send(*[SynthesizeChunk("")] * 20)
            await asyncio.sleep(0)
        assert (await reading)[0] == "text_timeout"


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([SynthesizeStart(), SynthesizeStop()], []),
        ([SynthesizeStart(), SynthesizeStart(), SynthesizeChunk("one"), SynthesizeStop()], ["one"]),
        ([SynthesizeStart(), Synthesize("other"), SynthesizeChunk("one"), SynthesizeStop()], ["one"]),
        (
            [SynthesizeStart(), SynthesizeChunk(""), SynthesizeChunk("o"), SynthesizeChunk("ne"), SynthesizeStop()],
            ["one"],
        ),
        (
            [SynthesizeStart(), *[SynthesizeChunk("")] * 500, SynthesizeChunk("one two"), SynthesizeStop()],
            ["one", "two"],
        ),
        ([SynthesizeStart(), Describe(), SynthesizeChunk("one"), Ping(), SynthesizeStop()], ["one"]),
        ([SynthesizeStart(), SynthesizeChunk("👩"), SynthesizeChunk("\u200d🚀 one"), SynthesizeStop()], None),
    ],
    ids=["nothing", "twice", "whole inside", "letters", "empty parts", "questions inside", "emoji in two"],
)
async def test_orders_of_events(serve, steps, messages, words):
    """Each text is spoken once and whole, and ends with one audio-stop and one synthesize-stopped."""
    steps.free()
    async with serve() as server, Client(server) as client:
        await client.send(*messages)
        kinds = [kind for kind in kinds_of(await client.until("synthesize-stopped")) if kind not in {"info", "pong"}]
        assert kinds == [kind for kind in [*WHOLE, "synthesize-stopped"] if words != [] or kind != "audio-chunk"]
        assert words is None or steps.spoken == words


async def test_questions_are_answered_while_it_speaks(serve, steps):
    """The list of voices, and whether the server is there, do not wait for the end of a text."""
    async with serve() as server, Client(server) as client:
        await client.send(Synthesize("one two"), Describe(), Ping("there?"))
        assert kinds_of(await client.until("pong")) == ["info", "pong"]
        steps.free()
        assert len(audio_of(await client.until("audio-stop"))) == 2 * WORD_BYTES


async def test_an_event_that_comes_byte_by_byte(serve, steps):
    """However the network cuts it."""
    steps.free()
    data = json.dumps({"text": "one two"}).encode()
    sent = (
        json.dumps({"type": "synthesize", "data_length": len(data), "payload_length": 3}).encode()
        + b"\n"
        + data
        + b"xyz"
    )
    async with serve() as server, Client(server) as client:
        for place in range(len(sent)):
            client._writer.write(sent[place : place + 1])
            await client._writer.drain()
            await asyncio.sleep(0)
        assert len(audio_of(await client.until("audio-stop"))) == 2 * WORD_BYTES


@pytest.mark.parametrize(
    "voice",
    [
        {"name": " fake/high "},
        {"name": "FAKE/High"},
        {"name": "", "language": "de"},
        {"name": None, "language": "GERMAN"},
        {"language": "de-DE", "later": [1]},
        {"name": "fake/high", "language": "fr"},
        {"name": "fake", "speaker": "high", "language": ""},
    ],
    ids=str,
)
async def test_voices_as_others_name_them(serve, voice):
    """With blanks, in capitals, by language, with fields of later versions."""
    async with serve(fake_spec()) as server, Client(server) as client:
        await client.write_event(Event("synthesize", {"text": "one", "voice": voice}))
        assert kinds_of(await client.until("audio-stop")) == WHOLE


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "./me.wav", "~/me.wav", "file:///me.wav", "http://127.0.0.1/me.wav", "stepping/../anna",
     "anna@", "@de", "/", "stepping/", "a" * 999, "аnna", "%00", "nobody@de"],
)  # fmt: skip
async def test_names_of_no_voice(serve, steps, tmp_path, monkeypatch, name):
    """Files of this machine and addresses are none; the error names what was asked for, and nothing is loaded."""
    steps.free()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me.wav").write_bytes(b"RIFF")
    async with serve() as server, Client(server) as client:
        await client.send(Synthesize("one", SynthesizeVoice(name)))
        code, text = await client.error()
        assert code in {"voice_not_found", "unknown_language", "voice_unsupported"}
        assert "Fix: " in text
        assert steps.spoken == []


@pytest.mark.parametrize(("longest", "sent"), [(10, 10), (10, 11)])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_the_longest_text(serve, steps, longest, sent, streamed):
    """Exactly so long is spoken, one more is refused, in one part or in many."""
    steps.free()
    text = "a" * (sent - 2) + " b"
    async with serve(max_input_chars=longest) as server, Client(server) as client:
        parts = [SynthesizeStart(), *(SynthesizeChunk(letter) for letter in text), SynthesizeStop()]
        await client.send(*(parts if streamed else [Synthesize(text)]))
        if sent <= longest:
            assert kinds_of(await client.until("audio-stop")) == WHOLE
        else:
            assert (await client.error())[0] == "text_too_long"


async def test_many_clients_at_once(serve, steps):
    """A hundred speak at the same time, each hears its own text, and nothing is left of them."""
    async with serve(max_connections=200, max_requests=200, settings={"queue_size": 200}) as server:

        async def speak(number):
            async with Client(server) as client:
                await client.send(Synthesize(" ".join(["word"] * (1 + number % 3))))
                return len(audio_of(await client.until("audio-stop"))) // WORD_BYTES

        speaking = [asyncio.create_task(speak(number)) for number in range(100)]
        await reached(lambda: server.state.gate.running == 100)
        steps.free()
        assert [await task for task in speaking] == [1 + number % 3 for number in range(100)]
        await reached(lambda: not server.state.gate.running)


@pytest.mark.parametrize(
    "sent", [[Describe()], [Ping("x" * 1000)], [SynthesizeStart()], [SynthesizeStart(), SynthesizeStop()]]
)
async def test_a_client_that_leaves_at_once(serve, steps, sent):
    """Behind any event, without waiting for its answer: nobody else notices."""
    steps.free()
    async with serve() as server:
        for _ in range(5):
            client = Client(server)
            await client.connect()
            await client.send(*sent)
            client._writer.transport.abort()
        async with Client(server) as client:
            await client.send(Synthesize("one"))
            assert kinds_of(await client.until("audio-stop")) == WHOLE
        await reached(lambda: not server.state.gate.running)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b'{"type": "ping", "data": {"text": NaN}}\n', "pong"),
        (b'{"type": "ping", "data": {"text": 1e999}}\n', "pong"),
        (b'{"type": "ping", "type": "describe"}\n', "info"),
        (b'{"type": "describe", "version": "99.0", "data": null}\n', "info"),
        (b'{"type": "describe", "data": {}, "data_length": 0, "payload_length": 0}\r\n', "info"),
        (b'{"type": "describe", "data_length": null}\n', "info"),
        (b'{"type": "PING"}\n{"type": "ping"}\n', "pong"),
    ],
    ids=repr,
)
async def test_odd_lines(serve, data, answer):
    """What can be read as an event is one."""
    async with serve() as server, Client(server) as client:
        client._writer.write(data)
        assert (await client.read_event()).type == answer


@pytest.mark.parametrize(
    ("text", "code"),
    [("<speak>one", "invalid_markup"), ("one & two", "invalid_markup"), ("<speak/>", "unspeakable_text"), ("", "")],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_markup_that_is_none(serve, text, code, streamed):
    """A typed error; no text at all is audio without a length."""
    async with serve(providers=("espeak",)) as server, Client(server) as client:
        form = {"text_format": "ssml"}
        start, chunk = Event("synthesize-start", form), SynthesizeChunk(text).event()
        whole = Event("synthesize", {"text": text, **form})
        for event in [start, chunk, SynthesizeStop().event()] if streamed else [whole]:
            await client.write_event(event)
        if code:
            assert (await client.error())[0] == code
        else:
            assert kinds_of(await client.until("audio-stop")) == ["audio-start", "audio-stop"]
