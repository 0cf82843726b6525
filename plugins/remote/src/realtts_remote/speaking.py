"""One request at the server: sent, sent again while nobody has heard anything of it, and its audio as it comes."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.types import Chunk
from realtts_remote.errors import BrokenSpeech, ServerError
from realtts_remote.events import audio_of_events
from realtts_remote.refusals import message_of
from realtts_remote.samples import SampleReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    import httpx
    from numpy.typing import NDArray

    from realtts_remote.body import SpeechBody
    from realtts_remote.client import Client
    from realtts_remote.options import RemoteOptions

__all__ = ["RUNG_HEADER", "Utterance", "speak"]

RUNG_HEADER = "x-realtts-rung"
_IGNORED_HEADER = "x-realtts-ignored"
_OPENAI_RATE = 24_000
_RATE_HEADERS = ("x-sample-rate", "x-audio-sample-rate")
_LONGEST_WAIT_S = 30.0
_FIRST_WAIT_S = 0.5
_LEAST_S = 0.02
"""Audio of less than this waits for more: a server may send a few bytes at a time."""

_TEXT = ("text/", "application/json", "application/problem+json", "application/xml", "application/xhtml")
_OTHER_AUDIO = ("mpeg", "mp3", "ogg", "opus", "flac", "aac", "mp4", "webm", "m4a")


@dataclass(frozen=True, eq=False)
class Utterance:
    """What is to be spoken.

    Attributes:
        body: Of the request.
        options: Its options.
        rates: Sample rates that may come, in Hz.
    """

    body: SpeechBody
    options: RemoteOptions
    rates: Sequence[int]


async def speak(client: Client, utterance: Utterance, emit: Callable[[Chunk, str], Awaitable[None]]) -> None:
    """Speak, and hand over each chunk as it comes, with the rung that a server of ours names.

    Raises:
        ServerError: The server did not speak, or no further.
        ServerRefused, InputError: See `Client.speech`.
    """
    heard = False

    async def hand_over(chunk: Chunk, rung: str) -> None:
        nonlocal heard
        heard = heard or len(chunk.samples) > 0
        await emit(chunk, rung)

    attempt = 0
    while True:
        try:
            await _once(client, utterance, hand_over)
            return
        except ServerError as error:
            wait = _pause(error, attempt)
            if heard or not error.again or attempt >= utterance.options.retries or wait > _LONGEST_WAIT_S:
                raise
        attempt += 1
        await asyncio.sleep(wait)


async def _once(client: Client, utterance: Utterance, emit: Callable[[Chunk, str], Awaitable[None]]) -> None:
    async with client.speech(utterance.body.fields, utterance.options.timeout_s) as answer:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        events = kind == "text/event-stream"
        if kind.startswith(_TEXT) and not events:
            raise await _no_audio(client, answer, kind)
        reader = SampleReader(*_raw_format(answer.headers, utterance.options), utterance.rates, client.who)
        blocks: AsyncIterator[bytes] = answer.aiter_raw()
        if events:
            blocks = audio_of_events(blocks, who=client.who, hide=client.key.hide_in)
        if any(name in kind for name in _OTHER_AUDIO):
            blocks = _only_wav(blocks, kind, client.who)
        rung, warnings = answer.headers.get(RUNG_HEADER, ""), _warnings(utterance, answer.headers)
        waiting: list[NDArray[np.float32]] = []
        spoken = 0
        async for block in blocks:
            waiting.append(reader.feed(block))
            count = sum(map(len, waiting))
            if count >= _LEAST_S * reader.rate:
                await emit(Chunk(np.concatenate(waiting), reader.rate, warnings=warnings), rung)
                waiting, warnings, spoken = [], (), spoken + count
        rest = np.concatenate([*waiting, reader.finish()])
        if not spoken and not len(rest):
            raise BrokenSpeech("it sent no audio", who=client.who, fix="see the server's own log", again=True)
        if len(rest):
            await emit(Chunk(rest, reader.rate, warnings=warnings), rung)


def _raw_format(headers: Mapping[str, str], options: RemoteOptions) -> tuple[int, int]:
    """Return rate and channels of samples without a header: as the caller or the answer says, or OpenAI's."""
    _, _, rest = headers.get("content-type", "").partition(";")
    parameters = dict(part.strip().lower().partition("=")[::2] for part in rest.split(";"))
    rates = (parameters.get("rate"), *(headers.get(name) for name in _RATE_HEADERS))
    named = next((int(text) for text in rates if text and text.strip('" ').isdigit() and len(text) < 8), _OPENAI_RATE)
    channels = parameters.get("channels", "1").strip('"')
    return options.sample_rate or named, int(channels) if channels in {"1", "2"} else 1


async def _only_wav(blocks: AsyncIterator[bytes], kind: str, who: str) -> AsyncIterator[bytes]:
    """Pass a WAV file on that is called otherwise, as some servers do; refuse everything else."""
    beginning, passed = b"", False
    async for block in blocks:
        if passed:
            yield block
            continue
        beginning += block
        if len(beginning) < 4:
            continue
        if not beginning.startswith((b"RIFF", b"RF64")):
            break
        passed = True
        yield beginning
    if not passed:
        fix = "let the server send raw samples (pcm), or ask for a WAV file: response_format='wav'"
        raise BrokenSpeech(f"it sent {kind}, which was not asked for", who=who, fix=fix)


async def _no_audio(client: Client, answer: httpx.Response, kind: str) -> BrokenSpeech:
    """Return the error for an answer that is well and has text in place of sound."""
    content = b""
    async for block in answer.aiter_raw():
        content += block
        if len(content) > 65_536:
            break
    said = client.key.hide_in(message_of(content).text)
    fix = "check the address: it is what comes before /audio/speech, which most servers have under /v1"
    return BrokenSpeech(f"it sent {kind} in place of sound: {said}", who=client.who, fix=fix)


def _warnings(utterance: Utterance, headers: Mapping[str, str]) -> tuple[str, ...]:
    ignored = headers.get(_IGNORED_HEADER, "")
    if not ignored:
        return utterance.body.warnings
    return (*utterance.body.warnings, f"the server has no use for: {ignored[:200]}")


def _pause(error: ServerError, attempt: int) -> float:
    """Return how long to wait before a request is sent again, in seconds."""
    if error.retry_after_s is not None:
        return error.retry_after_s
    # Not all callers at the same moment.
    return _FIRST_WAIT_S * 2.0**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
