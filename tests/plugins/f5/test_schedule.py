"""The solver's times: upstream's, for every number of steps."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import torch

from realtts_f5.schedule import times
from realtts_f5.upstream import module


@pytest.mark.parametrize("sway", [None, -1.0, 0.5, 1.0, 0.0])
@pytest.mark.parametrize("steps", range(1, 65))
def test_times_are_upstreams(steps, sway):
    """With the tables of pruned steps and without, to the last bit."""
    expected = module("f5_tts.model.utils").get_epss_timesteps(steps, device="cpu", dtype=torch.float32)
    if sway is not None:
        expected = expected + sway * (torch.cos(torch.pi / 2 * expected) - 1 + expected)
    found = times(steps, sway)
    assert torch.equal(found, expected)
    assert found.shape == (steps + 1,)
    assert bool((found.diff() > 0).all())
    assert found[0] == 0
    torch.testing.assert_close(found[-1], torch.tensor(1.0), atol=1e-6, rtol=0)


def test_seven_steps_of_the_paper():
    """The preset that is fastest."""
    found = times(7, -1.0)
    expected = torch.tensor([0, 0.0048, 0.0192, 0.0431, 0.0761, 0.2929, 0.6173, 1])
    torch.testing.assert_close(found, expected, atol=5e-5, rtol=0)
