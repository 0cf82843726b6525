"""What Home Assistant's integration ``wyoming`` does with a server, call by call, without Home Assistant.

Read in the repository home-assistant/core, and written anew here:

- `load_info`, `Service`: ``homeassistant/components/wyoming/data.py`` (``load_wyoming_info``, ``WyomingService``), at
  82a156eb3e1a734d80006c070c6c51697906fee6;
- `Entity`: ``homeassistant/components/wyoming/tts.py`` (``WyomingTtsProvider``); `Entity.audio` is
  ``async_get_tts_audio``, as at 0a84c202c8d794d53673cc4f40b10d48965dd1dd; `Entity.stream` is ``async_stream_tts_audio``
  of today, with ``_write_tts_message`` and ``_read_tts_audio``; `Entity.stream_of_2025` is the first one that streamed
  (pull request 147392), which had read no event while it wrote the end;
- `Entity.refresh`: ``homeassistant/components/wyoming/coordinator.py`` (``WyomingInfoCoordinator``, every 30 s), at
  3c50175e9e89f1884cac470892e6bc5d8a537795.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections import defaultdict

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice

INFO_TIMEOUT_S = 1.0
INFO_RETRIES = 3


async def load_info(host, port, *, retries=INFO_RETRIES, wait_s=2.0):
    """Return the answer to describe, of the first connection that gives one within a second; None: none does."""
    for _ in range(retries + 1):
        try:
            async with AsyncTcpClient(host, port) as client:
                return await asyncio.wait_for(_describe(client), INFO_TIMEOUT_S)
        except (asyncio.TimeoutError, OSError):
            await asyncio.sleep(wait_s)
    return None


async def _describe(client):
    await client.write_event(Describe().event())
    while (event := await client.read_event()) is not None:
        if Info.is_type(event.type):
            return Info.from_event(event)
    raise ConnectionError


class Service:
    """A server that was found, and what it is good for."""

    def __init__(self, host, port, info):
        self.host, self.port, self.info = host, port, info
        kinds = {"stt": info.asr, "tts": info.tts, "wake_word": info.wake, "conversation": [*info.intent, *info.handle]}
        self.platforms = [name for name, programs in kinds.items() if any(program.installed for program in programs)]

    @classmethod
    async def create(cls, host, port, *, wait_s=2.0):
        """Connect; None: there is no such server."""
        info = await load_info(host, port, wait_s=wait_s)
        return None if info is None else cls(host, port, info)

    @property
    def name(self):
        """The title of the integration: of the first program that is installed."""
        return next((program.name for program in [*self.info.asr, *self.info.tts] if program.installed), None)


class Entity:
    """The text-to-speech of a server."""

    def __init__(self, service):
        self.service = service
        self.voices = defaultdict(list)
        self._list(service.info)

    def _list(self, info):
        self.program = next(program for program in info.tts if program.installed)
        self.voices.clear()
        for voice in self.program.voices:
            for language in voice.languages if voice.installed else ():
                self.voices[language].append((voice.name, voice.description or voice.name))
        for named in self.voices.values():
            named.sort(key=lambda each: each[1])

    @property
    def languages(self):
        """What a user may choose from."""
        return list(self.voices)

    @property
    def streams(self):
        """Whether text is sent while it is written."""
        return self.program.supports_synthesize_streaming

    async def refresh(self):
        """Ask for the voices again, once; what is not answered leaves them as they are."""
        info = await load_info(self.service.host, self.service.port, retries=0, wait_s=0)
        if info is not None:
            self._list(info)
        return info is not None

    async def audio(self, message, **options):
        """A WAV file of a message; None where there is none."""
        try:
            async with self._client() as client:
                await client.write_event(Synthesize(text=message, voice=_voice(options)).event())
                with io.BytesIO() as file:
                    writer = None
                    while True:
                        event = await client.read_event()
                        if event is None:
                            return None
                        if AudioStop.is_type(event.type):
                            break
                        if AudioChunk.is_type(event.type):
                            chunk = AudioChunk.from_event(event)
                            writer = writer or _writer(file, chunk)
                            writer.writeframes(chunk.audio)
                    if writer is not None:
                        writer.close()
                    return file.getvalue()
        except OSError:
            return None

    async def stream(self, parts, **options):
        """The bytes of a WAV file as they come, of a message that comes in parts."""
        client = self._client()
        await client.connect()
        writing = asyncio.create_task(self._write(client, parts, _voice(options)))
        begun = False
        try:
            while event := await client.read_event():
                if begun and AudioChunk.is_type(event.type):
                    yield AudioChunk.from_event(event).audio
                elif not begun and AudioStart.is_type(event.type):
                    yield _header(AudioStart.from_event(event))
                    begun = True
                elif SynthesizeStopped.is_type(event.type):
                    break
        finally:
            await client.disconnect()
            await asyncio.wait({writing})

    async def _write(self, client, parts, voice):
        try:
            await client.write_event(SynthesizeStart(voice=voice).event())
            message = ""
            async for part in parts:
                message += part
                await client.write_event(SynthesizeChunk(text=part).event())
            await client.write_event(Synthesize(text=message, voice=voice).event())
            await client.write_event(SynthesizeStop().event())
        except (OSError, AssertionError):  # the library asserts that it is connected
            pass

    async def stream_of_2025(self, parts, **options):
        """As `stream`, as the first version that streamed did it: one task reads an event while another one writes."""
        begun = False
        async for event in self._events(parts, _voice(options)):
            if begun and isinstance(event, AudioChunk):
                yield event.audio
            elif not begun and isinstance(event, AudioStart):
                begun = True
                yield _header(event)

    async def _events(self, parts, voice):
        message = ""
        try:
            async with self._client() as client:
                await client.write_event(SynthesizeStart(voice=voice).event())

                async def write():
                    nonlocal message
                    async for part in parts:
                        message += part
                        await client.write_event(SynthesizeChunk(text=part).event())

                writing = asyncio.create_task(write())
                reading = asyncio.create_task(client.read_event())
                pending = {writing, reading}
                while pending:
                    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                    if writing in done:
                        break
                    event = await reading
                    if event is None:
                        return
                    for kind in (AudioChunk, AudioStart):
                        if kind.is_type(event.type):
                            yield kind.from_event(event)
                    reading = asyncio.create_task(client.read_event())
                    pending.add(reading)
                await client.write_event(Synthesize(text=message, voice=voice).event())
                await client.write_event(SynthesizeStop().event())
                event = await reading
                while event is not None and not SynthesizeStopped.is_type(event.type):
                    for kind in (AudioChunk, AudioStart):
                        if kind.is_type(event.type):
                            yield kind.from_event(event)
                    event = await client.read_event()
        except OSError:
            pass

    def _client(self):
        return AsyncTcpClient(self.service.host, self.service.port)


def _voice(options):
    """The voice that a user has chosen; never a language."""
    name = options.get("voice")
    return None if name is None else SynthesizeVoice(name=name, speaker=options.get("speaker"))


def _writer(file, form):
    writer = wave.open(file, "wb")  # noqa: SIM115 - the caller closes it
    writer.setframerate(form.rate)
    writer.setsampwidth(form.width)
    writer.setnchannels(form.channels)
    return writer


def _header(form):
    """A WAV file without a frame: how long it gets is not known yet."""
    with io.BytesIO() as file:
        _writer(file, form).close()
        return file.getvalue()
