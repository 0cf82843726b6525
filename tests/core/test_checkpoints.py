"""Checkpoints become files: from the hub, from its cache, from a folder."""

from __future__ import annotations

import json
import logging
import os
import sys

import pytest

import realtts
from realtts import Checkpoint, CheckpointCorrupt, CheckpointError, CheckpointMissing, InvalidPlugin, checkpoints
from realtts.checkpoints import Files
from realtts.testing import FakeHub, fake_spec

huggingface_hub = pytest.importorskip("huggingface_hub")

WEIGHTS = bytes(range(256)) * 8000
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "model.pt": b"pickled" * 500, "README.md": b"#"}
WANTED = ["config.json", ("model.safetensors", "model.pt")]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one repository, and a cache of the test's own."""
    with FakeHub() as hub:
        for name, value in {**hub.environment(tmp_path / "hf"), "REALTTS_DATA_DIR": str(tmp_path / "data")}.items():
            monkeypatch.setenv(name, value)
        hub.commit = hub.add("owner/model", FILES, licence="mit")
        yield hub


def pinned(hub, **changes):
    """The checkpoint as a spec would list it."""
    fields = {"source": "owner/model", "revision": hub.commit, "files": tuple(WANTED)}
    return Checkpoint("tiny", **{**fields, **changes})


def test_brings_what_is_needed_and_no_more(hub):
    """The safetensors file is preferred, and nothing else of the repository is downloaded."""
    files = checkpoints.fetch(pinned(hub))
    assert list(files) == ["config.json", "model.safetensors"]
    assert files["model.safetensors"].read_bytes() == WEIGHTS
    assert files.first("model.safetensors", "model.pt") == files["model.safetensors"]
    assert (files.source, files.revision) == ("owner/model", hub.commit)
    assert hub.downloads("model.pt") == hub.downloads("README.md") == []
    with pytest.raises(CheckpointMissing, match=r"no a\.bin or b\.bin"):
        files.first("a.bin", "b.bin")


def test_a_pinned_checkpoint_is_fetched_once(hub):
    """What lies in the cache needs no network, not even a question."""
    first = checkpoints.fetch(pinned(hub))
    asked = len(hub.requests)
    assert checkpoints.fetch(pinned(hub)) == first
    assert len(hub.requests) == asked


def test_what_other_tools_downloaded_is_used(hub, tmp_path):
    """The cache is the hub library's own."""
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download(
            "owner/model", name, revision=hub.commit, endpoint=hub.endpoint, cache_dir=tmp_path / "hf" / "hub"
        )
    asked = len(hub.requests)
    assert checkpoints.fetch(pinned(hub))["model.safetensors"].read_bytes() == WEIGHTS
    assert len(hub.requests) == asked


def test_other_tools_use_what_was_fetched(hub, tmp_path):
    """And the other way round, by the branch's name too."""
    files = checkpoints.fetch("owner/model", WANTED)
    found = huggingface_hub.try_to_load_from_cache("owner/model", "config.json", cache_dir=tmp_path / "hf" / "hub")
    assert found == str(files["config.json"])


def test_a_branch_is_followed(hub):
    """A hub id without a revision is what its branch is now; with one it stays."""
    checkpoints.fetch("owner/model", WANTED)
    newer = hub.add("owner/model", {**FILES, "config.json": b'{"a": 1}'})
    assert checkpoints.fetch("owner/model", WANTED)["config.json"].read_bytes() == b'{"a": 1}'
    assert checkpoints.fetch(f"owner/model@{hub.commit}", WANTED)["config.json"].read_bytes() == b"{}"
    assert checkpoints.fetch("owner/model", WANTED).revision == newer
    assert len(hub.downloads("model.safetensors")) == 1


def test_alternatives_patterns_and_what_may_be_missing(hub):
    """The first alternative that there is; every file of a pattern; nothing for what may be missing."""
    commit = hub.add("owner/parts", {"a/1.bin": b"1", "a/2.bin": b"2", "a/b/3.bin": b"3", "old.pt": b"p"})
    wanted = ["a/*.bin", ("new.safetensors", "old.pt"), ("extra.json", None)]
    for source in ("owner/parts", f"owner/parts@{commit}", f"owner/parts@{commit}"):
        assert list(checkpoints.fetch(source, wanted)) == ["a/1.bin", "a/2.bin", "old.pt"]


