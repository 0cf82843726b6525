"""Running a server: its configuration, models in memory, signals, the announcement, the command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from stepping_provider import stepping_spec
from wyoming.client import AsyncUnixClient
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice
from wyoming_client import Client, audio_of, kinds_of, reached

from realtts.cli.app import make_parser, run
from realtts.errors import MissingExtra, NoProvider, SettingsError
from realtts_wyoming import WyomingConfig, WyomingServer
from realtts_wyoming.announcement import announced, own_address
from realtts_wyoming.config import parse_uri, resolve_config
from realtts_wyoming.serving import _serve

# -- configuration -----------------------------------------------------------------------------------------------------


def test_layers_of_the_configuration(tmp_path):
    """The command line, then the environment, then the file."""
    file = tmp_path / "own.toml"
    file.write_text(
        '[wyoming]\nuri = "tcp://0.0.0.0:1"\nproviders = ["a"]\nmax_loaded = 2\n[wyoming.voices]\nx = "a/b"\n'
    )
    environ = {"REALTTS_CONFIG": str(file), "REALTTS_WYOMING_URI": "tcp://0.0.0.0:2", "REALTTS_WYOMING_MODELS": "a=b"}
    config = resolve_config({"uri": None, "max_loaded": 3}, environ=environ)
    assert (config.uri, config.providers, config.max_loaded) == ("tcp://0.0.0.0:2", ("a",), 3)
    assert (config.voices, config.models) == ({"x": "a/b"}, {"a": "b"})


@pytest.mark.parametrize(
    "environ", [{"REALTTS_WYOMING_DRAIN_S": "x"}, {"REALTTS_WYOMING_URL": "tcp://a:1"}, {"REALTTS_WYOMING_URI": "a:1"}]
)
def test_wrong_configurations_say_where(environ):
    """With a fix."""
    with pytest.raises(SettingsError, match="Fix: "):
        resolve_config({}, environ=environ)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("tcp://0.0.0.0:10200", ("0.0.0.0", 10200, "")),
        ("tcp://[::]:10200/", ("::", 10200, "")),
        ("tcp://localhost:0", ("localhost", 0, "")),
        ("unix:///run/tts.sock", ("", 0, "/run/tts.sock")),
        ("unix://tts.sock", ("", 0, "tts.sock")),
    ],
)
def test_addresses(uri, expected):
    """TCP and Unix sockets."""
    assert parse_uri(uri) == expected


@pytest.mark.parametrize(
    "uri",
    ["", "tcp://", "tcp://host", "tcp://:10200", "tcp://host:x", "tcp://host:70000", "tcp://[::1", "stdio://",
     "http://host:80", "unix://", "unix:///", "tcp://user@host:1", "tcp://host:1/path", "10200"],
)  # fmt: skip
def test_addresses_that_are_none(uri):
    """An error that shows the form."""
    with pytest.raises(SettingsError, match=r"tcp://HOST:PORT"):
        parse_uri(uri)


async def test_an_address_that_is_taken(serve):
    """A typed error; nothing is left behind."""
    async with serve() as first:
        with pytest.raises(SettingsError, match="cannot be listened on"):
            async with serve(uri=f"tcp://127.0.0.1:{first.port}"):
                pass


def test_what_is_not_installed():
    """At the start, before anything listens."""
    with pytest.raises(NoProvider, match="Fix: serve it too"):
        WyomingServer(WyomingConfig(models={"espeka": "x"}), (stepping_spec(),))


# -- models in memory --------------------------------------------------------------------------------------------------


async def test_the_least_used_model_makes_room(serve, steps):
    """At most as many are loaded as the configuration says; one that speaks is not unloaded."""
    steps.free()
    specs = [stepping_spec(name=name) for name in ("one", "two")]
    async with serve(*specs, max_loaded=1) as server, Client(server) as client:
        for name in ("one", "two", "one"):
            await client.send(Synthesize("a b", SynthesizeVoice(name)))
            assert audio_of(await client.until("audio-stop"))
            assert [model.name for model in server.state.models.all if model.is_loaded] == [name]
        await client.send(Synthesize("a b", SynthesizeVoice("one")), Synthesize("c", SynthesizeVoice("two")))
        for _ in range(2):
            assert audio_of(await client.until("audio-stop"))
    assert steps.loads == 4


async def test_preload(serve, steps):
    """Clients are answered meanwhile."""
    async with serve(preload=True) as server, Client(server) as client:
        assert (await client.info()).tts
        await reached(lambda: steps.loads == 1 and server.state.models.all[0].is_loaded)


# -- the end -----------------------------------------------------------------------------------------------------------


class Process:
    """The whole of the command's process, but in this one: on a Unix socket, with its signals."""

    def __init__(self, **fields):
        self.path = Path(tempfile.mkdtemp(), "tts")
        config = WyomingConfig(uri=f"unix://{self.path}", **fields)
        self.task = asyncio.create_task(_serve(config, {"specs": (stepping_spec(),)}))

    async def client(self):
        """Connect, once it listens."""
        while not self.path.exists():
            assert not self.task.done(), self.task.result()
            await asyncio.sleep(0.001)
        client = AsyncUnixClient(self.path)
        await client.connect()
        return client


