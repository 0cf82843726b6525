"""Random weights in upstream's files."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from realtts.contract.spec import Checkpoint
from realtts.testing import make_context, make_request
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.loading import fetch, open_checkpoint
from realtts_chatterbox.reference import Upstream
from realtts_chatterbox.replay import logits_along
from realtts_chatterbox.testing import write_random_checkpoint


@pytest.mark.full
def test_equal_seeds_write_equal_weights(tmp_path) -> None:
    """And others do not."""
    states = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        write_random_checkpoint(tmp_path / str(number), seed=seed)
        states.append(load_file(tmp_path / str(number) / "t3_cfg.safetensors")["speech_head.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.full
@pytest.mark.parametrize("kind", ["english", "multilingual", "turbo"])
def test_the_end_can_be_made_likely(tmp_path, kind) -> None:
    """`eos_bias` raises the end's logit by about as much at every step, in the model without a bias too."""
    ends = []
    for bias in (0.0, 8.0):
        folder = tmp_path / str(bias)
        folder.mkdir()
        write_random_checkpoint(folder, model=kind, eos_bias=bias)
        weights = open_checkpoint(fetch(Checkpoint(name="test", path=folder)))
        ask = prepare(make_context(), weights, make_request("Hi"))
        networks, unguided = Upstream(weights, "cpu"), replace(ask, cfg_weight=0.0)
        logits = logits_along(networks, unguided, weights.builtin, list(range(50, 70)))
        ends.append(logits[:, 6562] - logits[:, :6561].mean(1))
        shutil.rmtree(folder)
    assert 5.0 < float((ends[1] - ends[0]).mean()) < 11.0
    assert float(ends[1].std()) < 4.0
