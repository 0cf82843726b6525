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
from realtts_qwen3.network import Talker
from realtts_qwen3.options import Qwen3Options
from realtts_qwen3.testing import write_random_checkpoint

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.full  # by default the conformance suite needs checkpoints that end
@pytest.mark.parametrize("model", ["0.6b-custom-voice", "1.7b-voice-design"])
def test_the_end_can_be_made_likely(tmp_path, weights_of, model) -> None:
    """`eos_bias` brings the end about; without it hardly ever."""
    write_random_checkpoint(tmp_path, model=model, eos_bias=4.0)
    ending = open_checkpoint(fetch(Checkpoint("test", path=tmp_path)))
    assert np.median(lengths_of(weights_of(model))) == ENDLESS
    assert 2 < np.median(lengths_of(ending)) < ENDLESS


ENDLESS = 40


def lengths_of(weights):
    """Frames of five seeds, spoken beside each other; of one that is not ended by itself, the most that it may have."""
    context, requests = SimpleNamespace(forced_tokens=lambda _: None), []
    for seed in range(5):
        options = Qwen3Options(max_new_tokens=ENDLESS + 1)
        request = SimpleNamespace(text="Hello.", language=None, voice=None, seed=seed, options=options)
        requests.append(utterance_of(prepare(context, weights, request), None))
    lengths = [0] * len(requests)
    for block in Talker.from_state_dict(weights.sizes, weights.states.talker, places=5).decode(requests):
        lengths[block.number] += len(block.outputs)
    return lengths


def test_sound_is_of_ordinary_loudness(ported_of) -> None:
    """Neither silent nor clipped."""
    codes = torch.randint(0, 2048, (12, 16), generator=torch.Generator().manual_seed(0))
    samples = ported_of("0.6b-custom-voice").samples(codes, None)
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
