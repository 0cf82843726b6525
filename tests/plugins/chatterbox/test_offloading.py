"""The setting `cpu_offload`: one part at a time has the device, and the sound is the same."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from realtts import RealProvider
from realtts.accel.offload import TakingTurns
from realtts.accel.turns import Turns
from realtts_chatterbox import spec

TEXT = "Hello there, my dear friend, how are you?"
EXACT = {"dtype": "float32", "quantization": "none", "strict": True}


class Device:
    """A device in host memory: counts what is copied to it and sees what is freed."""

    def __init__(self):
        self.copies = 0
        self.most = 0
        self._weights = {}
        self._there = weakref.WeakValueDictionary()

    def copy(self, tensor, device):
        """To the device."""
        self.copies += 1
        self._weights[tensor.data_ptr()] = tensor.nbytes
        there = tensor.clone()
        self._there[self.copies] = there.untyped_storage()
        self.most = max(self.most, self.nbytes())
        return there

    def nbytes(self):
        """Bytes that lie there."""
        return sum(storage.nbytes() for storage in self._there.values())

    def kinds(self):
        """How many weights there are."""
        return len(self._weights)

    def weights(self):
        """Bytes of all that was ever copied."""
        return sum(self._weights.values())


@pytest.fixture
def make(folders, tmp_path, monkeypatch):
    """Makes providers that are closed at the end, with caches of their own."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    made = []

    def make(kind="english", **settings):
        given = {"device": "cpu", "threads": 1, "force_tokens_per_char": 1.5, **EXACT, **settings}
        made.append(RealProvider(spec, model=folders(kind), **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.mark.parametrize("kind", ["english", "turbo"])
def test_it_sounds_the_same(make, kind, recording, monkeypatch):
    """Whole and streamed, with a voice that is read for it; never does everything lie there, and in the end nothing."""
    told = {"seed": 5, "watermark": False}
    still = make(kind)
    expected = still.generate(TEXT, voice=recording, **told).samples
    expected_live = [chunk.samples for chunk in still.stream(TEXT, **told)]
    still.close()

    device = Device()
    turns = Turns(TakingTurns({}, "cpu", copy=device.copy))
    monkeypatch.setattr("realtts_chatterbox.optimized.turns_of", lambda _: turns)
    moving = make(kind, cpu_offload=True, data_dir=None, voice_cache_disk_mb=0)
    np.testing.assert_array_equal(moving.generate(TEXT, voice=recording, **told).samples, expected)
    copies = device.copies
    live = [chunk.samples for chunk in moving.stream(TEXT, **told)]
    np.testing.assert_array_equal(np.concatenate(live), np.concatenate(expected_live))
    # T3 and the codec once for each chunk at most, not for each token
    assert 0 < device.copies - copies <= (1 + sum(map(bool, map(len, live)))) * device.kinds()
    assert 0 < device.most < device.weights()
    details = moving.get_provider_status()["optimization_details"]
    assert details["cuda_graphs"] is False
    assert "cpu_offload" in details["no_cuda_graphs"]
    moving.unload()
    turns.clear()
    assert device.nbytes() == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_little_of_it_lies_on_the_device(make):
    """After a request only the codec does; the sound is that of weights that stay."""
    told = {"seed": 5, "watermark": False}
    still = make(device="cuda", cuda_graphs=False)
    expected = still.generate(TEXT, **told).samples
    whole = torch.cuda.memory_allocated()
    still.close()
    moving = make(device="cuda", cpu_offload=True)
    found = moving.generate(TEXT, **told).samples
    assert torch.cuda.memory_allocated() < whole
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
