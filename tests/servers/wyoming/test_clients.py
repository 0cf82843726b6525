"""Clients that are slow, dead, half gone or wrong: each is answered or dropped, and harms nobody else."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from stepping_provider import stepping_spec
from wyoming.event import Event
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop
from wyoming_client import Client, audio_of, kinds_of, reached

WORD_BYTES = 3200  # of the stepping provider
_WORDS = 6000  # their audio, 19 MB, is more than the system's buffers of a connection hold


async def healthy(server):
    """Another client is answered as if nothing had happened."""
    async with Client(server) as client:
        assert (await client.info()).tts
        await client.send(Synthesize("one two"))
        assert len(audio_of(await client.until("audio-stop"))) == 2 * WORD_BYTES


async def free_again(server):
    """Nothing is spoken or waits any more."""
    await reached(lambda: not (server.state.gate.running or any(model.users for model in server.state.models.all)))


async def raw(server, data, *, half_close=True):
    """Send bytes; all events that come back until the server closes the connection."""
    client = Client(server)
    await client.connect()
    client._writer.write(data)
    if half_close:
        client._writer.write_eof()
    events = await client.until("nothing")
    await client.disconnect()
    return events


def line(**fields):
    """An event's line."""
    return json.dumps(fields).encode() + b"\n"


# -- clients that leave ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [0, 1, 3])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_client_that_leaves_stops_the_model(serve, steps, words, streamed):
    """Within a step: before the first audio, and behind some of it; no word is spoken that nobody asked for."""
    async with serve() as server:
        async with Client(server) as client:
            text = "word " * 50 + "word. And more "
            messages = [SynthesizeStart(), SynthesizeChunk(text)] if streamed else [Synthesize(text)]
            await client.send(*messages)
            for _ in range(words):
                steps.allowed.release()
            for _ in range(words):
                assert (await client.until("audio-chunk"))[-1].type == "audio-chunk"
            await reached(lambda: len(steps.spoken) == words and steps.waiting.is_set())
        await reached(steps.stopped.is_set)
        await free_again(server)
        assert len(steps.spoken) == words
        steps.free()
        await healthy(server)


async def test_a_client_that_is_reset(serve, steps):
    """A machine that crashes: what it was spoken stops, what it has waiting is never begun."""
    async with serve() as server:
        client = Client(server)
        await client.connect()
        await client.send(Synthesize("one two three"), Synthesize("four five"))
        steps.allowed.release()
        await client.until("audio-chunk")
        linger_off = b"\1\0\0\0\0\0\0\0"
        client._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_off)
        await client.disconnect()
        await free_again(server)
        assert steps.spoken == ["one"]


@pytest.mark.parametrize(
    "messages",
    [
        [Synthesize("one two three")],
        [Synthesize("one"), Synthesize("two three")],
        [SynthesizeStart(), SynthesizeChunk("one two "), SynthesizeChunk("three"), SynthesizeStop()],
        [SynthesizeStart(), SynthesizeChunk("one two three")],
        [Ping(), Synthesize("one two three"), Ping()],
    ],
    ids=len,
)
async def test_a_half_closed_connection_is_answered(serve, steps, messages):
    """A client that sends no more but reads, such as a pipe into netcat, gets all of its audio."""
    steps.free()
    async with serve() as server, Client(server) as client:
        await client.send(*messages)
        client._writer.write_eof()
        events = await client.until("nothing")
        assert len(audio_of(events)) == 3 * WORD_BYTES
        await client.disconnect()
        await free_again(server)


async def test_a_client_that_reads_nothing(serve, steps):
    """It is dropped after the time for an event, and holds nobody up meanwhile."""
    steps.free()
    async with serve(send_timeout_s=0.5) as server:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", server.port))
            deaf.sendall(line(type="synthesize", data={"text": "long. " * _WORDS}))
            await reached(lambda: "long." in steps.spoken)
            await healthy(server)
            await free_again(server)
        assert steps.spoken.count("long.") < _WORDS
        await healthy(server)


