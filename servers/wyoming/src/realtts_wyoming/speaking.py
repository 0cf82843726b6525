"""A text becomes events: ``audio-start``, chunks while it is spoken, ``audio-stop``."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.tts import SynthesizeStopped

from realtts import VoiceInfo
from realtts.errors import BlankText
from realtts.serving.pcm import int16_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from wyoming.event import Event

    from realtts import Chunk
    from realtts_wyoming.state import ServerState
    from realtts_wyoming.utterance import Utterance
    from realtts_wyoming.voices import VoiceChoice

    Send = Callable[[Event], Awaitable[None]]

__all__ = ["speak"]

_WIDTH, _CHANNELS = 2, 1
_EVENT_SAMPLES = 4096
"""Most samples of an event: small, so that the time limit of each tells a slow client from a dead one."""
_log = logging.getLogger("realtts.wyoming")


async def speak(utterance: Utterance, state: ServerState, send: Send) -> None:
    """Speak a text and send its audio; cancelling the task stops the model within a step.

    A text without words is answered with audio of no length: a reply may be empty.

    Args:
        utterance: The text.
        state: Who speaks.
        send: Sends an event to the client.

    Raises:
        RealTTSError: The voice or the text cannot be spoken, or the model failed.
        Refusal: The rest of the text did not come.
    """
    choice = await state.in_thread(state.voices.choose, utterance.voice)
    audio = _Audio(utterance, send)
    if await utterance.begins():
        text = utterance.parts() if utterance.streamed and not utterance.ssml else await utterance.whole()
        with contextlib.suppress(BlankText):
            async with state.models.speaking(choice.model) as provider:
                chunks: AsyncGenerator[Chunk, None] = provider.astream(text, **_arguments(choice, utterance))  # type: ignore[assignment]  # of a generator
                async with contextlib.aclosing(chunks):
                    async for chunk in chunks:
                        await audio.send(chunk)
    await audio.end(choice.model.provider.spec.sample_rates[0])
    if utterance.streamed:
        await send(SynthesizeStopped().event())
    audio.log(choice.model.name, utterance.characters)


def _arguments(choice: VoiceChoice, utterance: Utterance) -> dict[str, Any]:
    """Return the arguments of `RealProvider.astream`; a voice is never a file of this machine, nor an address."""
    arguments: dict[str, Any] = {"language": choice.language}
    if choice.voice is not None:
        arguments["voice"] = VoiceInfo(choice.voice, choice.voice)
    if utterance.ssml:
        arguments["ssml"] = True
    return arguments


class _Audio:
    """The audio of one text on its way to the client."""

    def __init__(self, utterance: Utterance, send: Send) -> None:
        self._utterance, self._send = utterance, send
        self._rate = 0
        self._samples = 0
        self._began = time.perf_counter()
        self._first_s = 0.0

    async def send(self, chunk: Chunk) -> None:
        """Send what a chunk holds."""
        if not len(chunk.samples):
            return
        await self._start(chunk.sample_rate)
        for begin in range(0, len(chunk.samples), _EVENT_SAMPLES):
            data = int16_bytes(chunk.samples[begin : begin + _EVENT_SAMPLES])
            await self._send(AudioChunk(self._rate, _WIDTH, _CHANNELS, data).event())
        self._samples += len(chunk.samples)

    async def end(self, usual_rate: int) -> None:
        """Send the end, of audio without a length also its start."""
        await self._start(usual_rate)
        await self._send(AudioStop().event())

    def log(self, model: str, characters: int) -> None:
        """Note what was spoken, without what was said."""
        seconds = self._samples / self._rate
        _log.info("%s: %d characters, %.2f s of audio, begun after %.3f s", model, characters, seconds, self._first_s)

    async def _start(self, rate: int) -> None:
        if not self._rate:
            self._rate = rate
            self._first_s = time.perf_counter() - self._began
            self._utterance.is_heard = True
            await self._send(AudioStart(rate, _WIDTH, _CHANNELS).event())
