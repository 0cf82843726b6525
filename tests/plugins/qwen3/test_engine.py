"""Requests that are spoken together, one frame after the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from realtts.accel.decoder import Precision
from realtts.accel.offload.sharing import DeviceSharing
from realtts.testing import make_context
from realtts_qwen3.assembly import read_prompts
from realtts_qwen3.codec import CodecDecoder
from realtts_qwen3.engine import Engine, Job, growing_sizes
from realtts_qwen3.utterance import Utterance

FRAME = 1920


@pytest.fixture(scope="module")
def engine(weights_of):
    """In float32."""
    weights, device = weights_of("0.6b-custom-voice"), torch.device("cpu")
    return Engine(
        weights,
        read_prompts(weights.sizes, weights.states.talker, device),
        CodecDecoder.read(weights.codec.decoder, weights.states.decoder),
        precision=Precision.of("fp32", device),
        backend=None,
        turns=DeviceSharing(),
    )


def job(engine, weights, *, seed=0, most=20, cancelled=lambda: False, sizes=None):
    """A request for so many frames."""
    reader = weights.reader
    utterance = Utterance(role=reader.role, text=reader.ids("hello there."), max_frames=most, forced=True, seed=seed)
    return Job(utterance, engine.codec.start(), cancelled, sizes)


def spoken(engine, jobs):
    """What came of each request: samples, frames, and why it ended."""
    context = make_context()
    results = [[np.zeros(0, np.float32), 0, None] for _ in jobs]
    for row, samples, frames, reason in engine.speak(context, jobs):
        assert results[row][2] is None
        results[row] = [np.concatenate([results[row][0], samples]), results[row][1] + frames, reason]
    return results


def test_each_ends_alone(engine, weights_of):
    """Of five, with lengths and chunks of their own; each says what it says alone."""
    weights = weights_of("0.6b-custom-voice")

    def jobs():
        lengths = (8, 3, 20, 16, 1)
        return [
            job(engine, weights, seed=n, most=most, sizes=growing_sizes(1 + n, 1.5, 9) if n % 2 else None)
            for n, most in enumerate(lengths)
        ]

    together = spoken(engine, jobs())
    assert [frames for _, frames, _ in together] == [8, 3, 20, 16, 1]
    for (samples, frames, reason), alone in zip(together, jobs(), strict=True):
        ((expected, _, _),) = spoken(engine, [alone])
        assert reason == "length"
        assert len(samples) == frames * FRAME
        assert np.abs(samples - expected).max() < 1e-5


def test_a_cancelled_one_stops_at_its_next_frame(engine, weights_of):
    """The others go on as if it had never been there."""
    weights = weights_of("0.6b-custom-voice")
    calls = itertools.count()
    stopped = job(engine, weights, seed=1, most=200, cancelled=lambda: next(calls) >= 6, sizes=growing_sizes(1, 1.0, 1))
    other, gone = spoken(engine, [job(engine, weights), stopped])
    ((expected, _, _),) = spoken(engine, [job(engine, weights)])
    assert (other[1], other[2]) == (20, "length")
    assert np.abs(other[0] - expected).max() < 1e-5
    assert 0 < gone[1] < 6
    assert gone[2] is None


def test_nothing_is_drawn_for_nobody(engine, weights_of):
    """When all are cancelled the drawing ends."""
    weights = weights_of("0.6b-custom-voice")
    results = spoken(engine, [job(engine, weights, most=5000, cancelled=lambda: True) for _ in range(2)])
    assert [frames for _, frames, _ in results] == [0, 0]


def test_chunks_grow():
    """To the most, which the first one may be above."""
    assert list(itertools.islice(growing_sizes(1, 2.0, 12), 6)) == [1, 2, 4, 8, 12, 12]
    assert list(itertools.islice(growing_sizes(3, 1.0, 12), 3)) == [3, 3, 3]
    assert list(itertools.islice(growing_sizes(20, 2.0, 8), 3)) == [20, 20, 20]
