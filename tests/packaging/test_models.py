"""All models in one program that has the core alone, each in an environment of its own."""

import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("one_program.py")
NAMES = ("espeak", "hibari", "chatterbox", "f5", "qwen3", "vieneu")


@pytest.fixture
def work(tmp_path):
    """A folder for environments and checkpoints, which are gone afterwards: they are gigabytes."""
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    shutil.rmtree(folder)


@pytest.mark.models
@pytest.mark.skipif(sys.platform == "win32", reason="not every model has wheels for it")
def test_one_program_speaks_with_every_model(environment, wheels, run, tmp_path, work):
    """Nothing of the models or of torch is in the program, and the audio is the one of the model's own process."""
    environment.install(f"{wheels['realtts']}[isolation]")
    arguments = (ROOT / "plugins", work, *NAMES)
    data = str(tmp_path / "data")
    done = run(environment.python, "-I", PROGRAM, *arguments, timeout=1800, REALTTS_DATA_DIR=data)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["installed"]: line["made"] for line in told if "installed" in line} == dict.fromkeys(NAMES, True)
    assert {"imported": [], "torch": False} in told
    spoken = {(line["provider"], line["place"]): line for line in told if "provider" in line}
    assert spoken.keys() == {(name, place) for name in NAMES for place in ("isolated", "in-process")}
    for name in NAMES:
        there, here = spoken[name, "isolated"], spoken[name, "in-process"]
        assert {**there, "place": ""} == {**here, "place": ""}
        assert (there["dtype"], there["attempts"]) == ("float32", [])
        assert there["duration"] > 0.3
        assert (work / f"{name}.isolated.npy").read_bytes() == (work / f"{name}.in-process.npy").read_bytes()
