"""Random checkpoints behave like trained ones where tests need it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from realtts.contract.spec import Checkpoint
from realtts.errors import InvalidOption
from realtts_qwen3.files import WEIGHTS
from realtts_qwen3.frontend import prepare, utterance_of
from realtts_qwen3.loading import fetch, open_checkpoint
from realtts_qwen3.options import Qwen3Options
from realtts_qwen3.ported import PortedNetworks
from realtts_qwen3.testing import write_random_checkpoint

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.full  # by default the conformance suite needs checkpoints that end
@pytest.mark.parametrize(
    ("model", "seeds", "frames"),
    [
        ("0.6b-custom-voice", 3, {0.0: 10, 4.0: 40}),
        ("0.6b-custom-voice", 6, {0.0: 40, 4.0: 40}),
        ("1.7b-voice-design", 6, {0.0: 40, 4.0: 40}),
    ],
)
def test_the_end_can_be_made_likely(tmp_path, model, seeds, frames) -> None:
    """`eos_bias` brings the end about; without it hardly ever."""
    lengths = {}
    for bias, most in frames.items():
        folder = tmp_path / str(bias)
        folder.mkdir()
        write_random_checkpoint(folder, model=model, eos_bias=bias)
        weights = open_checkpoint(fetch(Checkpoint("test", path=folder)))
        networks, context = PortedNetworks(weights, "cpu"), SimpleNamespace(forced_tokens=lambda _: None)
        for seed in range(seeds):
            options = Qwen3Options(max_new_tokens=most + 1)
            request = SimpleNamespace(text="Hello.", language=None, voice=None, seed=seed, options=options)
            codes, ended = networks.draw(utterance_of(prepare(context, weights, request), None), lambda: False)
            lengths.setdefault(bias, []).append(len(codes) if ended else 100)
    assert np.median(lengths[0.0]) == 100
    assert 2 < np.median(lengths[4.0]) < 40


def test_sound_is_of_ordinary_loudness(weights_of) -> None:
    """Neither silent nor clipped."""
    weights = weights_of("0.6b-custom-voice")
    codes = torch.randint(0, 2048, (12, 16), generator=torch.Generator().manual_seed(0))
    samples = PortedNetworks(weights, "cpu").samples(codes, None)
    assert 0.03 < np.sqrt(np.mean(samples**2)) < 0.4
    assert np.mean(np.abs(samples) > 0.99) < 0.01


def test_equal_seeds_write_equal_weights(tmp_path) -> None:
    """And others do not."""
    states = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        write_random_checkpoint(tmp_path / str(number), seed=seed)
        states.append(load_file(tmp_path / str(number) / WEIGHTS)["talker.codec_head.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_unknown_sizes_are_refused(tmp_path) -> None:
    """With what there is."""
    with pytest.raises(InvalidOption, match=r"1\.7b-voice-design"):
        write_random_checkpoint(tmp_path, model="0.6b-voice-design")
    with pytest.raises(InvalidOption, match="tiny, full"):
        write_random_checkpoint(tmp_path, "huge")
