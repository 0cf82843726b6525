"""What `realtts.testing` has for the tests of plugins, and needs no torch."""

import json

import numpy as np
import pytest

from realtts import InvalidOption
from realtts.testing import voice_like
from realtts.testing.weights import byte_pairs, new_checkpoint, raise_logits, write_json


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


def test_a_vocabulary_of_whole_words():
    """Letters first, then every beginning of a word, then names that fill it up; a pair is merged once."""
    vocabulary, merges = byte_pairs("cba", ["abc", "abb", "abc"], size=8)
    assert vocabulary == {
        name: number for number, name in enumerate(["a", "b", "c", "ab", "abc", "abb", "[unused6]", "[unused7]"])
    }
    assert merges == [("a", "b"), ("ab", "c"), ("ab", "b")]
    assert byte_pairs("ba", ()) == ({"a": 0, "b": 1}, [])


def test_a_logit_is_raised_through_the_residual_stream():
    """By about as much as was asked for, whatever layers add to the other channels; those of other rows stay."""
    torch = pytest.importorskip("torch")
    draw = torch.Generator().manual_seed(0)
    shapes = {"a.o_proj.weight": (256, 8), "b.o_proj.weight": (256, 8), "norm.weight": (256,), "head.weight": (3, 256)}
    state = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    state["head.weight"][:, 0] = 0
    raise_logits(state, {1: 5.0}, head="head.weight", norm="norm.weight", constant=3.0, rms=1.3, layers="a.")
    assert not state["a.o_proj.weight"][0].any()
    assert state["b.o_proj.weight"][0].all()
    stream = torch.randn(1000, 256, generator=draw) * 1.3
    stream[:, 0] = 3.0
    normed = stream / stream.pow(2).mean(1, keepdim=True).sqrt() * state["norm.weight"]
    raised = normed[:, 0, None] * state["head.weight"][:, 0]
    assert torch.allclose(raised.mean(0), torch.tensor([0.0, 5.0, 0.0]), atol=0.05)
