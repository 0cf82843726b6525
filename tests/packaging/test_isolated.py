"""An environment made from the sources, used by a program that has the core alone."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SPEAK = """
import sys
from realtts import RealProvider
with RealProvider("espeak") as tts:
    speech = tts.generate("Hello there.", seed=1)
    print(tts.get_provider_status()["isolation"], round(speech.duration, 1), abs(speech.samples).max() > 0.05)
    print(sorted({"torch", "realtts_espeak"} & set(sys.modules)))
"""


@pytest.mark.full  # by default: tests/isolation/test_install, with wheels
def test_installed_from_the_sources(environment, wheels, tmp_path):
    """`realtts install espeak --from FOLDER` makes an environment; the parent speaks through it without the plugin."""
    environment.install(f"{wheels['realtts']}[isolation]")
    data = {"REALTTS_DATA_DIR": str(tmp_path / "data")}
    environment.realtts("install", "espeak", "--from", ROOT / "plugins/espeak", **data)
    listed = json.loads(environment.realtts("envs", "--check", "--json", **data).stdout)["environments"]
    assert [(one["name"], one["broken"]) for one in listed] == [("espeak", None)]
    spoken = environment.run_python(SPEAK, **data).splitlines()
    assert spoken[0].split()[0] == "isolated"
    assert 0.5 < float(spoken[0].split()[1]) < 3
    assert spoken[0].split()[2] == "True"
    assert spoken[1] == "[]"
    doctor = json.loads(environment.realtts("doctor", "--json", check=False, **data).stdout)
    assert [(one["name"], one["place"]) for one in doctor["providers"]] == [("espeak", "isolated")]
    environment.realtts("uninstall", "espeak", **data)
    assert environment.realtts("say", "Hello", "-p", "espeak", check=False, **data).returncode == 2
