"""The child's end: a process that a parent has started with a channel, for calls or for a single piece of work."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import faulthandler
import logging
import os
import platform
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from realtts.contract.events import Event
from realtts.wire.channel import Channel, ChannelClosed, Kind
from realtts.wire.faults import ErrorMessage
from realtts.wire.messages import LogMessage, from_json, to_json
from realtts.wire.reading import Answer, Hello, Job, outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["PROGRESS", "connect", "leave", "serve"]

PROGRESS = "program.progress"
"""Name of the events with a line of progress, ``text`` in their data."""

_PR_SET_PDEATHSIG = 1


class _LogHandler(logging.Handler):
    """Hands every record to the parent."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(ChannelClosed):
            try:
                self._channel.send(Kind.LOG, outgoing(LogMessage.of(record)))
            except ChannelClosed:
                raise
            except Exception:
                self.handleError(record)  # on standard error


def connect(arguments: Sequence[str] | None = None) -> Channel:
    """Return the channel that ``--fd N --parent PID`` name; log records go through it from now on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="descriptor of a connected stream socket")
    parser.add_argument("--parent", type=int, required=True, help="process to end with")
    options = parser.parse_args(arguments)
    # A crash in a native library leaves its stack on standard error; the other threads' would hide it.
    faulthandler.enable(all_threads=False)
    _end_with(options.parent)
    channel = Channel(_inherited(options.fd))
    logging.getLogger().addHandler(_LogHandler(channel))
    return channel


def serve(work: Callable[[Any, Callable[[str], None]], Any], arguments: Sequence[str] | None = None) -> int:
    """Do one piece of work for the parent.

    Args:
        work: Gets the job that the parent sent, and a function for lines of progress; returns what JSON can hold.
        arguments: As of `connect`.

    Returns:
        The exit code.
    """
    channel = connect(arguments)

    def tell(text: str) -> None:
        channel.send(Kind.EVENT, to_json(Event(PROGRESS, data={"text": text})))

    with contextlib.suppress(ChannelClosed):
        channel.send(Kind.HELLO, outgoing(Hello("", platform.python_version())))
        call = channel.receive(None)
        assert call is not None
        job = from_json(Job, call.content, trusted=True)
        logging.getLogger().setLevel(job.log_level)
        threading.Thread(target=_watch, args=(channel,), name="realtts-channel", daemon=True).start()
        try:
            answer = Answer(work(job.job, tell))
        except ChannelClosed:
            raise
        except BaseException as error:  # a plugin may even exit
            answer = Answer(error=ErrorMessage.of(error))
        channel.send(Kind.REPLY, to_json(answer))
    return 0


def leave() -> None:
    """End at once, with every process that this one has started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _watch(channel: Channel) -> None:
    """End this process with the channel: a parent sends nothing more, so whatever comes is its end."""
    with contextlib.suppress(BaseException):
        channel.receive(None)
    leave()


def _inherited(descriptor: int) -> socket.socket:
    """Return the inherited socket, closed to the programs that this process itself starts."""
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


def _end_with(parent: int) -> None:
    """Let the system kill this process when the parent ends, where it can; the closed channel tells it everywhere."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)  # it was gone before it could be watched