async def test_a_client_that_reads_slowly_gets_everything(serve, steps):
    """As long as it reads at all."""
    steps.free()
    async with serve() as server, Client(server) as client:
        await client.send(Synthesize("long " * 4))
        client._writer.transport.pause_reading()
        await reached(lambda: steps.spoken.count("long") == 4)
        client._writer.transport.resume_reading()
        assert len(audio_of(await client.until("audio-stop"))) == 4 * 100 * WORD_BYTES


async def test_text_that_never_comes(serve, steps):
    """An unfinished text ends after the time for its next part."""
    steps.free()
    async with serve(text_timeout_s=0.2) as server:
        for messages in ([SynthesizeStart()], [SynthesizeStart(), SynthesizeChunk("One two. And ")]):
            async with Client(server) as client:
                await client.send(*messages)
                assert (await client.error())[0] == "text_timeout"
        await free_again(server)
        await healthy(server)


# -- what is no event --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"hello\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b'"describe"\n',
        b"\xff\xfe\x00\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
        line(type=7),
        line(type=None),
        line(type="synthesize", data=[1]),
        line(type="synthesize", data="text"),
        line(type="describe", data_length="5"),
        line(type="describe", data_length=5) + b"hello",
        line(type="describe", data_length=3) + b"[1]",
        line(type="describe", data_length=10**12),
        line(type="describe", payload_length=10**18),
        line(type="describe", payload_length=1e300),
        b'{"type": "x", "data": ' + b"[" * 30_000 + b"\n",
        b"x" * 70_000 + b"\n",
        b"x" * 300_000,
    ],
    ids=lambda data: repr(data[:40]),
)
async def test_garbage_is_answered(serve, steps, data):
    """With an error that ends the connection: where the next event begins cannot be known."""
    steps.free()
    async with serve() as server:
        for half_close in (True, False):
            if half_close or data.endswith(b"\n") or len(data) > 2**16 or b"length" in data:
                events = await raw(server, data, half_close=half_close)
                assert [event.type for event in events] == ["error"]
                assert events[0].data["code"] == "invalid_event"
        await healthy(server)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"type": "describe"}', line(type="describe", data_length=50) + b"{",
     line(type="audio-chunk", payload_length=100) + b"1"],
    ids=repr,
)  # fmt: skip
async def test_half_an_event(serve, steps, data):
    """A client that goes in the middle of one has said nothing."""
    steps.free()
    async with serve() as server:
        assert await raw(server, data) == []
        await healthy(server)


@pytest.mark.parametrize(
    "event",
    [
        Event("synthesize"),
        Event("synthesize", {"text": None}),
        Event("synthesize", {"text": 7}),
        Event("synthesize", {"text": ["a"]}),
        Event("synthesize", {"text": "a", "voice": "anna"}),
        Event("synthesize", {"text": "a", "voice": {"name": 7}}),
        Event("synthesize", {"text": "a", "voice": {"name": "x" * 2000}}),
        Event("synthesize", {"text": "a", "voice": {"name": "anna", "speaker": []}}),
        Event("synthesize", {"text": "a", "text_format": "rtf"}),
        Event("synthesize-start", {"voice": []}),
        Event("synthesize-chunk", {"text": "a"}),
        Event("synthesize-stop"),
    ],
    ids=lambda event: f"{event.type} {event.data!s:.60}",
)
async def test_wrong_fields_are_named(serve, event):
    """An error says which event and field, nothing is loaded."""
    async with serve() as server, Client(server) as client:
        await client.write_event(event)
        code, text = await client.error()
        assert code == "invalid_event"
        assert text.startswith(event.type)
        assert not server.state.models.all[0].is_loaded


@pytest.mark.parametrize(
    ("text", "code"),
    [("a\0b", "invalid_text"), ("\ud800", "invalid_text"), ("x" * 200, "text_too_long"), ("...", "unspeakable_text"),
     ("  \n\0", "invalid_text")],
    ids=["NUL", "surrogate", "long", "signs", "blank and NUL"],
)  # fmt: skip
async def test_texts_that_cannot_be_spoken(serve, steps, text, code):
    """A typed error, whole and as a stream; the next client is served."""
    steps.free()
    data = json.dumps({"text": text}).encode()
    whole = line(type="synthesize", data_length=len(data)) + data
    stream = line(type="synthesize-start") + line(type="synthesize-chunk", data_length=len(data)) + data
    async with serve(max_input_chars=100) as server:
        for sent in (whole, stream + line(type="synthesize-stop")):
            events = await raw(server, sent)
            answered = [event.data["code"] for event in events if event.type == "error"]
            assert answered == [code], events
            assert events[-1].type == "error"
        await healthy(server)


