"""Voices saved under a name."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from realtts.contract.types import Voice
from realtts.errors import OutputError, VoiceError, VoiceNotFound, VoiceUnreadable, VoiceUnsuitable
from realtts.voices import VoiceStore

RATE = 16_000


def listed(folder):
    """Names of what is in a folder, hidden things too."""
    return sorted(item.name for item in folder.iterdir())


def speech(seed=0, seconds=0.6):
    """Noise at a tenth of full scale."""
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    """A store in a folder that does not exist yet."""
    return VoiceStore(tmp_path / "data" / "voices")


def test_a_voice_comes_back_exactly(store):
    """Samples, rate, text and digest, from another store object."""
    saved = store.add("anna", (speech(), RATE), text="some words")
    voice = VoiceStore(store.folder).get("anna")
    assert np.array_equal(voice.samples, speech())
    assert (voice.sample_rate, voice.text, voice.name) == (RATE, "some words", "anna")
    assert voice.digest == saved.digest == Voice(speech(), RATE, "some words").digest


def test_the_list_tells_about_every_voice(store):
    """Sorted by name, without reading audio."""
    assert store.list() == []
    for name in ("b", "A", "c"):
        store.add(name, (speech(), RATE))
    assert store.names() == ("A", "b", "c")
    saved = store.list()[0]
    assert (saved.name, saved.duration, saved.sample_rate, saved.text, saved.fault) == ("A", 0.6, RATE, None, None)
    assert saved.folder.parent == store.folder
    assert saved.created.endswith("Z")


def test_a_voice_can_be_removed(store):
    """And nothing is left of it."""
    store.add("anna", (speech(), RATE))
    store.remove("ANNA")
    assert listed(store.folder) == []


@pytest.mark.parametrize("name", ["no", "no/such.wav", "", "../x", "a" * 200], ids=repr)
@pytest.mark.parametrize("action", ["get", "remove"])
def test_an_unknown_name_is_not_found(store, action, name):
    """Whether or not it could be a name."""
    with pytest.raises(VoiceNotFound, match="add one first"):
        getattr(store, action)(name)


def test_a_misspelt_name_is_not_found_but_guessed(store):
    """The message lists what there is."""
    store.add("johanna", (speech(), RATE))
    with pytest.raises(VoiceNotFound, match=r"did you mean 'johanna'.*choose one of johanna"):
        store.get("johana")


@pytest.mark.parametrize("name", ["a", "Jürgen-2", "अनिका", "小明", "a.b_c", "x" * 64, "u\u0308", "İ"], ids=repr)
def test_names_in_any_script(store, name):
    """Saved and found again under the same name."""
    store.add(name, (speech(), RATE))
    assert store.get(name).sample_rate == RATE


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".hidden",
        "end.",
        "a b",
        "a/b",
        "a\\b",
        "..",
        "a\0",
        "a:b",
        "x" * 65,
        "con",
        "NUL.wav",
        "😀",
        "𝒜" * 64,
        "-\n",
    ],
    ids=repr,
)
def test_names_that_are_no_good_are_refused(store, name):
    """Before anything is written."""
    with pytest.raises(VoiceError, match="use 1 to 64 letters"):
        store.add(name, (speech(), RATE))
    assert not store.folder.exists()


def test_a_taken_name_is_refused(store):
    """Unless it is to be overwritten."""
    store.add("anna", (speech(), RATE))
    with pytest.raises(VoiceError, match=r"'anna' already.*overwrite"):
        store.add("anna", (speech(1), RATE))
    store.add("anna", (speech(1), RATE), overwrite=True)
    assert np.array_equal(store.get("anna").samples, speech(1))
    assert len(listed(store.folder)) == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_names_that_differ_in_case_only_clash(store, overwrite):
    """On some systems they would be the same folder."""
    store.add("Straße", (speech(), RATE))
    with pytest.raises(VoiceError, match="'Straße' already"):
        store.add("STRASSE", (speech(), RATE), overwrite=overwrite)


@pytest.mark.parametrize("seconds", [0.4, 121])
def test_recordings_are_checked_on_entry(store, seconds):
    """0.5 to 120 seconds, not silent, not clipped."""
    with pytest.raises(VoiceUnsuitable, match=r"0.5 to 120 s"):
        store.add("anna", (speech(seconds=seconds), RATE))
    assert not store.folder.exists()


DAMAGE = {
    "no facts": lambda folder: (folder / "voice.json").unlink(),
    "broken facts": lambda folder: (folder / "voice.json").write_text("{"),
    "other facts": lambda folder: (folder / "voice.json").write_text('{"a": 1}'),
    "a list": lambda folder: (folder / "voice.json").write_text("[]"),
    "not text": lambda folder: (folder / "voice.json").write_bytes(b"\xff\xfe\x00"),
    "another name": lambda folder: (folder / "voice.json").write_text(
        (folder / "voice.json").read_text().replace("anna", "otto")
    ),
    "no audio": lambda folder: (folder / "voice.wav").unlink(),
    "short audio": lambda folder: (folder / "voice.wav").write_bytes(b"RIFF"),
    "empty": lambda folder: [item.unlink() for item in folder.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_voice_is_listed_and_can_be_removed(store, damage):
    """It harms no other, and `get` says what is wrong."""
    damage(store.add("anna", (speech(), RATE)).folder)
    store.add("ben", (speech(), RATE))
    anna, ben = store.list()
    assert (anna.name, ben.name, ben.fault) == ("anna", "ben", None)
    assert anna.fault
    assert store.names() == ("ben",)
    with pytest.raises(VoiceUnreadable, match="remove the voice and add it again"):
        store.get("anna")
    store.remove("anna")
    assert store.names() == ("ben",)


def test_a_damaged_voice_can_be_overwritten(store):
    """In place of being removed first."""
    DAMAGE["broken facts"](store.add("anna", (speech(), RATE)).folder)
    store.add("anna", (speech(1), RATE), overwrite=True)
    assert np.array_equal(store.get("anna").samples, speech(1))


def test_audio_that_was_changed_is_noticed(store):
    """By its digest, which caches rely on."""
    folder = store.add("anna", (speech(), RATE)).folder
    content = bytearray((folder / "voice.wav").read_bytes())
    content[-2] ^= 1
    (folder / "voice.wav").write_bytes(content)
    with pytest.raises(VoiceUnreadable, match="changed"):
        store.get("anna")


def test_strange_things_in_the_folder_are_ignored(store):
    """Files, and what a process left behind that was killed; the latter is swept after a day."""
    store.add("anna", (speech(), RATE))
    (store.folder / "notes.txt").touch()
    for name in (".new-1", ".old-2"):
        (store.folder / name).mkdir()
    os.utime(store.folder / ".old-2", (0, 0))
    store.add("ben", (speech(), RATE))
    assert store.names() == ("anna", "ben")
    assert listed(store.folder) == [".new-1", "anna", "ben", "notes.txt"]


@pytest.mark.parametrize("step", ["write", "rename"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_leaves_nothing_behind(store, monkeypatch, step, overwrite):
    """Neither half a voice nor none where there was one."""
    store.add("ben", (speech(), RATE))

    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, {"write": "write_text", "rename": "rename"}[step], refuse)
    name = "ben" if overwrite else "anna"
    with pytest.raises(OutputError, match=r"No space left.*REALTTS_DATA_DIR"):
        store.add(name, (speech(1), RATE), overwrite=overwrite)
    monkeypatch.undo()
    assert listed(store.folder) == ["ben"]
    assert np.array_equal(store.get("ben").samples, speech())


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    """A file stands where a folder should be."""
    (tmp_path / "file").touch()
    store = VoiceStore(tmp_path / "file" / "voices")
    assert store.list() == []
    with pytest.raises(OutputError, match="cannot be saved"):
        store.add("anna", (speech(), RATE))


def test_a_voice_that_cannot_be_removed_is_reported(store, monkeypatch):
    """Or that another process removed first."""
    store.add("anna", (speech(), RATE))

    def fail(error):
        def rename(*args):
            raise error

        monkeypatch.setattr(Path, "rename", rename)

    fail(PermissionError(errno.EACCES, "Permission denied"))
    with pytest.raises(OutputError, match="who owns"):
        store.remove("anna")
    fail(FileNotFoundError())
    with pytest.raises(VoiceNotFound):
        store.remove("anna")


def test_of_many_that_add_one_name_a_single_one_wins(store):
    """The others are told, and the voice is whole."""
    outcomes = []

    def add(seed):
        try:
            store.add("anna" if seed % 2 else "Anna", (speech(seed), RATE))
        except VoiceError:
            outcomes.append(None)
        else:
            outcomes.append(seed)

    threads = [threading.Thread(target=add, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [seed for seed in outcomes if seed is not None]
    assert len(outcomes) == 8
    assert np.array_equal(store.get("anna").samples, speech(winner))
    assert listed(store.folder) == ["anna"]


def test_readers_see_whole_voices_while_others_overwrite(store):
    """The old one or the new one, never half of both."""
    store.add("anna", (speech(0), RATE))
    known = {Voice(speech(seed), RATE).digest for seed in range(5)}
    errors = []

    def overwrite(seed):
        try:
            store.add("anna", (speech(seed), RATE), overwrite=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=overwrite, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert store.get("anna").digest in known
    for thread in threads:
        thread.join()
    assert errors == []
    assert listed(store.folder) == ["anna"]


def test_a_voice_that_is_always_being_replaced_gives_up(store, monkeypatch):
    """Rather than try for ever."""
    store.add("anna", (speech(), RATE))
    monkeypatch.setattr("realtts.voices.store._delete", lambda folder: None)
    with pytest.raises(OutputError, match="cannot be saved"):
        store.add("anna", (speech(1), RATE), overwrite=True)


def test_a_voice_that_vanishes_while_it_is_read_is_looked_for_again(store, monkeypatch):
    """Once it is back, it is read."""
    import realtts.voices.store as module

    folder = store.add("anna", (speech(), RATE)).folder
    away = folder.with_name(".old-1")
    read, sleep = module.read, module.time.sleep

    def vanish(path):
        if not away.exists():
            shutil.move(folder, away)
        return read(path)

    def come_back(seconds):
        if away.exists() and not folder.exists():
            shutil.copytree(away, folder)
        sleep(0)

    monkeypatch.setattr(module, "read", vanish)
    monkeypatch.setattr(module.time, "sleep", come_back)
    assert np.array_equal(store.get("anna").samples, speech())


def test_the_default_folder(tmp_path, monkeypatch):
    """In the user's data folder, or where the environment says."""
    monkeypatch.delenv("REALTTS_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    assert VoiceStore().folder.name == "voices"
    assert "realtts" in VoiceStore().folder.parts
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path))
    assert VoiceStore().folder == tmp_path / "voices"


def test_the_list_needs_no_numpy(store):
    """It is read wherever names are completed."""
    store.add("anna", (speech(), RATE))
    code = (
        "import sys; from pathlib import Path; from realtts.voices.store import VoiceStore;"
        f"print(VoiceStore(Path({str(store.folder)!r})).names(), 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "('anna',) False\n"


def test_facts_are_readable_by_people(store):
    """JSON, indented, with the name as it was given."""
    folder = store.add("Jürgen", (speech(), RATE), text="Grüß Gott").folder
    content = (folder / "voice.json").read_text(encoding="utf-8")
    assert "Grüß Gott" in content
    assert json.loads(content)["name"] == "Jürgen"


def test_the_package_has_no_other_names():
    """A misspelt one is an attribute error as usual."""
    import realtts.voices

    with pytest.raises(AttributeError, match="VoiceStor"):
        _ = realtts.voices.VoiceStor