async def events_of(client):
    """All that comes until the connection ends."""
    events = []
    while (event := await client.read_event()) is not None:
        events.append(event)
    return events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_signal_ends_what_was_begun(steps, number):
    """Idle connections at once, a text that is spoken with its whole audio; new ones are refused."""
    process = Process()
    working, waiting, idle = [await process.client() for _ in range(3)]
    await working.write_event(Synthesize("one two three").event())
    for message in (SynthesizeStart(), SynthesizeChunk("four five. And ")):
        await waiting.write_event(message.event())
    await reached(steps.waiting.is_set)
    os.kill(os.getpid(), number)
    assert await idle.read_event() is None
    with pytest.raises((ConnectionError, FileNotFoundError)):
        await AsyncUnixClient(process.path).connect()
    steps.free()
    assert kinds_of(await events_of(working)) == ["audio-start", "audio-chunk", "audio-stop"]
    for message in (SynthesizeChunk("six"), SynthesizeStop()):
        await waiting.write_event(message.event())
    assert kinds_of(await events_of(waiting))[-1] == "synthesize-stopped"
    await process.task
    assert sorted(steps.spoken) == sorted(["one", "two", "three", "four", "five.", "And", "six"])
    assert not process.path.exists()
    for client in (working, waiting, idle):
        await client.disconnect()


@pytest.mark.parametrize("drain_s", [0.1, 1000.0], ids=["time is up", "second signal"])
async def test_what_takes_too_long_is_cut_off(steps, drain_s):
    """After the time for it, or at a second signal."""
    process = Process(drain_s=drain_s)
    working, idle = await process.client(), await process.client()
    await working.write_event(Synthesize("one two three").event())
    await reached(steps.waiting.is_set)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await idle.read_event() is None
    if drain_s > 1:
        os.kill(os.getpid(), signal.SIGTERM)
    assert "audio-stop" not in kinds_of(await events_of(working))
    await process.task
    assert steps.spoken == []
    for client in (working, idle):
        await client.disconnect()


async def test_new_texts_are_refused_meanwhile(serve, steps):
    """On connections that still speak."""
    async with serve() as server, Client(server) as client:
        await client.send(Synthesize("one"))
        await reached(steps.waiting.is_set)
        draining = asyncio.create_task(server.drain())
        await reached(lambda: server.state.gate.draining)
        await client.send(Synthesize("two"))
        assert (await client.error())[0] == "shutting_down"
        await draining


# -- the announcement --------------------------------------------------------------------------------------------------


@pytest.fixture
def network(monkeypatch):
    """The local network, as a list of what was done."""
    import zeroconf.asyncio

    done = []

    class Network:
        async def async_register_service(self, service, allow_name_change):
            done.append(("announced", service.name, service.parsed_addresses(), service.port, allow_name_change))

        async def async_unregister_all_services(self):
            done.append(("withdrawn",))

        async def async_close(self):
            done.append(("closed",))

    monkeypatch.setattr(zeroconf.asyncio, "AsyncZeroconf", Network)
    return done


@pytest.mark.parametrize(("host", "address"), [("192.168.1.4", "192.168.1.4"), ("fd00::7", "fd00::7")])
async def test_the_announcement(network, host, address):
    """Where others reach it, while it lasts; another of that name keeps nobody out."""
    async with announced("kitchen", host, 10200):
        assert network == [("announced", "kitchen._wyoming._tcp.local.", [address], 10200, True)]
    assert network[1:] == [("withdrawn",), ("closed",)]


async def test_no_announcement(network):
    """Without a name."""
    async with announced("", "0.0.0.0", 10200):
        pass
    assert network == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "::1", "localhost"])
def test_an_address_to_announce(host):
    """Never the one that means all; a machine without a network has none."""
    with contextlib.suppress(SettingsError):
        address = own_address(host)
        assert not address.is_unspecified


async def test_without_the_package(monkeypatch):
    """How it is installed."""
    monkeypatch.setitem(sys.modules, "zeroconf.asyncio", None)
    with pytest.raises(MissingExtra, match=r"realtts-wyoming\[zeroconf\]"):
        async with announced("realtts", "192.168.1.4", 10200):
            pass


@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://[::1]:1", "unix:///tmp/x"])
def test_what_nobody_reaches_is_not_announced(uri):
    """An error before anything begins."""
    with pytest.raises(SettingsError, match="only this machine"):
        resolve_config({"uri": uri, "zeroconf": "realtts"}, environ={})


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--uri", "http://x"], "tcp://HOST:PORT"),
        (["--zeroconf"], "only this machine"),
        (["--model", "espeak"], "write PROVIDER=MODEL"),
        (["--max-loaded", "0", "espeak"], "max_loaded"),
        (["espeka", "--uri", "tcp://127.0.0.1:0"], "espeak"),
    ],
)
def test_wrong_arguments(capsys, arguments, message):
    """Exit code 2, two lines, no traceback."""
    assert run(["wyoming", *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


def test_arguments():
    """Through the entry point."""
    parsed = make_parser(["wyoming"]).parse_args(
        ["wyoming", "--uri", "tcp://0.0.0.0:10200", "--zeroconf", "espeak", "piper", "--model", "piper=x"]
    )
    assert (parsed.providers, parsed.uri, parsed.zeroconf) == (["espeak", "piper"], "tcp://0.0.0.0:10200", True)


def test_the_help_imports_no_server():
    """The command line loads the command to show its help, and nothing behind it."""
    code = "import realtts_wyoming.command, sys; print({'asyncio', 'pydantic', 'numpy', 'wyoming'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
