"""Files that are missing, damaged or others: a typed error with a fix, and everybody else speaks."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from realtts import RealProvider, errors
from realtts.contract.spec import Checkpoint
from realtts.kit.english import Pronunciation, assets as package_assets
from realtts_hibari import plain, spec
from realtts_hibari.catalogue import CHECKPOINTS, VOICES, voices_of
from realtts_hibari.network import Network

ASSETS = Path(next(iter(importlib.util.find_spec("hibari").submodule_search_locations))) / "assets"


@pytest.fixture
def assets(tmp_path, monkeypatch) -> Path:
    """A folder of the package's files, which tests may spoil; they are really read."""
    monkeypatch.setattr(plain, "Pronunciation", Pronunciation)
    monkeypatch.setattr(plain, "Network", Network)
    copy = tmp_path / "assets"
    shutil.copytree(ASSETS, copy)
    monkeypatch.setattr(package_assets, "_folder", lambda _: copy)
    return copy


def test_every_file_is_checked(assets) -> None:
    """All that the package has for American and British English, but for the list of voices, which is ours."""
    for name in {path.name for path in ASSETS.iterdir()} - {"voices.json"}:
        assert package_assets.read_asset(name, "hibari")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *((name, "a bit") for name in ("hibari.onnx", "lexicon_us_gold.json.gz", "tagger.json.gz", "normalize.json")),
        *((name, "cut") for name in ("hibari.onnx", "oov.onnx", "oov.json", "vocab.json")),
        ("hibari.onnx", "empty"),
    ],
)
def test_damaged_files(assets, name, fault) -> None:
    """Of the network and of the front end; nothing steps down, and the fix names the package."""
    content = bytearray((assets / name).read_bytes())
    if fault == "a bit":
        content[len(content) // 2] ^= 1
    (assets / name).write_bytes(content if fault == "a bit" else content[: len(content) // 2 if fault == "cut" else 0])
    with RealProvider("hibari") as tts, pytest.raises(errors.CheckpointCorrupt) as caught:
        tts.generate("Hello.")
    assert name in caught.value.what
    assert "hibari-tts==0.2.1" in caught.value.fix


def test_a_missing_file(assets) -> None:
    """One that was deleted."""
    (assets / "tagger.json.gz").unlink()
    with RealProvider("hibari") as tts, pytest.raises(errors.CheckpointMissing, match=r"tagger\.json\.gz"):
        tts.load()


def test_the_package_vanished(monkeypatch) -> None:
    """The error says what to install; a provider made before it came back works then."""
    with RealProvider("hibari") as tts:
        with monkeypatch.context() as patch:
            patch.setattr(importlib.util, "find_spec", lambda _: None)
            with pytest.raises(errors.CheckpointMissing, match="hibari-tts is not installed") as caught:
                tts.generate("Hello.")
            assert "pip install hibari-tts==0.2.1" in caught.value.fix
            assert spec.languages  # the listing still has it
        assert tts.generate("Hello.").duration > 0.2


def test_a_folder_with_a_voice(tmp_path) -> None:
    """A file of the package by its usual name; one of another content is refused."""
    shutil.copy(ASSETS / "hibari.onnx", tmp_path)
    with RealProvider("hibari", model=str(tmp_path)) as tts:
        assert tts.generate("Hello.").duration > 0.2
        assert [voice.id for voice in tts.voices()] == ["heart"]
    shutil.move(tmp_path / "hibari.onnx", tmp_path / "bf_emma.int8.onnx")
    with RealProvider("hibari", model=str(tmp_path)) as tts, pytest.raises(errors.CheckpointCorrupt, match="SHA-256"):
        tts.generate("Hello.")


def test_an_empty_folder(tmp_path) -> None:
    """Names what it wants."""
    with RealProvider("hibari", model=str(tmp_path)) as tts, pytest.raises(errors.CheckpointMissing):
        tts.generate("Hello.")


@pytest.mark.parametrize("name", [voice.id for voice in VOICES if not voice.bundled])
def test_other_voices_are_fetched_when_they_are_asked_for(monkeypatch, name) -> None:
    """By their file in the hub's repository, and only then; offline that is an error that says so."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with RealProvider("hibari", model=name) as tts, pytest.raises(errors.CheckpointError) as caught:
        tts.generate("Hello.")
    assert caught.value.fix


def test_a_file_of_the_hub_is_checked(tmp_path, monkeypatch) -> None:
    """Whatever the hub says of it."""
    from types import SimpleNamespace

    emma = next(voice for voice in VOICES if voice.id == "emma")
    other = shutil.copy(ASSETS / "hibari.onnx", tmp_path / "emma.onnx")
    asked = []

    def fetch(checkpoint: Checkpoint, files: list[object], **_: object) -> dict[str, Path]:
        asked.append((checkpoint.source, files))
        return {emma.file: Path(other)}

    monkeypatch.setattr("realtts.checkpoints.fetch", fetch)
    context = SimpleNamespace(checkpoint=next(each for each in CHECKPOINTS if each.name == "emma"), report=None)
    with pytest.raises(errors.CheckpointCorrupt, match="SHA-256"):
        plain.Plain().load(context)
    assert asked == [("maureesewilliams/hibari", [(emma.file, "bf_emma.int8.onnx")])]


@pytest.mark.parametrize("voice", ["fenrir", "emma", "bf_emma", "nobody", "en-gb"])
def test_voices_of_other_models(tts, voice) -> None:
    """One model is one voice; the error tells how the others are had."""
    with pytest.raises(errors.VoiceNotFound):
        tts.generate("Hello.", voice=voice)


@pytest.mark.parametrize("voice", ["heart", "Heart", "af_heart"])
def test_its_own_voice(tts, voice) -> None:
    """By any of its names, without a load."""
    assert tts.generate("Hello.", voice=voice).duration > 0.2
    assert [info.id for info in voices_of(None) or ()] == ["heart"]


def test_british_words(context) -> None:
    """British voices have a lexicon and a network of their own."""
    american, british = (Pronunciation(context(), british=british) for british in (False, True))
    assert american(["bath", "zorble"]) != british(["bath", "zorble"])
    assert all(british(["bath", "zorble", "colour", "tomato", "Leicester"]))
