"""The program that runs in an isolated environment: ``python -m realtts.worker.main --fd N --parent PID``.

It speaks over the descriptor that it inherits. What packages print goes to standard output and error, which the parent
keeps for its messages.
"""

from __future__ import annotations

import contextlib
import platform
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import importlib_metadata

from realtts.documents import jsonable
from realtts.wire.channel import ChannelClosed, Kind
from realtts.wire.child import connect
from realtts.wire.reading import Hello, outgoing
from realtts.worker.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.events import Event

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one parent until it goes."""
    channel = connect(arguments)

    def report(event: Event) -> None:
        event = replace(event, data=jsonable(dict(event.data)))
        with contextlib.suppress(ChannelClosed):
            channel.send(Kind.EVENT, outgoing(event))  # the ladder logs what cannot be sent

    with contextlib.suppress(ChannelClosed):
        channel.send(Kind.HELLO, outgoing(Hello(importlib_metadata.version("realtts"), platform.python_version())))
        Server(channel, report).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
