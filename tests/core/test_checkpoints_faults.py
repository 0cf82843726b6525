"""What goes wrong with downloads, and what is left of it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from waiting import until

import realtts
from realtts import (
    CheckpointCorrupt,
    CheckpointForbidden,
    CheckpointMissing,
    DownloadFailed,
    NotEnoughDisk,
    checkpoints,
)
from realtts.checkpoints import planning, transfer
from realtts.testing import FakeHub, fake_spec, faulty

huggingface_hub = pytest.importorskip("huggingface_hub")

WEIGHTS = bytes(range(256)) * 12000
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
WANTED = ["config.json", "model.safetensors"]
FETCH = """
import json, sys
from realtts import checkpoints
def report(event):
    print(json.dumps(event.name), flush=True)
files = checkpoints.fetch("owner/model", ["model.safetensors"], report=report)
print(json.dumps(files["model.safetensors"].stat().st_size), flush=True)
"""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one repository, a cache of the test's own, and no pauses between tries."""
    monkeypatch.setattr(transfer, "_PAUSE_S", 0.0)
    with FakeHub() as hub:
        for name, value in {**hub.environment(tmp_path / "hf"), "REALTTS_DATA_DIR": str(tmp_path / "data")}.items():
            monkeypatch.setenv(name, value)
        hub.commit = hub.add("owner/model", FILES)
        hub.blobs = tmp_path / "hf" / "hub" / "models--owner--model" / "blobs"
        yield hub


