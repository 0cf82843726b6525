"""The program that runs in an isolated environment: ``python -m realtts.worker.main --fd N --parent PID``.

It speaks over the descriptor that it inherits. What packages print goes to standard output and error, which the parent
keeps for its messages.
"""

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
from typing import TYPE_CHECKING

import importlib_metadata

from realtts.wire.channel import Channel, ChannelClosed, Kind
from realtts.wire.messages import LogMessage
from realtts.wire.reading import Hello, outgoing
from realtts.worker.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.events import Event

__all__ = ["main"]

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one parent until it goes."""
    parser = argparse.ArgumentParser(prog="realtts.worker.main", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="descriptor of a connected stream socket")
    parser.add_argument("--parent", type=int, required=True, help="process to end with")
    options = parser.parse_args(arguments)
    # A crash in a native library leaves its stack on standard error; the other threads' would hide it.
    faulthandler.enable(all_threads=False)
    _end_with(options.parent)
    channel = Channel(_inherited(options.fd))
    logging.getLogger().addHandler(_LogHandler(channel))

    def report(event: Event) -> None:
        with contextlib.suppress(ChannelClosed):
            channel.send(Kind.EVENT, outgoing(event))  # the ladder logs what cannot be sent

    try:
        channel.send(Kind.HELLO, outgoing(Hello(importlib_metadata.version("realtts"), platform.python_version())))
        Server(channel, report).serve()
    except ChannelClosed:
        return 0
    return 0


def _inherited(descriptor: int) -> socket.socket:
    """Return the inherited socket, closed to the programs that the worker itself starts."""
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


if __name__ == "__main__":
    sys.exit(main())
