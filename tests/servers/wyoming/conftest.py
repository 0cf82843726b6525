"""A server over providers of the tests, on a free port, in the event loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import warnings

import pytest
from stepping_provider import STEPS, stepping_spec

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # audioop, which the library takes where there is one
    import wyoming.audio  # noqa: F401

from realtts_wyoming import WyomingConfig, WyomingServer

LONGEST_S = 15


def pytest_pyfunc_call(pyfuncitem):
    """Run tests that are coroutines in an event loop of their own."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    names = inspect.signature(function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(function(**arguments), LONGEST_S))
    return True


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """Keep voices and settings of the person who runs the tests out of them."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    config = tmp_path / "realtts.toml"
    config.touch()
    monkeypatch.setenv("REALTTS_CONFIG", str(config))


@pytest.fixture
def steps():
    """What the stepping provider does; nothing is spoken before the test allows it."""
    STEPS.reset()
    yield STEPS
    STEPS.free()


@pytest.fixture
def serve():
    """Starts servers of the stepping provider; fields are those of `WyomingConfig`."""

    @contextlib.asynccontextmanager
    async def start(*specs, settings=None, **fields):
        config = WyomingConfig(**{"uri": "tcp://127.0.0.1:0", **fields})
        async with WyomingServer(config, specs or (stepping_spec(),), **(settings or {})) as server:
            yield server

    return start