@pytest.fixture
def start():
    """Starts a download in a process of its own."""
    running = []

    def call(*arguments):
        process = subprocess.Popen(
            [sys.executable, *(arguments or ("-c", FETCH))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield call
    for process in running:
        process.kill()
        process.communicate()


def fetch():
    """The bytes of the weights."""
    return checkpoints.fetch("owner/model", WANTED)["model.safetensors"].read_bytes()


def test_a_cut_is_mended(hub):
    """The same call goes on from where the connection was cut."""
    hub.cut("model.safetensors", after=1_000_000, times=2)
    assert fetch() == WEIGHTS
    ranges = [request.range for request in hub.downloads("model.safetensors")]
    assert ranges[0] == ""
    assert all(int(wanted.removeprefix("bytes=").removesuffix("-")) > 0 for wanted in ranges[1:])
    assert len(ranges) == 3


def test_a_cut_for_good_is_resumed_by_the_next_try(hub):
    """The error says so, what arrived stays, and the next call asks for the rest only."""
    hub.cut("model.safetensors", after=1_000_000)
    hub.cut("model.safetensors", after=0, times=4)
    with pytest.raises(DownloadFailed, match="what arrived is kept"):
        fetch()
    planned = checkpoints.plan("owner/model", WANTED)
    assert 0 < planned.missing_bytes < len(WEIGHTS)
    asked = len(hub.downloads("model.safetensors"))
    assert fetch() == WEIGHTS
    (rest,) = hub.downloads("model.safetensors")[asked:]
    assert int(rest.range.removeprefix("bytes=").removesuffix("-")) == len(WEIGHTS) - planned.missing_bytes


def test_a_file_of_unknown_size_is_given_up(hub, monkeypatch):
    """It cannot be resumed, so bytes that were there before are no progress, and the tries come to an end."""
    about = huggingface_hub.get_hf_file_metadata
    listing = planning.list_files

    def without_sizes(*arguments):
        found = listing(*arguments)
        files = {name: dataclasses.replace(file, size=None) for name, file in found.files.items()}
        return dataclasses.replace(found, files=files)

    monkeypatch.setattr(planning, "list_files", without_sizes)
    monkeypatch.setattr(
        huggingface_hub, "get_hf_file_metadata", lambda *given, **named: sizeless(about(*given, **named))
    )
    hub.cut("model.safetensors", after=1_000_000, times=50)
    with pytest.raises(DownloadFailed):
        fetch()
    assert len(hub.downloads("model.safetensors")) < 10


def sizeless(found):
    """The answer to a HEAD request that does not tell the size."""
    return dataclasses.replace(found, size=None)


def test_a_partial_file_that_vanishes_is_fetched_anew(hub, monkeypatch):
    """Somebody empties the cache while it is checked: an error of ours at most."""
    check = transfer._is_right

    def emptied(path, size, digest):
        monkeypatch.setattr(transfer, "_is_right", check)
        path.unlink()
        return check(path, size, digest)

    monkeypatch.setattr(transfer, "_is_right", emptied)
    with pytest.raises(CheckpointCorrupt):
        fetch()
    assert fetch() == WEIGHTS


def test_a_corrupt_file_is_removed(hub):
    """Bytes that do not have the hub's digest never get a name, and the next try is clean."""
    hub.spoil("model.safetensors")
    with pytest.raises(CheckpointCorrupt, match=r"model\.safetensors is not what the hub announced"):
        fetch()
    assert [path.stat().st_size for path in hub.blobs.iterdir()] == [2]
    assert fetch() == WEIGHTS


def test_a_corrupt_small_file_is_found_too(hub):
    """Small files have git's digest."""
    hub.spoil("config.json")
    with pytest.raises(CheckpointCorrupt, match=r"config\.json"):
        fetch()


def test_a_spoilt_beginning_is_fetched_anew(hub):
    """When what an earlier try left turns out to be wrong, the file is downloaded whole."""
    hub.cut("model.safetensors", after=1_000_000)
    hub.cut("model.safetensors", after=0, times=4)
    with pytest.raises(DownloadFailed):
        fetch()
    (partial,) = hub.blobs.glob("*.incomplete")
    partial.write_bytes(b"?" * partial.stat().st_size)
    assert fetch() == WEIGHTS


def test_verify_replaces_what_is_damaged(hub, monkeypatch):
    """A blob that rotted is found by reading it, and fetched again."""
    files = checkpoints.fetch("owner/model", WANTED)
    blob = files["model.safetensors"].resolve()
    blob.write_bytes(WEIGHTS[:-1] + b"!")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointCorrupt, match=r"model\.safetensors damaged"):
        checkpoints.fetch("owner/model", WANTED, verify=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    found = checkpoints.fetch("owner/model", WANTED, verify=True)
    assert found["model.safetensors"].read_bytes() == WEIGHTS
    assert len(hub.downloads("config.json")) == 1


def test_a_file_that_is_listed_but_missing(hub):
    """File, repository and revision are named."""
    hub.refuse("model.safetensors")
    with pytest.raises(CheckpointMissing, match=rf"model\.safetensors missing in owner/model at revision {hub.commit}"):
        fetch()


def test_files_that_are_not_listed(hub):
    """All of them are named before anything is downloaded."""
    with pytest.raises(CheckpointMissing, match=r"a\.json, b\.safetensors or b\.pt missing in owner/model"):
        checkpoints.fetch("owner/model", ["config.json", "a.json", ("b.safetensors", "b.pt")])
    assert hub.downloads("config.json") == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("owner/nothing", "no repository owner/nothing"),
        ("owner/model@v9", "owner/model has no revision v9"),
        ("owner/model@../../x", "is no hub id"),
        ("../model", "is no hub id"),
        ("owner/a/b", "is no hub id"),
        ("own er/model", "is no hub id"),
    ],
)
def test_what_there_is_not(hub, source, message):
    """Repository, revision or neither."""
    with pytest.raises(CheckpointMissing, match=message):
        checkpoints.fetch(source, WANTED)


def test_gated(hub):
    """The error says where to ask for access."""
    hub.add("owner/gated", FILES, gated=True)
    with pytest.raises(CheckpointForbidden, match="accept its conditions"):
        checkpoints.fetch("owner/gated", WANTED)


@pytest.mark.parametrize(("status", "kind"), [(403, CheckpointForbidden), (500, DownloadFailed)])
def test_refusals(hub, status, kind):
    """A closed file and a broken server are told apart."""
    hub.refuse("model.safetensors", status=status)
    with pytest.raises(kind):
        fetch()


