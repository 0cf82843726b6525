"""What lies in the cache, and taking it out again."""

from __future__ import annotations

import json
import threading

import pytest

from realtts import Checkpoint, DownloadFailed, Installed, checkpoints
from realtts.checkpoints import transfer
from realtts.testing import FakeHub, fake_spec

pytest.importorskip("huggingface_hub")

FILES = {"vocab.txt": b"v" * 50, "v1.bin": b"1" * 300_000, "v2.bin": b"2" * 7000, "other.bin": b"o" * 9000}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with a repository of two checkpoints that share a file, and a provider that lists both."""
    monkeypatch.setattr(transfer, "_PAUSE_S", 0.0)
    with FakeHub() as hub:
        for name, value in {**hub.environment(tmp_path / "hf"), "REALTTS_DATA_DIR": str(tmp_path / "data")}.items():
            monkeypatch.setenv(name, value)
        hub.commit = hub.add("owner/model", FILES, licence="mit")
        hub.tiny, hub.big = (
            Checkpoint(name, "owner/model", None, "MIT", hub.commit, files=("vocab.txt", f"{version}.bin"))
            for name, version in (("tiny", "v1"), ("big", "v2"))
        )
        spec = fake_spec(checkpoints=(hub.tiny, hub.big, Checkpoint("bundled")))
        monkeypatch.setattr(
            "realtts.registry.providers.installed", lambda: [Installed("fake", spec, None, "fake-plugin", "1")]
        )
        hub.folder = tmp_path / "hf" / "hub" / "models--owner--model"
        yield hub


def by_name():
    """The inventory by name."""
    return {kept.name: kept for kept in checkpoints.inventory()}


def test_lists_what_is_there(hub):
    """Checkpoints of providers are listed whether they are there or not; bundled ones are not."""
    assert {name: kept.state for name, kept in by_name().items()} == {"tiny": "absent", "big": "absent"}
    files = checkpoints.fetch(hub.tiny)
    found = by_name()
    tiny = found["tiny"]
    assert (tiny.state, tiny.size_bytes, tiny.names) == ("complete", 300_050, ("vocab.txt", "v1.bin"))
    assert (tiny.provider, tiny.repo, tiny.commit, tiny.licence) == ("fake", "owner/model", hub.commit, "MIT")
    assert tiny.folder / "v1.bin" == files["v1.bin"]
    assert tiny.used is not None
    assert (found["big"].state, found["big"].names, found["big"].used) == ("partial", ("vocab.txt",), None)


def test_lists_what_was_fetched_by_its_hub_id(hub):
    """A fine-tune that no spec names, with the hub's licence."""
    hub.add("other/finetune", {"w.bin": b"w" * 2000}, licence="apache-2.0")
    checkpoints.fetch("other/finetune", ["w.bin"])
    kept = by_name()["other/finetune"]
    assert (kept.provider, kept.state, kept.licence, kept.size_bytes) == ("", "complete", "apache-2.0", 2000)
    checkpoints.remove(kept)
    assert "other/finetune" not in by_name()


def test_interrupted_downloads_are_partial(hub):
    """What arrived of an unfinished file counts, and is removed with it."""
    hub.cut("v1.bin", after=200_000)
    hub.cut("v1.bin", after=0, times=4)
    with pytest.raises(DownloadFailed):
        checkpoints.fetch(hub.tiny)
    tiny = by_name()["tiny"]
    assert tiny.state == "partial"
    assert 50 < tiny.size_bytes <= 200_050
    assert checkpoints.remove(tiny) >= 50
    assert by_name()["tiny"].state == "absent"
    assert not list(hub.folder.glob("blobs/*"))


def test_shared_files_stay(hub):
    """Removing one checkpoint leaves the other whole; removing both leaves nothing."""
    checkpoints.fetch(hub.tiny)
    checkpoints.fetch(hub.big)
    assert checkpoints.remove(by_name()["tiny"]) == 300_000
    found = by_name()
    assert (found["big"].state, found["tiny"].state) == ("complete", "partial")
    assert checkpoints.remove(found["big"]) >= 7000
    for kept in by_name().values():
        checkpoints.remove(kept)
    assert not hub.folder.exists()
    assert checkpoints.fetch(hub.tiny)["v1.bin"].read_bytes() == FILES["v1.bin"]


