"""Server-sent events with audio in them: OpenAI's ``speech.audio.*``, and SGLang-Omni's chunks."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from realtts_remote.errors import BrokenSpeech, ServerFailed
from realtts_remote.refusals import message_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["audio_of_events"]

_LONGEST_LINE = 16 * 2**20


async def audio_of_events(
    blocks: AsyncIterator[bytes], *, who: str, hide: Callable[[str], str]
) -> AsyncIterator[bytes]:
    """Yield the audio that events carry, each time as one has come.

    Args:
        blocks: The answer as it comes.
        who: The server, for messages.
        hide: Takes the key out of a text of the server's.

    Raises:
        ServerFailed: An event says that it failed. BrokenSpeech: An event cannot be read, or the last one is missing.
    """
    ended = False
    async for line in _lines(blocks, who):
        if not line.startswith(b"data:"):
            continue  # names of events, comments, blank lines: the data says it all
        data = line[5:].strip()
        if data == b"[DONE]":
            ended = True
            continue
        event = _read(data, who)
        kind = str(event.get("type") or event.get("object") or "")
        if event.get("error") or kind.endswith(".error"):
            said = hide(message_of(data).text)
            raise ServerFailed(f"it failed while it spoke: {said}", who=who, fix="see the server's own log", again=True)
        ended = ended or kind.endswith(".done") or bool(event.get("finish_reason"))
        audio = event.get("audio")
        encoded = audio.get("data") if isinstance(audio, dict) else audio if audio is not None else event.get("delta")
        if encoded:
            yield _decoded(encoded, who)
    if not ended:
        raise _broken("its events end before the last one", who)


async def _lines(blocks: AsyncIterator[bytes], who: str) -> AsyncIterator[bytes]:
    pending = bytearray()
    async for block in blocks:
        pending += block
        *lines, rest = pending.split(b"\n")
        pending = bytearray(rest)
        if len(pending) > _LONGEST_LINE:
            raise _broken(f"a line of its events is longer than {_LONGEST_LINE >> 20} MiB", who)
        for line in lines:
            yield bytes(line).rstrip(b"\r")
    if pending:
        yield bytes(pending).rstrip(b"\r")


def _read(data: bytes, who: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise _broken(f"an event of it is no JSON object: {data[:60].decode('utf-8', 'replace')!r}", who)
    return event


def _decoded(encoded: object, who: str) -> bytes:
    try:
        return base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError):
        raise _broken("the audio of an event is no base64", who) from None


def _broken(what: str, who: str) -> BrokenSpeech:
    return BrokenSpeech(what, who=who, fix="see the server's own log", again=True)
