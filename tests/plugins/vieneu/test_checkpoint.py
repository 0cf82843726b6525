"""Random checkpoints behave like trained ones where tests need it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointMismatch
from realtts.testing import make_context, make_request
from realtts_vieneu.frontend import prepare, utterances_of
from realtts_vieneu.loading import fetch, open_checkpoint
from realtts_vieneu.options import VieNeuOptions
from realtts_vieneu.reference import Upstream
from realtts_vieneu.testing import write_random_checkpoint


@pytest.mark.full  # by default test_line and the conformance suite need checkpoints that end
@pytest.mark.parametrize("model", ["v1", "v2"])
def test_the_end_can_be_made_likely(tmp_path, model) -> None:
    """`eos_bias` brings the end about; without it hardly ever."""
    lengths = {}
    for bias in (0.0, 12.0):
        folder = tmp_path / str(bias)
        write_random_checkpoint(folder, model=model, eos_bias=bias, cloning=False)
        weights = open_checkpoint(fetch(Checkpoint("test", path=folder)))
        networks = Upstream(weights, "cpu")
        for seed in range(3):
            request = make_request("Xin chào.", seed=seed, options=VieNeuOptions(max_new_tokens=80))
            ask = prepare(make_context(), weights, request)
            tokens, ended = networks.draw(utterances_of(weights, ask, ask.codes)[0], lambda: False)
            lengths.setdefault(bias, []).append(len(tokens) if ended else 200)
    assert np.median(lengths[0.0]) == 200
    assert 50 <= np.median(lengths[12.0]) < 80


def test_sound_is_of_ordinary_loudness(weights_of) -> None:
    """Neither silent nor clipped."""
    codes = torch.randint(0, 65536, (50,), generator=torch.Generator().manual_seed(0))
    samples = Upstream(weights_of("v2"), "cpu").samples(codes)
    assert 0.02 < np.sqrt(np.mean(samples**2)) < 0.4
    assert np.mean(np.abs(samples) > 0.99) < 0.02


def test_a_codec_without_its_encoder_speaks(tmp_path) -> None:
    """It is half as large; cloning with it is refused by the name of a tensor, and nothing is fetched for it."""
    write_random_checkpoint(tmp_path, cloning=False)
    weights = open_checkpoint(fetch(Checkpoint("test", path=tmp_path)))
    assert not any(name.startswith(("acoustic_encoder", "semantic")) for name in weights.codec_state)
    networks = Upstream(weights, "cpu")
    assert len(networks.samples(torch.arange(5))) == 5 * 480
    assert weights.semantic() is None
    with pytest.raises(CheckpointMismatch, match="missing"):
        networks.codes(torch.zeros(16_000))


def test_seeds_differ(tmp_path) -> None:
    """The same one writes the same files."""
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_random_checkpoint(tmp_path / name, seed=seed, cloning=False)
    first, again, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert first == again != other
