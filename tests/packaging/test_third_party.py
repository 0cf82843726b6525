"""Distributions of third parties, installed by pip beside ours."""

import json
import wave

import pytest

BEEP = """
import numpy as np
from realtts import Chunk, ProviderSpec, hookimpl

class Beep:
    @hookimpl
    def load(self, context): return object()
    @hookimpl
    def generate(self, context, model, request):
        for _ in request.text.split():
            if request.cancelled(): return
            yield Chunk(np.full(2400, 0.1, np.float32), 24000)

spec = ProviderSpec(name="beep", summary="One beep per word", sample_rates=(24000,), plain="MODULE:Beep")
"""


def listed(environment):
    """What `realtts providers --json` says, by name."""
    providers = json.loads(environment.realtts("providers", "--json").stdout)["providers"]
    return {entry["name"]: entry for entry in providers}


def test_strangers_are_found_and_speak(environment, wheels, third_party, tmp_path):
    """One that works speaks by its name; one that raises on import is listed as broken; the others work."""
    environment.install(wheels["realtts"], wheels["realtts-espeak"])
    environment.install(third_party("tts-beep", "beep", BEEP), third_party("tts-bad", "bad", "raise OSError('no GPU')"))
    environment.realtts("say", "one two three", "-p", "beep", "-o", tmp_path / "beep.wav")
    with wave.open(str(tmp_path / "beep.wav")) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(0.3)
    providers = listed(environment)
    assert providers.keys() == {"bad", "beep", "espeak"}
    assert "no GPU" in providers["bad"]["broken"]
    assert providers["beep"]["broken"] is None
    environment.realtts("say", "one two three", "-p", "espeak", "-o", tmp_path / "espeak.wav")
    failed = environment.realtts("say", "one", "-p", "bad", "-o", tmp_path / "bad.wav", check=False)
    assert failed.returncode == 2
    assert "no GPU" in failed.stderr
    assert "tts-bad" in failed.stderr
    assert not (tmp_path / "bad.wav").exists()


@pytest.mark.full  # by default: tests/core/test_registry, in process
def test_two_that_claim_one_name(environment, wheels, third_party, tmp_path):
    """The error names both, and goes away with one of them."""
    environment.install(wheels["realtts"])
    environment.install(third_party("tts-one", "beep", BEEP), third_party("tts-two", "beep", BEEP))
    failed = environment.realtts("say", "one", "-p", "beep", "-o", tmp_path / "beep.wav", check=False)
    assert failed.returncode == 2
    assert "tts-one and tts-two" in failed.stderr
    environment.uninstall("tts-two")
    environment.realtts("say", "one", "-p", "beep", "-o", tmp_path / "beep.wav")


def test_generated_plugin_works(environment, wheels, tmp_path):
    """`realtts new-plugin` writes a distribution that installs, speaks, passes its own tests and ruff."""
    environment.install(wheels["realtts"], "pytest", "ruff")
    folder = tmp_path / "plugin"
    environment.realtts("new-plugin", "sine-voice", "--output", folder)
    environment.install(folder)
    environment.realtts("say", "one two three", "-p", "sine-voice", "-o", tmp_path / "sine.wav")
    tested = environment.run_python(
        "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))", cwd=folder
    )
    assert " passed" in tested
    assert "failed" not in tested
    assert "error" not in tested
    environment.run_python("import runpy, sys; sys.argv = ['ruff', 'check', '.']; runpy.run_module('ruff')", cwd=folder)


@pytest.mark.full  # `tests/typing` has what it is typed with by default
def test_generated_plugin_is_typed(environment, wheels, tmp_path):
    """Mypy finds nothing in what `realtts new-plugin` writes, in its strict mode."""
    environment.install(wheels["realtts"], "mypy")
    folder = tmp_path / "plugin"
    environment.realtts("new-plugin", "sine-voice", "--output", folder)
    environment.install(folder)
    environment.run_python(
        "import runpy, sys; sys.argv = ['mypy', '--strict', 'src']; runpy.run_module('mypy')", cwd=folder
    )
