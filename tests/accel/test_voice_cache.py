"""Voices on disk: found again, bounded, never trusted, shared between processes."""

import json
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtts import RealProvider, Settings  # noqa: E402
from realtts.accel.voices.disk_cache import DiskVoiceCache  # noqa: E402
from realtts.accel.voices.values import owned  # noqa: E402
from realtts.testing import fake_spec  # noqa: E402
from realtts.voices import VoiceCache  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged", "own_folders")


def never():
    """For what must be found."""
    pytest.fail("computed again")


@pytest.fixture
def folder(tmp_path):
    """The cache's folder."""
    return tmp_path / "voices"


@pytest.fixture
def cache(folder):
    """A cache in it."""
    return DiskVoiceCache(folder=folder)


def later(folder, **arguments):
    """The cache of a later process: nothing in memory."""
    return DiskVoiceCache(folder=folder, **arguments)


VALUE = {
    "embedding": torch.linspace(0, 1, 256),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "scalar": torch.tensor(3),
    "empty": torch.empty(0, 4),
    "flags": torch.tensor([True, False]),
    "prompt": {"tokens": np.arange(5)[::-1], "rate": 24000, "text": "naïve", "none": None},
    "list": [1.5, (True, np.float64(2.0).item()), {}],
    "array0": np.array(2.0, np.float32),
}


def equal(first, second):
    """Whether two values are the same, types included."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(equal(*pair) for pair in zip(first, second, strict=True))
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and first.shape == second.shape and bool((first == second).all())
    return first == second


def test_a_later_process_finds_the_value(cache, folder):
    """Equal in every part, with types and shapes."""
    cache.get_or_compute("a", lambda: VALUE)
    found = later(folder).get_or_compute("a", never)
    assert equal(found, VALUE)


def test_memory_is_asked_before_the_disk(cache, folder):
    """The same object again, even if the file is gone."""
    first = cache.get_or_compute("a", lambda: VALUE)
    cache.path_of("a").unlink()
    assert cache.get_or_compute("a", never) is first


def test_counters(cache, folder):
    """Of both layers, and in the statistics of the layer above."""
    cache.get_or_compute("a", lambda: VALUE)
    other = later(folder)
    other.get_or_compute("a", never)
    other.get_or_compute("a", never)
    stats = other.stats()
    assert (stats["hits"], stats["misses"], stats["disk_hits"], stats["disk_misses"]) == (1, 1, 1, 0)
    assert other.memory.stats() == stats
    assert cache.stats()["disk_misses"] == 1


def test_counters_are_in_the_status_of_a_provider(folder):
    """A plugin puts the layer below its context's cache."""
    with RealProvider(fake_spec()) as tts:
        assert "disk_hits" not in tts.get_provider_status()["cache"]
        cache = DiskVoiceCache(tts._ladder.voice_cache, folder=folder)
        cache.get_or_compute("a", lambda: VALUE)
        assert tts.get_provider_status()["cache"]["disk_misses"] == 1


def test_keys_are_kept_apart(cache, folder):
    """Whatever characters they hold."""
    for key in ("a", "b", "../../up", "ü/\0", "x" * 5000):
        cache.get_or_compute(key, lambda key=key: {"key": key})
    other = later(folder)
    for key in ("a", "b", "../../up", "ü/\0", "x" * 5000):
        assert other.get_or_compute(key, never) == {"key": key}
    assert len(list(folder.iterdir())) == 5


