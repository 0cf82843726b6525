"""The watermark without its package: upstream's samples, told by upstream's detector."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from realtts.errors import MissingExtra
from realtts.testing import voice_like
from realtts_chatterbox.upstream import module
from realtts_chatterbox.watermark import Watermarker, _upstream


@pytest.fixture(scope="module")
def upstreams():
    """Upstream's own object."""
    perth = module("perth.perth_net.perth_net_implicit.perth_watermarker")
    return perth.PerthImplicitWatermarker(run_name=None, perth_net=_upstream())


def audio(kind):
    """Some audio at 24 kHz."""
    voice = voice_like(1)[0]
    return {
        "voice": voice,
        "quiet": voice * np.float32(1e-4),
        "noise": np.random.default_rng(0).standard_normal(20_001).astype(np.float32) * np.float32(0.1),
        "silence": np.zeros(24_000, np.float32),
        "short": voice[:1537],
    }[kind]


@pytest.mark.parametrize("rate", [24_000, 32_000])
@pytest.mark.parametrize("kind", ["voice", "quiet", "noise", "silence", "short"])
def test_the_mark_is_upstreams(upstreams, kind, rate):
    """Sample by sample, and as many samples as before."""
    samples = audio(kind)
    found = Watermarker()(samples, rate)
    expected = upstreams.apply_watermark(samples, sample_rate=rate)[: len(samples)]
    assert found.shape == samples.shape
    assert found.dtype == np.float32
    assert np.array_equal(found[: len(expected)], expected)
    assert not found[len(expected) :].any()


def test_one_that_is_not_installed_is_told(monkeypatch):
    """With what to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "perth" else find(name, *more))
    # Others may hold the network, which would then serve.
    monkeypatch.setattr("realtts_chatterbox.watermark._networks", {})
    with pytest.raises(MissingExtra, match="resemble-perth"):
        Watermarker()
