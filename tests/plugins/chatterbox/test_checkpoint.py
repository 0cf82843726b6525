"""Random weights in upstream's files."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from realtts.contract.spec import Checkpoint
from realtts.testing import make_context, make_request
from realtts_chatterbox.engine import utterance_of
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.loading import fetch, open_checkpoint
from realtts_chatterbox.network import T3
from realtts_chatterbox.testing import write_random_checkpoint


@pytest.mark.full
def test_equal_seeds_write_equal_weights(folders, written, tmp_path) -> None:
    """And others do not."""
    states = [load_file(folders("english") / "t3_cfg.safetensors")["speech_head.weight"]]
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        write_random_checkpoint(folder, seed=seed, **written)
        states.append(load_file(folder / "t3_cfg.safetensors")["speech_head.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.full
@pytest.mark.parametrize("kind", ["english", "turbo"])  # Multilingual's end is raised as English's
def test_the_end_can_be_made_likely(folders, tmp_path, kind) -> None:
    """`eos_bias` raises the end's logit by about as much at every step, in the model without a bias too."""
    write_random_checkpoint(tmp_path, model=kind, eos_bias=8.0)
    ends = []
    for folder in (folders(kind), tmp_path):
        weights = open_checkpoint(fetch(Checkpoint(name="test", path=folder)))
        ask = replace(prepare(make_context(), weights, make_request("Hi")), cfg_weight=0.0)
        t3 = T3.from_state_dict(weights.t3_state, kind=kind)
        logits = t3.logits(utterance_of(ask, weights.builtin), range(50, 70))
        ends.append(logits[:, 6562] - logits[:, :6561].mean(1))
    assert 5.0 < float((ends[1] - ends[0]).mean()) < 11.0
    assert float(ends[1].std()) < 4.0
