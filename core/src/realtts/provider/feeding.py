"""Texts that are still being written: who reads them for a stream, in a thread or in a task of the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import threading
from typing import TYPE_CHECKING, Any, Protocol

from realtts.errors import Busy
from realtts.provider.callers import waker

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from realtts.synthesis.growing import Growth

__all__ = ["Feeder", "TaskFeeder", "ThreadFeeder", "is_written_later"]

_END = object()
"""What an exhausted iterable gives."""


class Feeder(Protocol):
    """A reader of a text that is still being written."""

    def start(self) -> None:
        """Begin to read, in the background."""


def is_written_later(text: object) -> bool:
    """Tell whether a text is handed over piece by piece."""
    if isinstance(text, (str, bytes, bytearray, memoryview)):
        return False
    return hasattr(text, "__iter__")


class ThreadFeeder:
    """The reading of an iterable in a thread of its own.

    A daemon: one that waits for the next piece of text cannot be interrupted, and ends when it comes.

    Args:
        growth: What is fed.
        text: Strings; used in that thread alone.
    """

    def __init__(self, growth: Growth, text: Iterable[object]) -> None:
        self._growth = growth
        self._text = text

    def start(self) -> None:
        """Start the thread, which sees the caller's context variables.

        Raises:
            Busy: The system gives no thread.
        """
        run, growth, text = contextvars.copy_context().run, self._growth, self._text
        thread = threading.Thread(target=run, args=(_read, growth, text), name="realtts-text", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise Busy(
                f"there is no thread to read the text: {error}", who="stream",
                fix="end other threads, or raise the limit of processes",
            ) from error  # fmt: skip


def _read(growth: Growth, text: Iterable[object]) -> None:
    iterator: Any = None
    try:
        iterator = iter(text)
        while growth.queue.wait_for_room():
            item = next(iterator, _END)
            if item is _END:
                growth.finish()
                return
            growth.push(item)
    except BaseException as error:
        _fail(growth, error)
    close = getattr(iterator, "close", None)
    if close is not None and not isinstance(iterator, io.IOBase):
        with contextlib.suppress(BaseException):  # nobody is there to hear of it
            close()


def _fail(growth: Growth, error: BaseException) -> None:
    """End a text with an error; what an extension makes of its last sentences changes nothing about that."""
    with contextlib.suppress(Exception):
        growth.fail(error)


class TaskFeeder:
    """The reading of an asynchronous iterable in a task of the reader's event loop.

    Args:
        growth: What is fed.
        text: Strings.
    """

    def __init__(self, growth: Growth, text: AsyncIterable[object]) -> None:
        self._growth = growth
        self._text = text
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.get_running_loop().create_task(self._read(), name="realtts-text")

    async def aclose(self) -> None:
        """Cancel the task, and wait until the iterable is closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        iterator: Any = None
        try:
            iterator = aiter(self._text)
            while await self._room():
                item = await anext(iterator, _END)
                if item is _END:
                    await asyncio.to_thread(self._growth.finish)
                    return
                # In a thread: an extension may be slow.
                await asyncio.to_thread(self._growth.push, item)
        except asyncio.CancelledError as error:
            _fail(self._growth, error)  # heard only where it is the iterable's own
            raise
        except BaseException as error:
            _fail(self._growth, error)
        finally:
            aclose = getattr(iterator, "aclose", None)
            if aclose is not None:
                with contextlib.suppress(Exception):  # nobody is there to hear of it
                    await aclose()

    async def _room(self) -> bool:
        """Wait until more text is wanted; False when it never will be."""
        loop = asyncio.get_running_loop()
        while not self._growth.queue.has_room(waker(loop, ready := asyncio.Event())):
            await ready.wait()
        return not self._growth.queue.stopped
