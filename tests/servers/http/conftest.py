"""A server over the fake provider, in process and on a socket of this machine."""

from __future__ import annotations

import contextlib

import pytest
from fastapi.testclient import TestClient
from running_server import HERE, Running

from realtts.testing import fake_spec
from realtts_http import ServeConfig, create_app


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


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory):
    """A client of a server with the fake provider, one for all tests of a file that leave nothing behind in it."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "realtts.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REALTTS_DATA_DIR", str(folder / "data"))
        patch.setenv("REALTTS_CONFIG", str(folder / "realtts.toml"))
        app = create_app(ServeConfig(access_log=False), (fake_spec(),))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield client


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
