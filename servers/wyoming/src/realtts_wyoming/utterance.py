"""One text that a client sends, whole or in parts, while it is spoken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from realtts_wyoming.events import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from realtts_wyoming.events import TextStart

__all__ = ["Utterance"]


class Utterance:
    """A text, and who is to speak it.

    Args:
        start: Who speaks, and what form the text has.
        most_chars: Longest text.
        wait_s: Longest wait for the next part.
        streamed: The text comes in parts, and the answer ends with ``synthesize-stopped``.

    Attributes:
        characters: Of the text, as far as it has come.
        is_heard: Whether its audio has begun.
        is_abandoned: Whether the client has begun another text before the end of this one.
    """

    def __init__(self, start: TextStart, *, most_chars: int, wait_s: float, streamed: bool) -> None:
        self.voice = start.voice
        self.ssml = start.text_format == "ssml"
        self.streamed = streamed
        self.characters = 0
        self.is_heard = self.is_abandoned = False
        self._parts: asyncio.Queue[str | None] = asyncio.Queue()
        self._most, self._wait_s = most_chars, wait_s
        self._first = ""
        self._ended = False

    def append(self, text: str) -> None:
        """Take more text.

        Raises:
            Refusal: The whole text is too long.
        """
        self.characters += len(text)
        if self.characters > self._most:
            message = f"The text has more than {self._most:,} characters. Fix: send it in several requests."
            raise Refusal("text_too_long", message)
        if text:  # any number of empty parts may come, and none of them ends the wait for the next one
            self._parts.put_nowait(text)

    def end(self) -> None:
        """Take no more text."""
        if not self._ended:
            self._ended = True
            self._parts.put_nowait(None)

    async def begins(self) -> bool:
        """Wait for something to say; False: the text ends without.

        Raises:
            Refusal: Nothing came for too long.
        """
        while (part := await self._next()) is not None:
            self._first += part
            if self._first.strip():
                return True
        return False

    async def parts(self) -> AsyncIterator[str]:
        """Yield the text as it comes, once it has begun.

        Raises:
            Refusal: Nothing came for too long.
        """
        part: str | None = self._first
        while part is not None:
            yield part
            part = await self._next()

    async def whole(self) -> str:
        """Return the text, once it has begun and when it has ended.

        Raises:
            Refusal: Nothing came for too long.
        """
        return "".join([part async for part in self.parts()])

    async def _next(self) -> str | None:
        try:
            return await asyncio.wait_for(self._parts.get(), self._wait_s)
        except asyncio.TimeoutError:  # on Python 3.10 not the built-in one
            message = f"No text came for {self._wait_s:g} s. Fix: end a text with synthesize-stop."
            raise Refusal("text_timeout", message) from None
