"""What clients send: events of bounded size, and the fields that the server reads, checked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from pydantic import BaseModel, Field, ValidationError
from wyoming.event import async_read_event

if TYPE_CHECKING:
    from wyoming.event import Event

__all__ = ["LINE_LIMIT", "Refusal", "TextChunk", "TextStart", "WantedVoice", "WholeText", "read_event", "read_fields"]

LINE_LIMIT = 2**16
"""Longest line of JSON before an event's data, in bytes: the limit of the stream that is read from."""


class Refusal(Exception):
    """An answer that ends a connection.

    Args:
        code: A word for programs.
        message: What is wrong and what can be done.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class WantedVoice(BaseModel):
    """Who is to speak."""

    name: str | None = Field(None, max_length=1000)
    language: str | None = Field(None, max_length=1000)
    speaker: str | None = Field(None, max_length=1000)


class TextStart(BaseModel):
    """Of ``synthesize-start``."""

    voice: WantedVoice | None = None
    text_format: Literal["text", "ssml"] | None = None


class WholeText(TextStart):
    """Of ``synthesize``."""

    text: str


class TextChunk(BaseModel):
    """Of ``synthesize-chunk``."""

    text: str


_Fields = TypeVar("_Fields", bound=BaseModel)


def read_fields(kind: type[_Fields], event: Event) -> _Fields:
    """Return an event's data as checked fields; what else it holds does not matter.

    Raises:
        Refusal: A field is missing, or has another type.
    """
    try:
        return kind.model_validate(event.data, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "data"
        message = f"{event.type}, {where}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        raise Refusal("invalid_event", f"{message}. Fix: see the Wyoming protocol for its events.") from None


async def read_event(reader: asyncio.StreamReader, most_bytes: int) -> Event | None:
    """Read the next event of a client.

    Args:
        reader: Its lines are limited to `LINE_LIMIT`.
        most_bytes: Longest data or payload of an event.

    Returns:
        None: The client sends no more.

    Raises:
        Refusal: What comes is no event, or too long: where the next one begins cannot be known.
        ConnectionError: The client is gone.
    """
    bounded = _BoundedReader(reader, most_bytes)
    try:
        event = await async_read_event(cast("asyncio.StreamReader", bounded))
    except ConnectionError:
        raise
    except asyncio.IncompleteReadError:
        return None
    except Exception as error:  # whatever JSON can be instead of an event
        raise bounded.refusal() from error
    if event is None:
        if bounded.ended:
            return None
        raise bounded.refusal()
    kind: Any = event.type
    data: Any = event.data
    if not isinstance(kind, str) or not (data is None or isinstance(data, dict)):
        raise bounded.refusal()
    event.data = data or {}
    return event


class _BoundedReader:
    """What the protocol's own reader reads from: a stream that refuses to be read without a bound.

    Attributes:
        ended: Whether the stream ended where an event would begin, or in its line.
    """

    def __init__(self, reader: asyncio.StreamReader, most_bytes: int) -> None:
        self._reader, self._most = reader, most_bytes
        self._fault = "this is no event of the Wyoming protocol"
        self.ended = False

    async def readline(self) -> bytes:
        """Return a line; empty at the end."""
        try:
            line = await self._reader.readline()
        except ValueError:  # of asyncio: longer than its limit
            self._fault = f"a line is longer than {LINE_LIMIT:,} bytes"
            raise
        self.ended = not line.endswith(b"\n")
        return b"" if self.ended else line

    async def readexactly(self, size: Any) -> bytes:
        """Return so many bytes."""
        if not isinstance(size, int) or size > self._most:
            self._fault = f"an event announces more than {self._most:,} bytes"
            raise ValueError(self._fault)
        return await self._reader.readexactly(int(size))

    def refusal(self) -> Refusal:
        """Return the answer to what was read."""
        fix = "send a line of JSON, then as many bytes as its data_length and payload_length say"
        return Refusal("invalid_event", f"{self._fault[:1].upper()}{self._fault[1:]}. Fix: {fix}.")