def test_a_blob_of_two_commits_stays(hub):
    """Files that another commit has too are kept on the disk until that one goes."""
    hub.add("owner/model", {**FILES, "vocab.txt": b"w" * 50}, revision="next")
    checkpoints.fetch(hub.tiny)
    checkpoints.fetch("owner/model@next", ["v1.bin", "vocab.txt"])
    assert checkpoints.remove(by_name()["tiny"]) == 50
    assert checkpoints.fetch("owner/model@next", ["v1.bin"])["v1.bin"].read_bytes() == FILES["v1.bin"]
    assert len(hub.downloads("v1.bin")) == 1


def test_specs_that_do_not_say_what_they_need(hub, monkeypatch):
    """What was fetched for them is known all the same; what other tools fetched is of unknown completeness."""
    spec = fake_spec(checkpoints=(Checkpoint("vague", "owner/model", revision=hub.commit), Checkpoint("bad", "x")))
    monkeypatch.setattr(
        "realtts.registry.providers.installed", lambda: [Installed("fake", spec, None, "fake-plugin", "1")]
    )
    assert {name: kept.state for name, kept in by_name().items()} == {"vague": "absent", "bad": "absent"}
    checkpoints.fetch(spec.checkpoints[0], ["v1.bin"])
    assert by_name()["vague"].state == "complete"
    for path in (hub.folder.parents[2] / "data" / "checkpoints").iterdir():
        path.write_text("damaged")
    assert by_name()["vague"].state == "unknown"
    assert checkpoints.remove(by_name()["vague"]) == 300_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("used", "x"), ("used", None), ("used", float("nan")), ("used", 1e300), ("size_bytes", "7"), ("licence", 5),
        ("revision", ["main"]), ("repo", None), ("names", "v1.bin"), ("names", [3]), ("names", ["../../../x"]),
        ("wanted", None), ("wanted", ["v1.bin"]), ("wanted", [[1]]),
    ],
)  # fmt: skip
def test_a_damaged_record_is_as_none(hub, field, value):
    """Whatever stands in it, the inventory is listed."""
    checkpoints.fetch("owner/model@main", ["v1.bin"])
    checkpoints.fetch(hub.tiny)
    (hub.folder.parents[2] / "data" / "checkpoints" / "other.json").write_text("[]")
    for path in (hub.folder.parents[2] / "data" / "checkpoints").iterdir():
        about = json.loads(path.read_text())
        path.write_text(json.dumps({**about, field: value} if about else about))
    tiny = by_name()["tiny"]
    assert (tiny.state, tiny.used) == ("complete", None)


def test_a_running_download_keeps_what_it_brought(hub, begun):
    """Its partial file stays while it holds the lock, and the download ends well."""
    gate = hub.hold("v1.bin")
    done = []
    running = threading.Thread(target=lambda: done.append(checkpoints.fetch(hub.tiny)), daemon=True)
    running.start()
    while not begun(hub.folder / "blobs"):
        running.join(0.01)
    (partial,) = hub.folder.glob("blobs/*.incomplete")
    checkpoints.remove(by_name()["tiny"])
    assert partial.exists()
    gate.set()
    running.join(60)
    assert done[0]["v1.bin"].read_bytes() == FILES["v1.bin"]


def test_what_a_dead_download_left_is_removed_beside_a_running_one(hub, begun):
    """One lock per file."""
    gate = hub.hold("v1.bin")
    running = threading.Thread(target=lambda: checkpoints.fetch(hub.tiny), daemon=True)
    running.start()
    while not begun(hub.folder / "blobs"):
        running.join(0.01)
    dead = hub.folder / "blobs" / f"{'0' * 64}.realtts.incomplete"
    dead.write_bytes(b"x" * 77)
    assert checkpoints.remove(by_name()["tiny"]) >= 77
    gate.set()
    running.join(60)
    assert not dead.exists()