def test_an_index_brings_its_parts(hub):
    """Big weights are cut into parts; the index says which."""
    index = json.dumps({"weight_map": {"x": "w-2.safetensors", "y": "w-1.safetensors", "z": "w-1.safetensors"}})
    parts = {"w-1.safetensors": b"1" * 2000, "w-2.safetensors": b"2" * 2000, "w-3.safetensors": b"3" * 2000}
    hub.add(
        "owner/big",
        {f"lm/{name}": data for name, data in {**parts, "w.safetensors.index.json": index.encode()}.items()},
    )
    files = checkpoints.fetch("owner/big", [("lm/w.safetensors", "lm/w.safetensors.index.json")])
    assert list(files) == ["lm/w.safetensors.index.json", "lm/w-1.safetensors", "lm/w-2.safetensors"]
    assert files["lm/w-2.safetensors"].read_bytes() == b"2" * 2000
    assert (
        checkpoints.fetch(f"owner/big@{files.revision}", [("lm/w.safetensors", "lm/w.safetensors.index.json")]) == files
    )


@pytest.mark.parametrize("part", ["../../../secret", "/etc/passwd", "a\\..\\b", "C:x", 7])
def test_an_index_cannot_lead_outside(hub, tmp_path, part):
    """Names in an index are checked, on the hub and in a folder."""
    index = json.dumps({"weight_map": {"x": part}}).encode()
    hub.add("owner/bad", {"w.index.json": index})
    (tmp_path / "w.index.json").write_bytes(index)
    for source in ("owner/bad", tmp_path):
        with pytest.raises(CheckpointCorrupt, match="outside the checkpoint"):
            checkpoints.fetch(source, ["w.index.json"])


def test_a_damaged_index_is_told(tmp_path):
    """An index that is none names itself."""
    (tmp_path / "w.index.json").write_text("[]")
    with pytest.raises(CheckpointCorrupt, match=r"w\.index\.json is no index"):
        checkpoints.fetch(tmp_path, ["w.index.json"])


def test_the_download_is_told(hub, caplog):
    """Size and licence come before the first byte, then progress, then the end; a cached fetch is silent."""
    events = []
    with caplog.at_level(logging.INFO, "realtts"):
        checkpoints.fetch(pinned(hub), report=events.append)
    assert {record.levelname for record in caplog.records} == {"INFO"}  # an ordinary event
    assert "downloading 2.0 MiB of owner/model (2 files, licence: mit)" in caplog.text
    size = len(WEIGHTS) + 2
    first, *between, last = events
    assert (first.name, first.data["bytes"], first.data["licence"]) == ("download.started", size, "mit")
    assert {event.name for event in between} == {"download.progress"}
    done = [event.data["done_bytes"] for event in between]
    assert done == sorted(done)
    assert done[-1] == size
    assert (last.name, last.data["bytes"]) == ("download.finished", size)
    events.clear()
    checkpoints.fetch(pinned(hub), report=events.append)
    assert events == []


def test_the_plan_downloads_nothing(hub):
    """`plan` says what would be fetched; what the spec says of the licence goes first."""
    planned = checkpoints.plan(pinned(hub, licence="CC-BY-NC-4.0"))
    assert (planned.licence, planned.commit, planned.complete) == ("CC-BY-NC-4.0", hub.commit, False)
    assert planned.size_bytes == planned.missing_bytes == len(WEIGHTS) + 2
    assert [file.name for file in planned.files] == ["config.json", "model.safetensors"]
    assert hub.downloads("config.json") == hub.downloads("model.safetensors") == []
    checkpoints.fetch(pinned(hub))
    planned = checkpoints.plan(pinned(hub))
    assert (planned.complete, planned.missing_bytes, planned.licence) == (True, 0, "mit")


