"""Words of a recording by a Whisper of the user's, without its packages at hand."""

from __future__ import annotations

import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

from realtts.errors import VoiceUnsuitable
from realtts_f5.transcribe import transcribed

SAMPLES = np.sin(np.arange(48_000) / 20).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """A folder as CTranslate2's models have."""
    (tmp_path / "model.bin").touch()
    return tmp_path


@pytest.fixture
def fake(monkeypatch):
    """Stands for the packages; notes what it is asked."""
    calls = []

    class WhisperModel:
        def __init__(self, place, **options):
            calls.append((place, options))

        def transcribe(self, wave, **options):
            calls.append((len(wave), options))
            return iter([SimpleNamespace(text=" Hello"), SimpleNamespace(text=" there.")]), None

    fast = types.ModuleType("faster_whisper")
    fast.WhisperModel = WhisperModel
    slow = types.ModuleType("transformers")

    def pipeline(task, **options):
        calls.append((task, options))
        return lambda audio, **more: calls.append((len(audio["raw"]), more)) or {"text": " Hello there. "}

    slow.pipeline = pipeline
    monkeypatch.setitem(sys.modules, "faster_whisper", fast)
    monkeypatch.setitem(sys.modules, "transformers", slow)
    return calls


def test_by_faster_whisper(folder, fake) -> None:
    """At 16 kHz, from the folder alone, in the language that was given."""
    assert transcribed(SAMPLES, 24_000, "a.wav", str(folder), "es-MX") == "Hello there."
    assert fake[0] == (str(folder), {"device": "cpu", "compute_type": "int8", "local_files_only": True})
    assert fake[1] == (32_000, {"language": "es", "task": "transcribe"})


def test_by_transformers(tmp_path, fake) -> None:
    """For any other folder."""
    assert transcribed(SAMPLES, 24_000, "a.wav", str(tmp_path), None) == "Hello there."
    assert fake[0][1]["model"] == str(tmp_path)
    assert fake[1][0] == 32_000


@pytest.mark.parametrize("package", ["faster_whisper", "transformers"])
def test_without_its_package(folder, monkeypatch, package) -> None:
    """The error has the command that installs it."""
    if package == "transformers":
        (folder / "model.bin").unlink()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(VoiceUnsuitable, match=package) as caught:
        transcribed(SAMPLES, 24_000, "a.wav", str(folder))
    assert "pip install" in caught.value.fix


def test_without_a_folder(tmp_path) -> None:
    """Nothing is downloaded."""
    with pytest.raises(VoiceUnsuitable, match=r"realtts-f5\[asr\]"):
        transcribed(SAMPLES, 24_000, "a.wav", None)
    with pytest.raises(VoiceUnsuitable, match="no such folder"):
        transcribed(SAMPLES, 24_000, "a.wav", str(tmp_path / "none"))


def test_what_fails_is_told(folder, fake, monkeypatch) -> None:
    """A model that cannot be read, and a recording without words."""
    model = sys.modules["faster_whisper"].WhisperModel
    monkeypatch.setattr(model, "transcribe", lambda *_, **__: (iter([]), None))
    with pytest.raises(VoiceUnsuitable, match="no words"):
        transcribed(SAMPLES, 24_000, "a.wav", str(folder))
    monkeypatch.setattr(model, "transcribe", lambda *_, **__: 1 / 0)
    with pytest.raises(VoiceUnsuitable, match="ZeroDivisionError"):
        transcribed(SAMPLES, 24_000, "a.wav", str(folder))


def test_words_are_found_once(folder, fake, plain, recording) -> None:
    """A recording without its text speaks, and is written down once for all its requests."""
    provider, (samples, rate) = plain(), recording
    recording = samples[: 2 * rate], rate
    for seed in (1, 2):
        speech = provider.generate("Hello again.", voice=recording, asr_model=str(folder), nfe_step=4, seed=seed)
        assert speech.duration > 0
    assert len(fake) == 2
    with pytest.raises(VoiceUnsuitable, match="words are not known"):
        provider.generate("Hello again.", voice=recording, nfe_step=4)
