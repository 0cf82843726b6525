"""Framed messages over a socket: a fixed header, JSON, and raw bytes. No pickle, and nothing larger than is allowed.

header    16 bytes: "rtts", version, kind, number of the call, length of the JSON, length of the bytes (big-endian)
JSON      an object
bytes     float32 samples, little-endian
"""

from __future__ import annotations

import contextlib
import json
import struct
import threading
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

__all__ = ["PROTOCOL", "Channel", "ChannelClosed", "ChannelFault", "Frame", "Kind", "OtherProtocol"]

MAGIC = b"rtts"
PROTOCOL = 4
"""Version of the messages; a change that an older side would misread raises it."""

MOST_JSON = 16 << 20
MOST_BYTES = 256 << 20
"""The largest parts of a frame: three quarters of an hour of audio at 24 kHz take 260 MB."""

_CALLS = (1 << 16) - 1
_HEADER = struct.Struct("!4sBBHII")


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1  # worker: its versions of Python and of the core
    CALL = 2  # parent: one of `realtts.wire.calls`
    REPLY = 3  # worker: a `Reply`
    CHUNK = 4  # worker: a `ChunkMessage` of the running call, and its samples
    CREDIT = 5  # parent: that many more chunks of a row may be sent
    CANCEL = 6  # parent: these rows of the running call are cancelled
    END = 7  # parent: no more rows and no more chunks of the running call
    EVENT = 8  # worker: an `Event`
    LOG = 9  # worker: a `LogMessage`
    VOICE = 10  # parent: a `VoiceMessage` and its samples; rows then name the recording by its digest
    ROW = 11  # parent: a `RowMessage`: a row joins the running call
    OUTCOME = 12  # worker: a `RowOutcome`: the end of a row


class Frame(NamedTuple):
    """One message.

    Attributes:
        kind: What it is.
        content: Its JSON; nothing of it is checked yet, see `realtts.wire.reading`.
        data: Its raw bytes.
        call: Number of the call that its sender worked on.
    """

    kind: Kind
    content: dict[str, Any]
    data: bytearray
    call: int = 0


class _Header(NamedTuple):
    """The header of a frame; two lengths."""

    kind: Kind
    call: int
    text: int
    data: int


class ChannelClosed(Exception):
    """The other side is gone."""


class ChannelFault(Exception):
    """Bytes that are no frame, or a frame that is too large."""


class OtherProtocol(ChannelFault):
    """The other side speaks another version of the messages."""


class Channel:
    """One side of a socket. Any thread may send; one at a time may receive.

    Args:
        sock: Connected stream socket, owned by the channel.

    Attributes:
        call: Number of the call that was sent or received last. Every frame carries it, so that a late answer is not
            taken for that to another question.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = threading.Lock()
        self.call = 0
        self._filled = 0
        self._parts: list[bytearray] = [bytearray(_HEADER.size)]

    def send(
        self,
        kind: Kind,
        content: Mapping[str, Any] | None = None,
        data: memoryview | bytes = b"",
        waiting: Callable[[], None] | None = None,
    ) -> None:
        """Send a frame.

        Args:
            kind: Its kind.
            content: An object for JSON; values that JSON has no word for are sent as text.
            data: Raw bytes.
            waiting: Called now and then while the other side does not read, if the socket has a timeout; raises to
                stop.

        Raises:
            ChannelClosed: The other side is gone. ChannelFault: it is too large.
        """
        text = json.dumps(content or {}, separators=(",", ":"), default=str).encode()
        size = memoryview(data).nbytes
        if len(text) > MOST_JSON or size > MOST_BYTES:
            raise ChannelFault(f"a frame of {len(text)} + {size} bytes is too large to be sent")
        with self._sending:
            if kind is Kind.CALL:
                self.call = self.call % _CALLS + 1
            head = _HEADER.pack(MAGIC, PROTOCOL, kind, self.call, len(text), size) + text
            self._send_all(memoryview(head), waiting)
            if size:
                self._send_all(memoryview(data).cast("B"), waiting)

    def receive(self, timeout_s: float | None) -> Frame | None:
        """Return the next frame, None when it is not complete in time; what has come of it is kept.

        Raises:
            ChannelClosed: The other side is gone. ChannelFault: what came is no frame.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        self._socket.settimeout(timeout_s)
        while True:
            part = self._parts[-1]
            if self._filled < len(part) and not self._fill(part, until):
                return None
            self._filled = 0
            if len(self._parts) == 1:
                self._parts.append(bytearray(self._header().text))
            elif len(self._parts) == 2:
                self._parts.append(bytearray(self._header().data))
            else:
                return self._complete()

    @property
    def partial(self) -> bool:
        """Whether a frame has begun to come and is not complete."""
        return self._filled > 0 or len(self._parts) > 1

    def close(self) -> None:
        """Close this side."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _fill(self, part: bytearray, until: float | None) -> bool:
        view = memoryview(part)
        while self._filled < len(part):
            try:
                count = self._socket.recv_into(view[self._filled :])
            except (TimeoutError, BlockingIOError):
                return False
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            if not count:
                raise ChannelClosed("the other side has closed the channel")
            self._filled += count
            # Each wait for a byte is bounded by the socket; a trickle of them is not.
            if until is not None and time.monotonic() > until and self._filled < len(part):
                return False
        return True

    def _header(self) -> _Header:
        magic, version, kind, call, text, data = _HEADER.unpack(self._parts[0])
        if magic != MAGIC:
            raise ChannelFault(f"{bytes(self._parts[0])!r} is no header of a frame")
        if version != PROTOCOL:
            raise OtherProtocol(f"it speaks version {version} of the messages, this is version {PROTOCOL}")
        if text > MOST_JSON or data > MOST_BYTES:
            raise ChannelFault(f"a frame of {text} + {data} bytes is too large")
        try:
            return _Header(Kind(kind), call, text, data)
        except ValueError:
            raise ChannelFault(f"there is no frame of kind {kind}") from None

    def _complete(self) -> Frame:
        header = self._header()
        _, text, data = self._parts
        self._parts = [bytearray(_HEADER.size)]
        try:
            content = json.loads(text.decode())  # of bytes it would take other encodings as well
        except (ValueError, RecursionError) as error:
            raise ChannelFault(f"a frame's JSON cannot be read: {error}") from None
        if not isinstance(content, dict):
            raise ChannelFault(f"a frame holds a {type(content).__name__} instead of an object")
        if header.kind is Kind.CALL:
            self.call = header.call
        return Frame(header.kind, content, data, header.call)

    def _send_all(self, view: memoryview, waiting: Callable[[], None] | None) -> None:
        sent = 0
        while sent < len(view):
            try:
                sent += self._socket.send(view[sent:])
            except (TimeoutError, BlockingIOError):
                if waiting is not None:
                    waiting()
                    time.sleep(0.001)  # the socket's own timeout may be shorter
            except OSError as error:
                raise ChannelClosed(str(error)) from error