def test_the_token_stays_with_the_hub(hub, monkeypatch):
    """The host that keeps large files does not see it."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    checkpoints.fetch(pinned(hub))
    sent = {request.path.split("/")[1]: request.authorization for request in hub.requests}
    assert sent["owner"] == sent["api"] == "Bearer hf_secret"
    assert sent["store"] == ""


def test_no_library_no_hub(hub, monkeypatch):
    """Without the extra the error names it; what is in the cache, or in a folder, needs no library."""
    checkpoints.fetch(pinned(hub))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert len(checkpoints.fetch(pinned(hub))) == 2
    with pytest.raises(CheckpointError, match=r'pip install "realtts\[hub\]"'):
        checkpoints.fetch("owner/model", WANTED)


class TestFolders:
    """Local folders are served as they lie."""

    def test_serves_a_folder(self, tmp_path):
        """Names lead to the files themselves; parts of an index and patterns too."""
        (tmp_path / "sub").mkdir()
        for name in ("config.json", "model.pt", "sub/a.txt", "sub/b.txt"):
            (tmp_path / name).write_bytes(b"x")
        files = checkpoints.fetch(Checkpoint("mine", path=tmp_path), [*WANTED, "sub/*.txt"])
        assert list(files) == ["config.json", "model.pt", "sub/a.txt", "sub/b.txt"]
        assert files["model.pt"] == tmp_path / "model.pt"
        assert files.revision is None
        assert checkpoints.plan(tmp_path, WANTED) is None

    def test_its_identity_is_its_files(self, tmp_path):
        """It changes with one that is asked about, and with no other; a commit needs no look at files."""
        for name in ("a", "b"):
            (tmp_path / name).write_text("1")
        files = Files({name: tmp_path / name for name in ("a", "b")}, source=str(tmp_path))
        before = files.identity("a", "c")
        (tmp_path / "b").write_text("22")
        assert files.identity("a", "c") == before
        os.utime(tmp_path / "a", ns=(1, 1))
        assert files.identity("a", "c") != before
        assert Files({"a": tmp_path / "gone"}, source="o/n", revision="c0").identity("a") == "o/n@c0"

    def test_names_everything_that_is_missing(self, tmp_path):
        """One error for all of it."""
        with pytest.raises(CheckpointMissing, match=r"config\.json, model\.safetensors or model\.pt missing"):
            checkpoints.fetch(tmp_path, WANTED)

    def test_a_single_file_stands_for_its_like(self, tmp_path):
        """A fine-tune's weights under their own name; the rest lies beside it."""
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "epoch-7.safetensors").write_bytes(b"x")
        files = checkpoints.fetch(tmp_path / "epoch-7.safetensors", WANTED)
        assert files == {
            "model.safetensors": tmp_path / "epoch-7.safetensors", "config.json": tmp_path / "config.json",
        }  # fmt: skip
        (tmp_path / "notes.txt").write_text("")
        with pytest.raises(CheckpointMissing, match=r"notes\.txt is not one of the files"):
            checkpoints.fetch(tmp_path / "notes.txt", WANTED)


@pytest.mark.parametrize(
    "files", [(), "model.pt", ["../x"], ["/x"], [""], ["a//b"], [("a", None, "b")], [(None,)], [7], ["**/x"], ["a\\b"]]
)
def test_what_no_plugin_can_need(tmp_path, files):
    """Names that lead outside, and lists of the wrong kind, are the plugin's fault."""
    with pytest.raises(InvalidPlugin):
        checkpoints.fetch(tmp_path, files)


def test_nothing_to_fetch():
    """A checkpoint that the plugin carries itself, and none at all."""
    with pytest.raises(CheckpointMissing, match="carries the data itself"):
        checkpoints.fetch(Checkpoint("bundled"), WANTED)
    with pytest.raises(CheckpointMissing, match="no checkpoint was chosen"):
        checkpoints.fetch(None, WANTED)


@pytest.mark.parametrize(
    ("model", "source", "revision", "licence"),
    [
        (None, "owner/model", "a" * 40, "MIT"),
        ("owner/model", "owner/model", "a" * 40, "MIT"),
        ("owner/model@v2", "owner/model", "v2", ""),
        ("other/finetune", "other/finetune", None, ""),
        ("other/finetune@v1", "other/finetune", "v1", ""),
    ],
)
def test_a_hub_id_as_model(model, source, revision, licence):
    """A repository that the spec knows keeps its pin; others may carry a revision behind @."""
    spec = fake_spec(checkpoints=(Checkpoint("tiny", "owner/model", None, "MIT", "a" * 40, files=tuple(WANTED)),))
    with realtts.RealProvider(spec, model=model) as tts:
        found = tts.get_provider_status()["checkpoint"]
    assert (found["source"], found["revision"], found["licence"]) == (source, revision, licence)


def test_half_a_hub_id_is_unknown():
    """An @ with nothing behind it is a mistake."""
    spec = fake_spec(checkpoints=(Checkpoint("tiny", "owner/model"),))
    with pytest.raises(realtts.UnknownCheckpoint):
        realtts.RealProvider(spec, model="owner/model@")


def test_files_of_a_spec_are_frozen():
    """Lists are accepted, and the checkpoint can still be a key."""
    checkpoint = Checkpoint("tiny", files=["a", ["b", None]])
    assert checkpoint.files == ("a", ("b", None))
    assert hash(checkpoint)
