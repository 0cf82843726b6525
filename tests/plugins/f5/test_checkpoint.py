"""Random checkpoints: what they are written with decides what is in them."""

from __future__ import annotations

import pytest
import torch

from realtts.errors import InvalidOption
from realtts_f5.states import model_state
from realtts_f5.testing import write_random_checkpoint

WEIGHTS = "model_1250000.safetensors"


def test_equal_seeds_write_equal_weights(tmp_path) -> None:
    """And others do not; an unknown size, model or suffix is refused."""
    states = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        write_random_checkpoint(tmp_path / str(number), seed=seed)
        states.append(model_state(tmp_path / str(number) / WEIGHTS)["transformer.proj_out.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    assert states[0].abs().min() > 0
    for wrong in ({"size": "huge"}, {"model": "f6"}, {"suffix": ".bin"}):
        with pytest.raises(InvalidOption):
            write_random_checkpoint(tmp_path, **wrong)
