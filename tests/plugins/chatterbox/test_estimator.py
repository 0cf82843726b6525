"""What the estimator is said to need, so that `realtts bench` can hold its seconds against a floor."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from realtts_chatterbox.constants import MELS
from realtts_chatterbox.estimator import Estimator
from realtts_chatterbox.layout import Layout, Packing

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["english", "turbo"])
@pytest.mark.parametrize("frames", [60, 240])
def test_operations_are_those_that_torch_counts(networks_of, kind, frames) -> None:
    """But for a few: what stands between sequences is computed too. In bfloat16, whose products torch can see."""
    state = networks_of(kind).s3gen.flow.decoder.estimator.state_dict()
    network = Estimator(state, CPU, torch.bfloat16)
    rows = 1 if network.meanflow else 2
    layout = Layout.of(Packing((frames,), rows), CPU)
    prepared = network.prepared(layout, torch.zeros(frames + 2, 3 * MELS), torch.linspace(0, 1, 3))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(frames + 2, MELS), 0, prepared)
    assert counter.get_total_flops() == pytest.approx(network.flops(frames, rows), rel=0.05)
    assert network.flops(2 * frames, rows) > 2 * network.flops(frames, rows)