def test_the_disk_is_looked_at_first(hub, monkeypatch):
    """Nothing is downloaded that does not fit."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(NotEnoughDisk, match="1,000 are free"):
        fetch()
    assert hub.downloads("config.json") == hub.downloads("model.safetensors") == []


class TestOffline:
    """Without a network."""

    def test_with_a_copy(self, hub, monkeypatch):
        """The cache serves, by branch and by commit, and nothing is asked."""
        fetch()
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        asked = len(hub.requests)
        assert fetch() == WEIGHTS
        assert list(checkpoints.fetch(f"owner/model@{hub.commit}", ["*.json"])) == ["config.json"]
        assert len(hub.requests) == asked

    def test_without_a_copy(self, hub, monkeypatch):
        """The variable is named."""
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE is set"):
            fetch()
        assert hub.requests == []

    def test_half_a_copy_is_none(self, hub, monkeypatch):
        """What an interrupted download left is not served as if it were all."""
        hub.refuse("model.safetensors", status=403)
        with pytest.raises(CheckpointForbidden):
            checkpoints.fetch("owner/model", ["config.json", "*.safetensors"])
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(DownloadFailed, match="has not all files"):
            checkpoints.fetch("owner/model", ["config.json", "*.safetensors"])

    def test_a_hub_that_does_not_answer(self, hub, monkeypatch, caplog):
        """The copy in the cache is used with a warning; without one it is an error."""
        fetch()
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
        assert fetch() == WEIGHTS
        assert "the copy in the cache is used" in caplog.text
        with pytest.raises(DownloadFailed, match="check the network"):
            checkpoints.fetch("owner/other", WANTED)

    def test_an_answer_that_is_no_hub(self, hub, monkeypatch):
        """A proxy's page is no listing."""
        monkeypatch.setenv("HF_ENDPOINT", f"{hub.endpoint}/elsewhere")
        with pytest.raises(realtts.CheckpointError):
            fetch()


@pytest.mark.full  # by default: test_a_killed_download_is_resumed_by_another_process, with its lock
def test_two_processes_share_one_download(hub, start):
    """The second waits for the first, and both have the file."""
    gate = hub.hold("model.safetensors")
    first = start()
    until(lambda: hub.downloads("model.safetensors"))
    second = start()
    told = [json.loads(second.stdout.readline()) for _ in range(2)]
    assert told == ["download.started", "download.waiting"]
    gate.set()
    sizes = [json.loads(process.communicate(timeout=60)[0].splitlines()[-1]) for process in (first, second)]
    assert sizes == [len(WEIGHTS)] * 2
    assert len(hub.downloads("model.safetensors")) == 1


def test_a_killed_download_is_resumed_by_another_process(hub, start, begun):
    """What a process had written is used by the next one, whose lock is free."""
    gate = hub.hold("model.safetensors")
    first = start()
    until(lambda: begun(hub.blobs))
    first.kill()
    first.wait()
    gate.set()
    assert fetch() == WEIGHTS
    assert hub.downloads("model.safetensors")[-1].range.startswith("bytes=")


@pytest.mark.full  # by default: cli/test_download.test_an_interrupt_can_be_resumed
@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_an_interrupt_leaves_what_arrived(hub, start, begun):
    """Ctrl-C in the middle: the partial file stays, and the lock is free."""
    gate = hub.hold("model.safetensors")
    process = start()
    until(lambda: begun(hub.blobs))
    os.kill(process.pid, signal.SIGINT)
    until(lambda: process.poll() is not None)
    gate.set()
    assert list(hub.blobs.glob("*.incomplete"))
    assert fetch() == WEIGHTS
    assert not list(hub.blobs.glob("*.incomplete"))


def test_the_ladder_does_not_step_down(hub):
    """No lower rung would have the weights: the error arrives as it is."""
    spec = faulty(fake_spec(), "load", error=CheckpointMissing("gone", who="checkpoint 'x'", fix="look elsewhere"))
    with realtts.RealProvider(spec) as tts:
        with pytest.raises(CheckpointMissing, match="look elsewhere"):
            tts.load()
        assert tts.get_provider_status()["attempts"] == []
