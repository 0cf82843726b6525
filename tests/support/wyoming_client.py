"""A client of the real library, with what the tests of the Wyoming server ask again and again."""

import asyncio

from wyoming.audio import AudioChunk, AudioStart
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info


class Client(AsyncTcpClient):
    """A client of the library, with what tests ask again and again."""

    def __init__(self, server):
        super().__init__("127.0.0.1", server.port)

    async def send(self, *messages):
        """Send messages of the library."""
        for message in messages:
            await self.write_event(message.event())

    async def until(self, kind):
        """All events up to one of this type, or up to the end of the connection."""
        events = []
        while (event := await self.read_event()) is not None:
            events.append(event)
            if event.type == kind:
                break
        return events

    async def info(self):
        """The answer to describe."""
        await self.send(Describe())
        return Info.from_event((await self.until("info"))[-1])

    async def error(self):
        """The code of the error that ends the connection, and its text."""
        events = await self.until("nothing")
        assert events[-1].type == "error", [event.type for event in events]
        return events[-1].data["code"], events[-1].data["text"]


def kinds_of(events):
    """The types of events, chunks of audio as one."""
    kinds = []
    for event in events:
        if event.type != "audio-chunk" or kinds[-1:] != ["audio-chunk"]:
            kinds.append(event.type)
    return kinds


def audio_of(events):
    """The bytes of the audio; every chunk has the form that the start names."""
    start = next(AudioStart.from_event(event) for event in events if AudioStart.is_type(event.type))
    chunks = [AudioChunk.from_event(event) for event in events if AudioChunk.is_type(event.type)]
    form = (start.rate, start.width, start.channels)
    assert all((chunk.rate, chunk.width, chunk.channels) == form for chunk in chunks)
    return b"".join(chunk.audio for chunk in chunks)


async def reached(condition):
    """Return once a condition holds; the event loop goes on meanwhile."""
    while not condition():  # noqa: ASYNC110 - of another thread
        await asyncio.sleep(0.001)
