"""Voices are named before a load, wherever their file lies on this machine; torch takes no part."""

from __future__ import annotations

import json

import pytest

from realtts import RealProvider, VoiceNotFound
from realtts.synthesis.model_choice import resolve_checkpoint
from realtts_vieneu import spec
from realtts_vieneu.files import TURBO_FILES, TURBO_VOICES, VOICES
from realtts_vieneu.presets import voices_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VOICE = {"presets": {"Lan": {"description": "nữ"}, "Minh": {}}, "default_voice": "Minh"}


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Put files of a repository into the hub's cache: ``cached(repository, {name: content})``."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    def cached(repo, files, revision="main"):
        home = tmp_path / f"models--{repo.replace('/', '--')}"
        (home / "refs").mkdir(parents=True, exist_ok=True)
        (home / "refs" / revision).write_text(COMMIT)
        for name, content in files.items():
            path = home / "snapshots" / COMMIT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content), encoding="utf-8")
        return path.parents[name.count("/")]

    return cached


@pytest.mark.parametrize("model", ["v2", "0.3b", "pnnbao-ump/VieNeu-TTS", "somebody/finetune", "somebody/finetune@v7"])
def test_a_repository_that_was_downloaded(cached, model) -> None:
    """By the name of a checkpoint, and by any hub id; the default one first, as of a folder."""
    checkpoint = resolve_checkpoint(model, spec)
    assert voices_of(checkpoint) is None  # nothing of it is here
    folder = cached(checkpoint.source, {VOICES: VOICE}, checkpoint.revision or "main")
    assert [(voice.id, voice.description) for voice in voices_of(checkpoint)] == [("Minh", ""), ("Lan", "nữ")]
    assert voices_of(resolve_checkpoint(folder, spec)) == voices_of(checkpoint)
    with RealProvider("vieneu", model=model, isolation="never") as tts:
        with pytest.raises(VoiceNotFound, match="Minh, Lan"):
            tts.generate("Xin chào.", voice="Mihn")
        assert tts.get_provider_status()["state"] == "unloaded"


@pytest.mark.parametrize("files", [{"config.json": {}}, {VOICES: {"presets": {}}}, {VOICES: VOICE, "config.json": {}}])
def test_what_is_not_there_is_not_known(cached, files) -> None:
    """A repository without the file may have it on the hub; a folder without it has no voices."""
    checkpoint = resolve_checkpoint("v2", spec)
    folder = cached(checkpoint.source, files)
    names = list(files.get(VOICES, {}).get("presets", {}))
    ids = voices_of(checkpoint)
    assert ids is None if VOICES not in files else sorted(voice.id for voice in ids) == names
    assert sorted(voice.id for voice in voices_of(resolve_checkpoint(folder, spec))) == names


def test_v3_turbo(cached) -> None:
    """The voices of its package, and those of the checkpoint on top, once all of it is here."""
    pytest.importorskip("vieneu")
    checkpoint = resolve_checkpoint("v3-turbo", spec)
    needed = {name: {} for name in TURBO_FILES if isinstance(name, str)}
    cached(checkpoint.source, dict(list(needed.items())[:-1]))
    assert voices_of(checkpoint) is None
    folder = cached(checkpoint.source, needed)
    package = [voice.id for voice in voices_of(checkpoint)]
    assert len(package) == 25
    assert "Trúc Ly" in package
    cached(checkpoint.source, {TURBO_VOICES: VOICE})
    assert [voice.id for voice in voices_of(checkpoint)] == [*package, "Lan", "Minh"]
    assert voices_of(resolve_checkpoint(folder, spec)) == voices_of(checkpoint)
