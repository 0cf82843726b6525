"""What `realtts.testing` has for the tests of plugins, and needs no torch."""

import json

import numpy as np
import pytest

from realtts import InvalidOption
from realtts.testing import voice_like
from realtts.testing.weights import new_checkpoint, write_json


def test_a_sound_like_a_voice():
    """Of the length that was asked for, equal each time, loud and quiet in turn."""
    samples, rate = voice_like(2.5, rate=16_000)
    assert (samples.dtype, samples.shape, rate) == (np.float32, (40_000,), 16_000)
    assert np.abs(samples).max() == pytest.approx(0.3)
    loudness = np.abs(samples).reshape(-1, 800).mean(1)
    assert loudness.max() > 4 * loudness.min()
    np.testing.assert_array_equal(voice_like(2.5, rate=16_000)[0], samples)


def test_a_folder_for_a_checkpoint(tmp_path):
    """Made as deep as it lies, and only for what there is."""
    folder = new_checkpoint(str(tmp_path / "a" / "b"), size=("tiny", ("tiny", "full")))
    assert folder.is_dir()
    assert new_checkpoint(folder) == folder
    with pytest.raises(InvalidOption, match=r"model is 'v9'.*choose from v1, v2"):
        new_checkpoint(tmp_path / "c", size=("tiny", ["tiny"]), model=("v9", {"v1": 1, "v2": 2}))
    assert not (tmp_path / "c").exists()
    write_json(folder / "names.json", {"name": "Tôi"})
    assert json.loads((folder / "names.json").read_text(encoding="utf-8")) == {"name": "Tôi"}
