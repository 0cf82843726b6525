"""The solver's times: upstream's, for every number of steps."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import torch

from realtts_f5.schedule import times
from realtts_f5.upstream import module


@pytest.mark.parametrize("sway", [None, -1.0, 0.5, 1.0, 0.0])
def test_times_are_upstreams(sway):
    """With the tables of pruned steps and without, to the last bit; up to 64 steps."""
    pruned = module("f5_tts.model.utils").get_epss_timesteps
    for steps in range(1, 65):
        expected = pruned(steps, device="cpu", dtype=torch.float32)
        if sway is not None:
            expected = expected + sway * (torch.cos(torch.pi / 2 * expected) - 1 + expected)
        schedule = times(steps, sway)
        assert torch.equal(schedule, expected), steps
        assert schedule.shape == (steps + 1,)
        assert bool((schedule.diff() > 0).all()), steps
        assert schedule[0] == 0
        torch.testing.assert_close(schedule[-1], torch.tensor(1.0), atol=1e-6, rtol=0)


def test_seven_steps_of_the_paper():
    """The preset that is fastest."""
    schedule = times(7, -1.0)
    expected = torch.tensor([0, 0.0048, 0.0192, 0.0431, 0.0761, 0.2929, 0.6173, 1])
    torch.testing.assert_close(schedule, expected, atol=5e-5, rtol=0)
