"""Servers to speak with: ours over the fake provider, and one that does what a test tells it."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_server import ScriptedServer

import realtts_remote
import realtts_remote.speaking
from realtts import RealProvider

TEXT = "Hello there, this is a test."


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch, tmp_path):
    """No key, address or settings of the person who runs the tests, and no waiting between two tries."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "realtts.toml"
    config.touch()
    monkeypatch.setenv("REALTTS_CONFIG", str(config))
    monkeypatch.setattr(realtts_remote.speaking, "_FIRST_WAIT_S", 0.0)


@pytest.fixture(scope="session")
def sound():
    """A second of a tone at 24 kHz as raw samples."""
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(24_000) / 24_000)
    return (tone * 32767).astype("<i2").tobytes()


@pytest.fixture
def server(sound):
    """A server that knows no list of anything, and speaks a second of a tone unless told otherwise."""
    server = ScriptedServer({"POST /v1/audio/speech": lambda seen: seen.answer(sound, length="true")})
    yield server
    server.close()


@pytest.fixture
def make():
    """Makes providers of an address, which are closed at the end."""
    made = []

    def make(model, **settings):
        made.append(RealProvider(realtts_remote.spec, model=model, **settings))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def tts(server, make):
    """A provider that speaks with the scripted server."""
    return make(server.url)
