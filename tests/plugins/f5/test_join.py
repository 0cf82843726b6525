"""Chunks joined, and silence cut, as upstream does both."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from realtts.accel.upstream.calls import quiet
from realtts_f5.join import CrossFade, without_silence

RATE = 24_000

pytestmark = pytest.mark.filterwarnings(
    # Upstream leaves files open.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def upstream_joined(infer, waves, seconds):
    """The waves through upstream's own `infer_batch_process`, whose network and vocoder give just them."""
    import torch

    class Vocoder:
        def __init__(self):
            self.waves = iter(waves)

        def decode(self, _):
            return torch.from_numpy(next(self.waves))[None]

    class Network:
        def sample(self, **_):
            return torch.zeros(1, 100, 100), None

    loud = torch.ones(1, RATE)
    with quiet():
        output, _, _ = next(
            infer.infer_batch_process(
                (loud, RATE), "Words. ", ["x" * 20] * len(waves), Network(), Vocoder(),
                progress=None, cross_fade_duration=seconds, device="cpu",
            )
        )  # fmt: skip
    return output


class InOrder:
    """Upstream's thread pool, one task after the other, so that its stand-ins know which chunk is asked for."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def submit(self, function, *arguments):
        """The result, at once."""
        value = function(*arguments)
        return type("Done", (), {"result": lambda _: value})()


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.15, 1.0])
@pytest.mark.parametrize("lengths", [(9000,), (9000, 8000, 7000), (9000, 10, 5000), (100, 9000, 50, 40, 9000)])
def test_joined_as_upstream(upstream_infer, monkeypatch, lengths, seconds) -> None:
    """Whatever the lengths, shorter than the fade too; what comes early never changes later."""
    monkeypatch.setattr(upstream_infer, "ThreadPoolExecutor", InOrder)
    draw = np.random.default_rng(0)
    waves = [draw.standard_normal(length).astype(np.float32) for length in lengths]
    joined = CrossFade(seconds, RATE)
    output = np.concatenate([*(joined.push(wave) for wave in waves), joined.finish()])
    expected = upstream_joined(upstream_infer, waves, seconds)
    assert output.dtype == np.float32
    assert np.array_equal(output, expected.astype(np.float32))


def test_silence_is_cut_as_upstream(upstream_infer, tmp_path) -> None:
    """The same samples as in upstream's file."""
    tone = 0.3 * np.sin(np.arange(2 * RATE) / 20).astype(np.float32)
    samples = np.concatenate([np.zeros(RATE, np.float32), tone, np.zeros(3 * RATE, np.float32), tone])
    path = tmp_path / "speech.wav"
    soundfile.write(path, samples, RATE)
    upstream_infer.remove_silence_for_generated_wav(str(path))
    expected, _ = soundfile.read(path, dtype="float32")
    output = without_silence(samples, RATE)
    assert np.array_equal(output, expected)
    assert len(output) < len(samples) - RATE


def test_all_silence_stays() -> None:
    """It is the caller's to judge; upstream writes an empty file."""
    samples = np.zeros(3 * RATE, np.float32)
    assert np.array_equal(without_silence(samples, RATE), samples)
