"""Packed weights on the command line: what a first start says, how much is kept, and how it is removed."""

from __future__ import annotations

import json

import pytest

from realtts.cli import loading
from realtts.contract.events import Event
from realtts.settings_sources import packed_dir
from realtts.testing import fake_spec


@pytest.fixture
def packed(monkeypatch, tmp_path):
    """Two files of packed weights, and one that was being written."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path))
    folder = packed_dir()
    folder.mkdir(parents=True)
    for name, size in (("a.safetensors", 3 << 20), ("b.safetensors", 1 << 20), ("c.safetensors.0.part", 10)):
        (folder / name).write_bytes(bytes(size))
    return folder


def test_how_much_is_kept(cli, packed):
    """In the list of models."""
    assert f"packed weights in {packed}: 4.0 MiB" in cli("models").out
    about = json.loads(cli("models", "--json").out)["packed"]
    assert about == {"folder": str(packed), "files": 3, "bytes": (4 << 20) + 10}


def test_none_is_not_spoken_of(cli, packed):
    """Where nothing was packed."""
    for path in packed.iterdir():
        path.unlink()
    packed.rmdir()
    assert "packed" not in cli("models").out
    assert json.loads(cli("models", "--json").out)["packed"]["files"] == 0


@pytest.mark.parametrize("twice", [False, True])
def test_they_are_removed(cli, packed, twice):
    """Half-written ones too; where there are none, that is no error."""
    assert "4.0 MiB freed" in cli("models", "remove", "--packed").out
    assert list(packed.iterdir()) == []
    if twice:
        assert "0 B freed" in cli("models", "remove", "--packed").out


def test_something_must_be_named(cli, packed):
    """Checkpoints, or the packed weights."""
    result = cli("models", "remove")
    assert result.code == 2
    assert "--packed" in result.err
    assert len(list(packed.iterdir())) == 3


@pytest.mark.parametrize("noticed", [0.0, 60.0])
def test_a_first_start_says_so_once(monkeypatch, capsys, noticed):
    """Whether the load was noticed before or not; a start that finds packed weights says nothing."""
    monkeypatch.setattr(loading, "_NOTICED_S", noticed)
    monkeypatch.setattr(loading, "_SHORTEST_S", 0.0)
    told = []

    class Provider:
        spec = fake_spec()

        def add_listener(self, listener):
            told.append(listener)

    shown = loading.Loading(Provider())
    with shown:
        told[0](Event("stage.started", data={"stage": "compile"}))
        for part in ("talker", "predictor"):
            told[0](Event("weights.packing", data={"part": part}))
            told[0](Event("weights.packed", data={"part": part, "bytes": 1}))
        shown._notice()
        told[0](Event("stage.finished", data={"stage": "compile", "seconds": 1.0}))
    err = capsys.readouterr().err
    assert err.count("packing weights for the next start") == 1
    assert "compiling" in err