async def test_unknown_events_are_passed_over(serve, steps):
    """With what they carry: programs of other kinds, and of later versions of the protocol."""
    steps.free()
    async with serve() as server, Client(server) as client:
        for kind in ("audio-start", "detect", "select-program", "transcribe", "x" * 1000):
            await client.write_event(Event(kind, {"name": "realtts", "a": [1, {"b": None}]}, b"\n" * 1000))
        await client.send(Ping("still there?"), Ping())
        pongs = [await client.read_event() for _ in range(2)]
        assert [pong.data.get("text") for pong in pongs] == ["still there?", None]
        await client.write_event(Event("synthesize", {"text": "one", "later": 1, "context": {"a": 1}, "voice": None}))
        assert kinds_of(await client.until("audio-stop")) == ["audio-start", "audio-chunk", "audio-stop"]


async def test_a_new_text_takes_the_place_of_an_unfinished_one(serve, steps):
    """Barge-in on one connection: the model stops within a step, the audio ends, the new text is spoken whole."""
    async with serve() as server, Client(server) as client:
        await client.send(SynthesizeStart(), SynthesizeChunk("one two three four. And more "))
        steps.allowed.release()
        await client.until("audio-chunk")
        await client.send(SynthesizeStart(), SynthesizeChunk("five six"), SynthesizeStop())
        assert kinds_of(await client.until("audio-stop")) == ["audio-stop"]
        steps.free()
        events = await client.until("synthesize-stopped")
        assert kinds_of(events) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
        assert steps.spoken == ["one", "five", "six"]


# -- too many ----------------------------------------------------------------------------------------------------------


async def test_idle_connections_make_room(serve, steps):
    """A hundred that say nothing keep nobody out; those that are spoken to keep their place."""
    async with serve(max_connections=3) as server:
        working = Client(server)
        await working.connect()
        await working.send(Synthesize("one two"))
        await reached(lambda: server.state.gate.running)
        idle = [Client(server) for _ in range(6)]
        for client in idle:
            await client.connect()
        ended = await asyncio.gather(*(client.read_event() for client in idle[:4]))
        assert ended == [None] * 4
        steps.free()
        await healthy(server)
        assert len(audio_of(await working.until("audio-stop"))) == 2 * WORD_BYTES
        for client in [working, *idle]:
            await client.disconnect()


async def test_a_full_server_says_so(serve, steps):
    """Connections and texts that are too many are answered with a word for programs."""
    async with serve(max_connections=2, max_requests=2) as server:
        clients = [Client(server) for _ in range(2)]
        for client in clients:
            await client.connect()
            await client.send(Synthesize("one"))
        await reached(lambda: server.state.gate.running == 2)
        async with Client(server) as late:
            assert (await late.error())[0] == "busy"
        await clients[0].send(Synthesize("two"))
        assert (await clients[0].error())[0] == "busy"
        await free_of(server, 1)
        steps.free()
        assert audio_of(await clients[1].until("audio-stop"))
        for client in clients:
            await client.disconnect()
        await healthy(server)


async def test_one_client_cannot_take_all_places(serve, steps):
    """The texts that wait of one connection are bounded."""
    async with serve() as server, Client(server) as client:
        await client.send(*(Synthesize("one") for _ in range(20)))
        assert (await client.error())[0] == "busy"
        await free_of(server, 0)


async def free_of(server, left):
    """Wait until so many texts are left."""
    await reached(lambda: server.state.gate.running <= left)


async def test_a_fault_of_the_model_names_no_folder(serve, steps, tmp_path):
    """The log has what the client need not know."""
    steps.free()
    async with serve(stepping_spec()) as server, Client(server) as client:
        await client.send(Synthesize("fail"))
        code, text = await client.error()
        assert code == "ladder_exhausted"
        assert "log" in text
        assert str(tmp_path) not in text
