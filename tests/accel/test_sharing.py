"""Parts that take turns: what offloading leaves of the rungs, and how parts use a device one at a time."""

from types import SimpleNamespace

import pytest
import torch

from realtts import OffloadError
from realtts.accel.offload.sharing import (
    DeviceSharing,
    SharedDevice,
    device_sharing,
    offload_rungs,
    why_no_graphs_offloaded,
)
from realtts.contract.context import Rung


def context_of(device, **settings):
    """As much of a context as the rungs need."""
    given = {"cpu_offload": True, "cuda_graphs": "auto", **settings}
    return SimpleNamespace(device=device, settings=SimpleNamespace(**given))


def test_graphs_and_offloading_exclude_each_other():
    """By themselves graphs are left out; asked for together, the second is refused with both switches."""
    rungs = [Rung("bf16+cuda_graphs", {"cuda_graphs": True}), Rung("bf16", {"cuda_graphs": False})]
    both = context_of("cuda", cuda_graphs=True)
    assert [rung.name for rung in offload_rungs(context_of("cuda"), rungs)] == ["bf16"]
    assert offload_rungs(context_of("cuda", cpu_offload=False), rungs) == rungs
    assert offload_rungs(both, rungs) == rungs
    reason = why_no_graphs_offloaded(both)
    assert "cuda_graphs=False" in reason
    assert "cpu_offload=False" in reason
    assert why_no_graphs_offloaded(context_of("cuda", cuda_graphs=False)) is None


def test_nothing_moves_on_the_host():
    """Weights that compute on the CPU are where they wait already."""
    assert not device_sharing(context_of("cpu")).offloaded


def test_parts_that_stay_need_no_turns():
    """Everything passes through."""
    turns = DeviceSharing()
    turns.add("one", torch.nn.Linear(2, 2))
    with turns.use("one"):
        assert list(turns.each("one", [1, 2])) == [1, 2]
    turns.clear()
    turns.drop("one")
    assert not turns.offloaded


def test_parts_take_turns():
    """With a device of the same kind weights are told to move; the sum is the same."""
    moved = []

    def copy(tensor, device):
        moved.append(tuple(tensor.shape))
        return tensor.clone()

    turns, one, other = DeviceSharing(SharedDevice({}, "cpu", copy=copy)), torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)
    expected = other(one(torch.ones(1, 2)))
    turns.add("one", one)
    turns.add("other", other)
    with turns.use("one"):
        middle = one(torch.ones(1, 2))
    with turns.use("other"):
        assert torch.equal(other(middle), expected)
    assert turns.offloaded
    assert {(3, 2), (2, 3)} <= set(moved)
    turns.clear()
    turns.drop("one")
    turns.drop("one")
    with pytest.raises(OffloadError, match="choose from other"), turns.use("one"):
        pass


def test_the_status_tells_whether_weights_move():
    """And why there are no graphs then."""
    assert DeviceSharing().details == {"offload": False}
    moving = device_sharing(context_of("cuda")).details
    assert moving["offload"]
    assert "cpu_offload" in moving["no_cuda_graphs"]