def flip(path):
    """Change one bit of the last tensor."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path):
    """End the file early."""
    path.write_bytes(path.read_bytes()[:-10])


def other_version(path):
    """A file of a version to come."""
    path.write_bytes(path.read_bytes().replace(b'"realtts_voice_cache":"1"', b'"realtts_voice_cache":"9"'))


@pytest.mark.parametrize(
    "spoil",
    [
        flip,
        cut,
        other_version,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not a tensor"),
        lambda path: path.write_bytes((2**60).to_bytes(8, "little") + b"{}"),
        lambda path: path.write_bytes((2).to_bytes(8, "little") + b"{}"),
    ],
    ids=["flipped bit", "cut", "other version", "empty", "text", "huge header", "no metadata"],
)
def test_a_spoilt_file_is_made_again(cache, folder, spoil, caplog):
    """Deleted, told of in the log, and replaced by a good one."""
    cache.get_or_compute("a", lambda: VALUE)
    spoil(cache.path_of("a"))
    other = later(folder)
    with caplog.at_level(logging.WARNING, "realtts.voice_cache"):
        assert equal(other.get_or_compute("a", lambda: VALUE), VALUE)
    assert "made again" in caplog.text
    assert other.stats()["disk_discarded"] == 1
    assert equal(later(folder).get_or_compute("a", never), VALUE)


def test_a_full_device_does_not_cost_the_file(cache, folder, monkeypatch):
    """The error is the caller's; the file is found once there is room."""
    cache.get_or_compute("a", lambda: VALUE)

    def full(*_):
        raise torch.OutOfMemoryError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr("realtts.accel.voices.disk_cache.unpack", full)
        other = later(folder)
        with pytest.raises(torch.OutOfMemoryError):
            other.get_or_compute("a", never)
        assert other.stats()["disk_discarded"] == 0
    assert equal(later(folder).get_or_compute("a", never), VALUE)


def test_a_file_that_cannot_be_read_stays(cache, folder, monkeypatch, caplog):
    """The voice is made again for this process, and told of with the switch."""
    cache.get_or_compute("a", lambda: VALUE)
    before = cache.path_of("a").stat()

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.read_bytes", refuse)
        other = later(folder)
        assert other.get_or_compute("a", lambda: 1) == 1
        assert other.stats()["disk_discarded"] == 0
    assert "REALTTS_VOICE_CACHE_DISK_MB=0" in caplog.text
    assert cache.path_of("a").stat().st_ino == before.st_ino
    assert equal(later(folder).get_or_compute("a", never), VALUE)


def test_a_file_of_another_key_is_not_believed(cache, folder):
    """Even with the right name."""
    cache.get_or_compute("a", lambda: {"voice": "a"})
    cache.path_of("a").rename(cache.path_of("b"))
    assert later(folder).get_or_compute("b", lambda: {"voice": "b"}) == {"voice": "b"}


@pytest.mark.parametrize(
    "value", [object(), {1: "x"}, {"x": {2, 3}}, torch.ones(2, dtype=torch.complex64), np.array(["text"])]
)
def test_other_values_are_kept_in_memory_only(cache, folder, value):
    """And come back as the same object while the process lives."""
    assert cache.get_or_compute("a", lambda: value) is value
    assert cache.get_or_compute("a", never) is value
    assert not folder.exists()


