"""A recording becomes a voice prompt once, whatever is said of its words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.contract.types import Voice
from realtts.contract.voice_cache import VoiceCache
from realtts.errors import VoiceUnsuitable
from realtts.testing import make_context
from realtts_qwen3.constants import RATE
from realtts_qwen3.voices import prompt_of


class Counting:
    """Encoders that count what they are asked for."""

    def __init__(self, fill=1.0, frames=3) -> None:
        self.calls, self._fill, self._frames = 0, fill, frames

    def embedding(self, wave):
        """Of a constant."""
        self.calls += 1
        return torch.full((4,), self._fill)

    def codes(self, wave):
        """As many as there are frames."""
        return torch.zeros(self._frames, 16, dtype=torch.int32)


def context():
    """As far as the cache needs one."""
    return make_context()


def test_a_prompt_is_made_once(recording) -> None:
    """Of the same samples; the words are no part of it, the weights are."""
    made, stage = Counting(), context()
    first = prompt_of(stage, Voice(*recording, "hello"), made, weights="a@1")
    assert torch.equal(prompt_of(stage, Voice(*recording, None), made, weights="a@1").codes, first.codes)
    assert made.calls == 1
    prompt_of(stage, Voice(recording[0] * 0.5, recording[1]), made, weights="a@1")
    prompt_of(stage, Voice(*recording), made, weights="a@2")
    assert made.calls == 3
    assert (first.codes.dtype, first.embedding.dtype) == (torch.int64, torch.float32)


def test_prompts_outlive_the_process(recording, tmp_path) -> None:
    """As safetensors in the folder of the cache on disk."""
    made = Counting()
    for _ in range(2):
        cache = DiskVoiceCache(VoiceCache(), folder=tmp_path)
        prompt = prompt_of(context(), Voice(*recording), made, weights="a@1", cache=cache)
    assert made.calls == 1
    assert torch.equal(prompt.embedding, torch.ones(4))
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


@pytest.mark.parametrize("made", [Counting(fill=float("nan")), Counting(frames=0)], ids=["nan", "no frames"])
def test_a_recording_without_a_voice_is_refused(recording, made) -> None:
    """Before it is kept."""
    stage = context()
    for _ in range(2):
        with pytest.raises(VoiceUnsuitable, match="no voice"):
            prompt_of(stage, Voice(*recording), made, weights="a@1")
    assert made.calls == 2


def test_recordings_of_other_rates_are_resampled() -> None:
    """As librosa has done it, which upstream calls; written by ``golden/write.py``."""
    with np.load(Path(__file__).parent / "golden" / "resampled.npz") as golden:
        resampled = Voice(golden["low"], 16_000).at(RATE)
        assert abs(len(resampled) - len(golden["high"])) <= 1
        n = min(len(resampled), len(golden["high"]))
        assert np.abs(resampled[:n] - golden["high"][:n]).max() < 1e-5


@pytest.mark.slow  # importing librosa takes longer than all of this file; by default: the golden recording
def test_recordings_are_resampled_as_by_librosa(recording) -> None:
    """The same of a whole recording, by librosa now; one that has the rate is left as it is."""
    librosa = pytest.importorskip("librosa")
    samples, rate = recording
    low = librosa.resample(samples, orig_sr=rate, target_sr=16_000)
    resampled = Voice(low, 16_000).at(RATE)
    expected = librosa.resample(low, orig_sr=16_000, target_sr=24_000)
    assert abs(len(resampled) - len(expected)) <= 1
    n = min(len(resampled), len(expected))
    assert np.abs(resampled[:n] - expected[:n]).max() < 1e-5
    assert np.array_equal(Voice(samples, rate).at(RATE), samples)
