"""The HTTP server with two models whose packages exclude each other, each in its own environment."""

import concurrent.futures
import os

import numpy as np
import psutil
import pytest
from waiting import until

from realtts import Settings
from realtts.isolation.install import InstallRequest, install, installed_environments

pytest.importorskip("fastapi")
pytest.importorskip("realtts_http")

from fastapi.testclient import TestClient  # behind the lines that skip without it

from realtts_http import ServeConfig, create_app

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("offline")]

NEEDED = "wanted_level"
"""A package whose one version every plugin wants another of."""

CODE = """
import numpy as np, time, wanted_level
from realtts import Chunk, Environment, Options, ProviderSpec, hookimpl
from pydantic import Field

class Tones(Options):
    wait_s: float = Field(0.0, description="Seconds before each word.")

class Tone:
    @hookimpl
    def load(self, context): return object()
    @hookimpl
    def generate(self, context, model, request):
        for _ in request.text.split():
            time.sleep(request.options.wait_s)
            yield Chunk(np.full(2400, wanted_level.LEVEL, np.float32), 24000)

spec = ProviderSpec(name="NAME", summary="A tone per word", sample_rates=(24000,), plain="PACKAGE:Tone",
                    options="PACKAGE:Tones")
"""
LEVELS = {"tone": 0.1, "chime": 0.2}


@pytest.fixture(scope="module")
def links(tmp_path_factory, make_wheel):
    """A folder with the plugins, and each version of what they need: no environment can have both plugins."""
    folder = tmp_path_factory.mktemp("links")
    for number, (name, level) in enumerate(LEVELS.items(), 1):
        make_wheel(folder, NEEDED, f"{number}.0", {f"{NEEDED}.py": f"LEVEL = {level}\n"})
        package = f"realtts_{name}"
        files = {
            f"{package}.py": CODE.replace("PACKAGE", package).replace("NAME", name),
            f"{package}-1.0.dist-info/entry_points.txt": f"[realtts.providers]\n{name} = {package}:spec\n",
        }
        lines = [f"Requires-Dist: {each}\n" for each in ("realtts", "numpy", f"wanted-level=={number}.0")]
        make_wheel(folder, package, "1.0", files, "".join(lines))
    return folder


@pytest.fixture
def client(tmp_path, links, monkeypatch):
    """A client of a server with both models."""
    settings = Settings(data_dir=tmp_path / "data")
    for name in LEVELS:
        install(InstallRequest(name, links=(str(links),)), settings=settings)
    locks = {each.name: each.lockfile.read_text("utf-8") for each in installed_environments(settings)}
    assert all(f"wanted-level=={number}.0" in locks[name] for number, name in enumerate(LEVELS, 1))
    (tmp_path / "realtts.toml").touch()
    monkeypatch.setenv("REALTTS_CONFIG", str(tmp_path / "realtts.toml"))
    monkeypatch.setenv("REALTTS_DATA_DIR", str(settings.data_dir))
    config = ServeConfig(access_log=False, providers=tuple(LEVELS))
    with TestClient(create_app(config), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def speak(client, model, text="one two three", **fields):
    """The answer to a request, and the level of each of its samples."""
    body = {"model": model, "input": text, "response_format": "pcm", **fields}
    answer = client.post("/v1/audio/speech", json=body)
    return answer, np.frombuffer(answer.content, "<i2") / 32768 if answer.status_code == 200 else None


def spoken(client, model, **fields):
    """Whether the model said it, with what its own package holds."""
    answer, samples = speak(client, model, **fields)
    assert answer.status_code == 200, answer.text
    return len(samples) == 3 * 2400 and np.allclose(samples[100:-100], LEVELS[model], atol=0.001)


def worker_of(client, model):
    """What the status says of a model's worker."""
    return client.get("/v1/status").json()["models"][model]["worker"]


def test_one_goes_on_while_the_other_dies(client):
    """Requests are interleaved, each spoken with its model's own package; a killed worker is replaced."""
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        assert all(threads.map(lambda number: spoken(client, list(LEVELS)[number % 2]), range(24)))
        killed, other = (worker_of(client, name)["pid"] for name in LEVELS)
        assert len({None, os.getpid(), killed, other}) == 4

        def speak_for_long():
            return speak(client, "tone", "one " * 100, options={"wait_s": 0.05})[0]

        speaking = threads.submit(speak_for_long)
        until(lambda: client.get("/v1/status").json()["models"]["tone"]["queue"]["speaking"])
        going_on = [threads.submit(spoken, client, "chime") for _ in range(12)]
        psutil.Process(killed).kill()
        answer = speaking.result(60)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "worker_died")
        assert all(future.result(60) for future in going_on)
    assert spoken(client, "tone")
    assert worker_of(client, "chime")["pid"] == other
    assert worker_of(client, "tone")["pid"] not in {None, killed}
    assert worker_of(client, "tone")["deaths"] == 1
