"""Graphs and offloading, which need CUDA, with stand-ins on the CPU: the same sound."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from realtts import RealProvider
from realtts.accel.offload import TakingTurns
from realtts.accel.turns import Turns
from realtts.testing.recording import RecordingGraphs
from realtts_qwen3 import spec

TEXT = "hello there, this is the test."
EXACT = {"dtype": "float32", "quantization": "none", "strict": True}


class Device:
    """A device in host memory: counts what is copied to it and sees what is freed."""

    def __init__(self):
        self.copies = self.most = 0
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

    def weights(self):
        """Bytes of all that was ever copied."""
        return sum(self._weights.values())


@pytest.fixture
def make(folders, tmp_path, monkeypatch):
    """Makes providers that are closed at the end, with caches of their own."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    made = []

    def make(model="0.6b-base", **settings):
        given = {"device": "cpu", "threads": 1, "force_tokens_per_char": 1.0, **EXACT, **settings}
        made.append(RealProvider(spec, model=folders(model), **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


def spoken(tts, told):
    """The whole, a stream, and two together."""
    live = np.concatenate([chunk.samples for chunk in tts.stream(TEXT, **told)])
    together = [speech.samples for speech in tts.generate_batch([TEXT, "test."], **told)]
    return [tts.generate(TEXT, **told).samples, live, *together]


def test_graphs_sound_the_same(make, recording, monkeypatch):
    """Frames and pieces of the codec are recorded once and replayed for the next request."""
    told = {"seed": 5, "voice": recording, "reference_text": "hello the"}
    expected = spoken(make(), told)
    backend = RecordingGraphs()
    monkeypatch.setattr("realtts_qwen3.optimized.graphs_of", lambda _: backend)
    tts = make()
    for found, wanted in zip(spoken(tts, told), expected, strict=True):
        assert np.abs(found - wanted).max() < 1e-5
    captures = backend.captures
    assert captures > 0
    spoken(tts, {**told, "seed": 6})
    assert backend.captures == captures
    assert tts.get_provider_status()["attempts"] == []


def test_offloading_sounds_the_same(make, recording, monkeypatch):
    """Never do talker and codec lie on the device together, and in the end nothing does."""
    told = {"seed": 5, "voice": recording, "reference_text": "hello the"}
    expected = spoken(make(), told)
    device = Device()
    turns = Turns(TakingTurns({}, "cpu", copy=device.copy))
    monkeypatch.setattr("realtts_qwen3.optimized.turns_of", lambda _: turns)
    moving = make(cpu_offload=True, voice_cache_disk_mb=0)
    for found, wanted in zip(spoken(moving, told), expected, strict=True):
        assert np.abs(found - wanted).max() < 1e-5
    assert 0 < device.most < device.weights()
    assert "cpu_offload" in moving.get_provider_status()["optimization_details"]["no_cuda_graphs"]
    moving.unload()
    turns.clear()
    assert device.nbytes() == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_graphs_on_a_gpu(make, recording):
    """The sound of eager steps, whole, streamed and together."""
    told = {"seed": 5, "voice": recording, "reference_text": "hello the"}
    expected = spoken(make(device="cuda", cuda_graphs=False), told)
    for found, wanted in zip(spoken(make(device="cuda", cuda_graphs=True), told), expected, strict=True):
        assert np.abs(found - wanted).max() < 1e-4
