"""Upstream's sizes: tokens and sound are those of transformers. Minutes for each model, and gigabytes of memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtts import RealProvider
from realtts_vieneu import spec
from realtts_vieneu.testing import write_random_checkpoint

pytestmark = pytest.mark.slow

TEXTS = ("Xin chào.", "Hôm nay là ngày 21/11/2026, trời nắng đẹp.", "Tôi đang học machine learning ở TP.HCM.")


@pytest.mark.parametrize("model", ["v1", "v2"])
def test_tokens_and_sound_are_transformers(tmp_path, monkeypatch, model):
    """In float32, three texts drawn with the default options; another token would be heard."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "model"
    write_random_checkpoint(folder, "full", model=model)
    given = {"model": folder, "device": "cpu", "force_tokens_per_char": 0.5, "strict": True}

    def spoken(used, **settings):
        with RealProvider(used, **given, **settings) as tts:
            return [tts.generate(text, seed=number).samples for number, text in enumerate(TEXTS)]

    expected = spoken(replace(spec, optimized=None))
    for found, wanted in zip(spoken(spec, dtype="float32", quantization="none"), expected, strict=True):
        assert len(found) == len(wanted)
        assert np.abs(found - wanted).max() < 1e-4
