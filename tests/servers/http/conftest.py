"""A server over the fake provider, in process and on a socket of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
import uvicorn
from fastapi.testclient import TestClient

from realtts.testing import fake_spec
from realtts_http import ServeConfig, create_app

HERE = "http://127.0.0.1"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """Keep voices and settings of the person who runs the tests out of them."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    config = tmp_path / "realtts.toml"
    config.touch()
    monkeypatch.setenv("REALTTS_CONFIG", str(config))


@pytest.fixture
def make_client():
    """Makes clients of servers in this process; fields are those of `ServeConfig`."""
    with contextlib.ExitStack() as opened:

        def make(*specs, settings=None, **fields):
            app = create_app(ServeConfig(access_log=False, **fields), specs or (fake_spec(),), **(settings or {}))
            return opened.enter_context(TestClient(app, base_url=HERE, raise_server_exceptions=False))

        yield make


@pytest.fixture
def client(make_client):
    """A client of a server with the fake provider."""
    return make_client()


class Running:
    """A server on a socket, in a thread."""

    def __init__(self, app):
        self.app = app
        self.server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="on"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.started = threading.Event()
        begin = self.server.startup

        async def startup(sockets=None):
            await begin(sockets)
            self.loop = asyncio.get_running_loop()
            self.started.set()

        self.server.startup = startup
        self.thread.start()
        assert self.started.wait(20)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"{HERE}:{self.port}"

    @property
    def state(self):
        return self.app.state.server

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="module")
def espeak_server(tmp_path_factory):
    """A server on a socket as `realtts serve espeak` makes it, one for all tests of a file."""
    folder = tmp_path_factory.mktemp("espeak")
    (folder / "realtts.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REALTTS_DATA_DIR", str(folder / "data"))
        patch.setenv("REALTTS_CONFIG", str(folder / "realtts.toml"))
        running = Running(create_app(ServeConfig(access_log=False, providers=("espeak",))))
    yield running
    running.stop()


@pytest.fixture
def serve():
    """Starts servers on a socket; fields are those of `ServeConfig`."""
    running = []

    def start(*specs, settings=None, **fields):
        app = create_app(ServeConfig(access_log=False, **fields), specs or (fake_spec(),), **(settings or {}))
        running.append(Running(app))
        return running[-1]

    yield start
    for each in running:
        each.stop()