def test_tensors_that_share_memory_are_stored_whole(cache, folder):
    """Views and gradients are the caller's affair."""
    base = torch.arange(6.0).requires_grad_()
    cache.get_or_compute("a", lambda: {"one": base[:3], "two": base.reshape(2, 3).T})
    found = later(folder).get_or_compute("a", never)
    assert found["one"].tolist() == [0, 1, 2]
    assert found["two"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_the_least_recently_used_files_go_first(folder):
    """A hit counts as use; foreign files are left alone."""
    cache = DiskVoiceCache(VoiceCache(0), folder=folder, max_bytes=14_000)
    for index, key in enumerate("abc"):
        cache.get_or_compute(key, lambda: torch.ones(1000))  # over 4000 bytes each
        os.utime(cache.path_of(key), (index, index))
    (folder / "notes.txt").write_text("mine")
    cache.get_or_compute("a", never)
    cache.get_or_compute("d", lambda: torch.ones(1000))
    assert [key for key in "abcd" if cache.path_of(key).exists()] == ["a", "c", "d"]
    assert cache.stats()["disk_evictions"] == 1
    assert (folder / "notes.txt").exists()


def test_a_value_larger_than_the_bound_is_not_stored(folder):
    """And drives nothing out."""
    cache = DiskVoiceCache(folder=folder, max_bytes=6000)
    cache.get_or_compute("a", lambda: torch.ones(1000))
    cache.get_or_compute("b", lambda: torch.ones(5000))
    assert [path.name for path in folder.iterdir()] == [cache.path_of("a").name]


def test_half_written_files_of_the_dead_are_swept(cache, folder):
    """Those of the living are young."""
    folder.mkdir()
    for name, age in (("old.part", 7200), ("young.part", 0)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    cache.get_or_compute("a", lambda: VALUE)
    assert sorted(path.name for path in folder.glob("*.part")) == ["young.part"]


def test_zero_switches_the_disk_off(folder):
    """voice_cache_disk_mb=0."""
    settings = Settings(voice_cache_disk_mb=0, data_dir=folder)
    cache = DiskVoiceCache.of(settings)
    cache.get_or_compute("a", lambda: VALUE)
    assert not folder.exists()


def test_settings_say_where_and_how_much(folder):
    """data_dir holds the folder; the bound in memory is the other setting's."""
    cache = DiskVoiceCache.of(Settings(data_dir=folder, voice_cache_mb=0))
    cache.get_or_compute("a", lambda: VALUE)
    assert cache.folder == folder / "cache/voices"
    assert cache.path_of("a").is_file()
    assert cache.stats()["entries"] == 0


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path, caplog):
    """Told once, with the switch."""
    (tmp_path / "file").write_text("in the way")
    cache = DiskVoiceCache(VoiceCache(0), folder=tmp_path / "file" / "voices")
    with caplog.at_level(logging.WARNING, "realtts.voice_cache"):
        for key in "ab":
            assert cache.get_or_compute(key, lambda: 1) == 1
    assert caplog.text.count("cannot be used") == 1
    assert "REALTTS_VOICE_CACHE_DISK_MB=0" in caplog.text


def test_clear_keeps_the_files_unless_asked(cache, folder):
    """An unload clears memory only."""
    cache.get_or_compute("a", lambda: VALUE)
    cache.clear()
    cache.get_or_compute("a", never)
    cache.clear(disk=True)
    assert list(folder.iterdir()) == []


def test_a_failing_computation_leaves_nothing(cache, folder):
    """The next one tries again."""
    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute("a", lambda: 1 / 0)
    assert not folder.exists()
    assert cache.get_or_compute("a", lambda: 2) == 2


CHILD = """
import sys, torch
from pathlib import Path
from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.voices import VoiceCache
cache = DiskVoiceCache(VoiceCache(0), folder=Path(sys.argv[1]), max_bytes=40_000)
for round in range(int(sys.argv[2])):
    for key in range(12):
        value = cache.get_or_compute(str(key), lambda: torch.full((1000,), float(key)))
        assert value.tolist() == [float(key)] * 1000, (round, key)
print(cache.stats()["disk_discarded"])
"""


def test_two_caches_share_the_folder(folder):
    """While both evict what the other wrote: every value is right and no file is half-written."""
    caches = [DiskVoiceCache(VoiceCache(0), folder=folder, max_bytes=40_000) for _ in range(2)]

    def fill(cache):
        for _round in range(4):
            for key in range(12):
                value = cache.get_or_compute(str(key), lambda key=key: torch.full((1000,), float(key)))
                assert value.tolist() == [float(key)] * 1000

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, caches))
    assert [cache.stats()["disk_discarded"] for cache in caches] == [0, 0]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 40_000 + 5_000


@pytest.mark.full  # by default: test_two_caches_share_the_folder
def test_two_processes_share_the_folder(folder):
    """The same of programs that know nothing of each other."""
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(folder), "60"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert [json.loads(output) for output in outputs] == [0, 0]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 40_000 + 5_000


def test_what_is_kept_is_the_requests_own():
    """No inference tensor, which only inference could use, and no view of the network's memory."""
    with torch.inference_mode():
        made = torch.arange(6).reshape(2, 3).T
        kept = owned(made)
    assert not kept.is_inference()
    assert torch.equal(kept, torch.tensor([[0, 3], [1, 4], [2, 5]]))
    assert kept.data_ptr() != made.data_ptr()
