"""The one variant: a server speaks, and this hands over what it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.contract.continuous import RowFailed
from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts.contract.types import Chunk
from realtts_remote.address import find_address, find_key
from realtts_remote.body import make_body
from realtts_remote.client import Client
from realtts_remote.errors import ServerError, ServerRefused
from realtts_remote.event_loop import EventLoop
from realtts_remote.options import RemoteOptions
from realtts_remote.rows import Rows
from realtts_remote.server import details_of, find_server, find_voices, rung_of
from realtts_remote.speaking import Utterance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import Request, VoiceInfo
    from realtts_remote.address import Address, Key
    from realtts_remote.server import Server

__all__ = ["Connection", "Plain"]

_LONGEST_NAME = 200


class Connection:
    """What `load` returns: a server, and the thread that speaks with it.

    Args:
        address: The server.
        key: For it.
        context: Of the load.

    Attributes:
        server: What it is.
    """

    def __init__(self, address: Address, key: Key, context: Context) -> None:
        self._report, self._rates = context.report, context.spec.sample_rates
        self._loop = EventLoop("realtts-openai-compatible-http")
        self._voices: tuple[VoiceInfo, ...] | None = None
        try:
            self._client = self._loop.run(_connect(address, key))
            self.server: Server = self._loop.run(find_server(self._client))
            self._running: dict[str, Any] | None = self._loop.run(rung_of(self._client, self.server))
        except BaseException:
            self.close()
            raise
        self._tell()

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Return the server's voices, as it lists them now."""
        self._voices = self._loop.run(find_voices(self._client, self.server))
        return self._voices

    def rows(self) -> Rows:
        """Return a place for requests that are spoken beside each other."""
        return Rows(self._loop, self._client, self._utterance, self._note_rung)

    def close(self) -> None:
        """End all requests and close all connections."""
        client = getattr(self, "_client", None)
        if client is not None:
            del self._client
            self._loop.run(client.close())
        self._loop.close()

    def _listed(self) -> tuple[VoiceInfo, ...]:
        """Return the voices that are known; a list that cannot be had keeps nobody from speaking."""
        if self._voices is None:
            try:
                self.voices()
            except (ServerError, ServerRefused):
                self._voices = ()
        return self._voices or ()

    def _utterance(self, request: Request) -> Utterance:
        options = RemoteOptions.of(request)
        first = None
        if request.voice is None and self.server.kind == "other" and options.server == "auto":
            first = next((voice.id for voice in self._listed()), None)
        return Utterance(make_body(request, options, self.server, first), options, self._rates)

    def _note_rung(self, rung: str) -> None:
        if self.server.kind == "realtts" and (self._running or {}).get("rung") != rung[:_LONGEST_NAME]:
            self._running = {**(self._running or {}), "state": "ready", "rung": rung[:_LONGEST_NAME]}
            self._tell()

    def _tell(self) -> None:
        details = details_of(self.server, self._client.address.shown, self._running)
        self._report(Event("optimization.details", data={"server": details}))


class Plain:
    """The hooks."""

    @hookimpl
    def load(self, context: Context) -> Connection:
        """Find the server and ask what it has.

        Raises:
            ServerError: It cannot be reached, or fails.
            ServerRefused: No server is named, or the key or the address do not fit.
            UnknownCheckpoint: It has several models, and none was named.
        """
        address, key = find_address(context.checkpoint), find_key()
        if key.value and address.url.scheme == "http" and not _is_here(address):
            context.log.warning("the key is sent to %s without encryption", address.shown)
        return Connection(address, key, context)

    @hookimpl
    def voices(self, context: Context, model: Connection) -> Sequence[VoiceInfo]:
        """List the server's voices; none where it has no list, and then any name is passed on.

        Raises:
            ServerError: It cannot be reached, or fails.
        """
        return model.voices()

    @hookimpl
    def generate(self, context: Context, model: Connection, request: Request) -> Iterator[Chunk]:
        """Speak one request.

        Raises:
            ServerError: The server did not speak.
            InputError: It does not take the request.
        """
        rows = model.rows()
        rows.begin(0, request)
        try:
            while len(rows):
                item = rows.step()
                content = item[1] if item is not None else None
                if isinstance(content, RowFailed):
                    raise content.error
                if isinstance(content, Chunk):
                    yield content
        finally:
            rows.close()

    @hookimpl
    def generate_continuous(self, context: Context, model: Connection, arrivals: Arrivals) -> Iterator[RowItem | None]:
        """Send requests as they come, up to ``batch_size`` at a time: the server puts them together as it can."""
        rows = model.rows()
        places = min(context.spec.batch_size, context.settings.max_batch or context.spec.batch_size)
        try:
            while True:
                taken = arrivals.take(places - len(rows))
                for arrival in taken:
                    rows.begin(arrival.number, arrival.request)
                if not len(rows):
                    return
                yield None if taken else rows.step()
        finally:
            rows.close()

    @hookimpl
    def unload(self, context: Context, model: Connection) -> None:
        """Close all connections."""
        model.close()


async def _connect(address: Address, key: Key) -> Client:
    return Client(address, key)


def _is_here(address: Address) -> bool:
    host = address.url.host
    return host in {"localhost", "::1"} or host.startswith("127.")
