"""The conformance suites, against a server of ours over the fake provider."""

from __future__ import annotations

import pytest

pytest.importorskip("realtts_http")
from running_server import Running

import realtts_remote
from realtts.testing import ContinuousConformance, ProviderConformance, fake_spec
from realtts_http import ServeConfig, create_app


@pytest.fixture(scope="module")
def fake_server(tmp_path_factory):
    """The server's address."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "realtts.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REALTTS_DATA_DIR", str(folder / "data"))
        patch.setenv("REALTTS_CONFIG", str(folder / "realtts.toml"))
        running = Running(create_app(ServeConfig(access_log=False), (fake_spec(),)))
    yield f"{running.url}/v1"
    running.stop()


class TestRemote(ContinuousConformance, ProviderConformance):
    """Everything that a provider must do."""

    @pytest.fixture
    def spec(self):
        """The plugin's own."""
        return realtts_remote.spec

    @pytest.fixture
    def model(self, fake_server):
        """The server."""
        return fake_server
