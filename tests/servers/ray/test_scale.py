"""Replicas that come and go with the load, and providers with environments of their own, on a cluster of two nodes."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import ray
import waiting
from ray import serve
from ray_provider import DIARY, diary_spec

from realtts import RealProvider
from realtts.bulk import BulkJob, run_job
from realtts.isolation.environments import FILE, IsolatedEnvironment
from realtts.testing import fake_spec
from realtts.wire.specs import spec_to_json
from realtts_ray import build, speak_dataset

pytestmark = pytest.mark.slow  # by hand: a node may need longer to start on a busy machine than Ray waits

TORCH_PYTHON = "TEST_TORCH_PYTHON"
"""Environment variable with the interpreter of an environment that has realtts-toylm, and so torch."""

QUICK = {"upscale_delay_s": 0.5, "downscale_delay_s": 1.0, "metrics_interval_s": 0.5, "look_back_period_s": 1.0}


@pytest.fixture
def run(server):
    """Runs an application; a client of it."""
    clients = []

    def run(config, specs=()):
        serve.run(build(config, specs), name="scale", route_prefix="/scale")
        clients.append(httpx.Client(base_url=f"{server}/scale", timeout=300))
        return clients[-1]

    yield run
    serve.delete("scale")
    for client in clients:
        client.close()


def running(name):
    """How many replicas of a provider are ready."""
    states = serve.status().applications["scale"].deployments[name].replica_states
    return sum(count for state, count in states.items() if getattr(state, "value", state) == "RUNNING")


def test_replicas_come_and_go_with_the_load(run, diary, word):
    """One becomes three while requests wait, and one again when few are left: none is lost or spoken twice.

    Those that are left last while replicas are stopped, and are spoken to their end wherever they are.
    """
    own = {"num_cpus": 0.1, "min_replicas": 1, "max_replicas": 3, "rows": 2, "max_queued": 50, "autoscaling": QUICK}
    client = run({"providers": {"diary": own}}, [diary_spec()])
    gates = [Path(f"{os.environ[DIARY]}.{word}{number}.open") for number in range(2)]
    assert running("diary") == 1

    def ask(number):
        text = f"Wait {word}{int(number < 2)} {number}x."
        return client.post("/v1/audio/speech", json={"input": text, "response_format": "wav"})

    with ThreadPoolExecutor(24) as pool:
        answers = [pool.submit(ask, number) for number in range(24)]
        try:
            waiting.until(lambda: running("diary") == 3, seconds=120)
            gates[0].touch()
            waiting.until(lambda: running("diary") == 1, seconds=120)
        finally:
            for gate in gates:
                gate.touch()
        assert {answer.result().status_code for answer in answers} == {200}
    spoken = [text for _, text in diary.lines(word)]
    assert len(spoken) == len(set(spoken)) == 24
    assert ask(99).status_code == 200


def test_a_runtime_environment_of_its_own(run, tmp_path):
    """Each provider has what its own names: variables here, and a module that nothing else has."""
    folder = tmp_path / "only_there"
    folder.mkdir()
    (folder / "__init__.py").write_text("from realtts.testing.fake import FakeProvider as Own\n")
    providers = {
        "espeak": {"num_cpus": 0.1, "runtime_env": {"env_vars": {"REALTTS_LANGUAGE": "de"}}},
        "own": {"num_cpus": 0.1, "runtime_env": {"py_modules": [str(folder)]}},
    }
    client = run({"providers": providers}, [fake_spec(name="own", plain="only_there:Own", optimized=None)])
    body = {"input": "Eins zwei.", "response_format": "wav", "seed": 1}
    german = client.post("/v1/audio/speech", json={**body, "model": "espeak"})
    with RealProvider("espeak", language="de") as alone:
        assert german.content[44:] == alone.generate("Eins zwei.", seed=1).encode("wav")[44:]
    assert client.post("/v1/audio/speech", json={**body, "model": "own"}).status_code == 200


def write_environment(name, python, spec):
    """Let all processes of the cluster find a provider in an environment of its own."""
    home = Path(os.environ["REALTTS_DATA_DIR"]) / "environments" / name
    home.mkdir(parents=True, exist_ok=True)
    version = importlib.metadata.version("realtts")
    environment = IsolatedEnvironment(name=name, python=Path(python), spec=spec, core_version=version)
    (home / FILE).write_text(json.dumps(environment.as_dict(home)), encoding="utf-8")


WRITE = """
import json, pathlib, sys
from realtts.wire.specs import spec_to_json
from realtts_toylm import spec
from realtts_toylm.testing import write_random_checkpoint
write_random_checkpoint(pathlib.Path(sys.argv[1]))
print(json.dumps(spec_to_json(spec)))
"""


@pytest.fixture(params=["fake isolated", "toylm isolated", "toylm in process"])
def provider(request, cluster, tmp_path):
    """A provider in an environment of its own, or one of torch in the replica itself: its name and settings."""
    name, _, where = request.param.partition(" ")
    if name == "fake":
        write_environment(name, sys.executable, spec_to_json(fake_spec()))
        return name, {"isolation": "always"}
    if where == "in process":
        pytest.importorskip("realtts_toylm", reason="realtts-toylm and torch are not installed", exc_type=ImportError)
    elif TORCH_PYTHON not in os.environ:
        pytest.skip(f"{TORCH_PYTHON} names no environment with realtts-toylm")
    python = sys.executable if where == "in process" else os.environ[TORCH_PYTHON]
    (tmp_path / "weights").mkdir()
    made = subprocess.run([python, "-c", WRITE, tmp_path / "weights"], capture_output=True, text=True, check=True)
    if where == "isolated":
        write_environment(name, python, json.loads(made.stdout))
    isolation = "always" if where == "isolated" else "never"
    return name, {"model": str(tmp_path / "weights"), "dtype": "float32", "isolation": isolation}


def test_providers_of_torch_and_isolated_ones(run, provider, tmp_path):
    """Served, as a dataset and as a job: the audio of one machine, from a process that each replica has beside it."""
    name, settings = provider
    model, others = settings.get("model"), {key: value for key, value in settings.items() if key != "model"}
    texts = [f"Number {number}." for number in range(6)]
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    job = {"provider": name, "model": model, "settings": others, "seed": 4}
    run_job(BulkJob(source, tmp_path / "here", **job))
    run_job(BulkJob(source, tmp_path / "there", ray="auto", **job))
    files = [f"{number}.wav" for number in range(1, 7)]
    here = [(tmp_path / "here" / file).read_bytes() for file in files]
    assert [(tmp_path / "there" / file).read_bytes() for file in files] == here
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts, start=1)]
    spoken = speak_dataset(ray.data.from_items(rows), name, model=model, settings=others, num_cpus=0.5, seed=4)
    audio = {row["id"]: row["audio"] for row in spoken.take_all()}
    assert [audio[str(number)] for number in range(1, 7)] == here
    client = run({"providers": {name: {"model": model, "settings": others, "num_cpus": 0.2}}})
    with RealProvider(name, model=model, **others) as alone:
        expected = alone.generate("Hello there.", seed=5).encode("wav")
    body = {"input": "Hello there.", "response_format": "wav", "seed": 5}
    assert client.post("/v1/audio/speech", json=body).content[44:] == expected[44:]
