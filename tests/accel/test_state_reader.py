"""Tensors of a state are taken by name and shape; what is missing, misshapen or left over is named."""

import pytest

pytest.importorskip("torch")

import torch

from realtts.accel.weights.state_reader import StateReader, below, children
from realtts.errors import CheckpointMismatch


@pytest.fixture
def state():
    """Of two layers, one without a bias, in half precision."""
    return {
        "up.weight": torch.arange(6.0).view(2, 3).half(),
        "up.bias": torch.ones(2).half(),
        "down.weight": torch.zeros(3, 2).half(),
    }


def test_tensors_come_as_float32(state):
    """On the device, with the values of the state."""
    reader = StateReader(state, "model.pt")
    assert "up.bias" in reader
    assert "down.bias" not in reader
    weight, bias = reader.both("up", 2, 3)
    assert weight.dtype == bias.dtype == torch.float32
    assert torch.equal(weight, state["up.weight"].float())
    down, none = reader.pair("down", 3, 2, bias=False)
    assert down.shape == (3, 2)
    assert none is None
    reader.finish()


def test_any_size_will_do(state):
    """Where -1 stands."""
    reader = StateReader(state, "model.pt")
    assert reader.take("up.weight", -1, 3).shape == (2, 3)
    with pytest.raises(CheckpointMismatch, match=r"up\.weight has the shape \(2, 3\), expected \(any, 4\)"):
        reader.take("up.weight", -1, 4)


def test_what_is_wrong_is_named(state):
    """With who it belongs to, and what to do."""
    reader = StateReader(state, "model.pt", fix="name the configuration")
    with pytest.raises(CheckpointMismatch, match=r"model\.pt: the tensor side\.weight is missing.*name the conf"):
        reader.take("side.weight", 2)
    with pytest.raises(CheckpointMismatch, match=r"down\.bias is missing"):
        reader.pair("down", 3, 2)
    with pytest.raises(CheckpointMismatch, match=r"expected \(3, 2, 1\)"):
        reader.take("down.weight", 3, 2, 1)


def test_nothing_is_left_over(state):
    """But for what is skipped, ignored, or of another part."""
    reader = StateReader({**state, "other.weight": torch.zeros(1)}, "model.pt")
    reader.take("up.weight", 2, 3)
    with pytest.raises(CheckpointMismatch, match=r"1 tensors are unexpected, the first is up\.bias"):
        reader.finish("up.")
    reader.finish("up.", spare=["up.bias"])
    reader.skip("up.bias")
    reader.finish("up.")
    with pytest.raises(CheckpointMismatch, match=r"2 tensors are unexpected, the first is down\.weight"):
        reader.finish()


def test_parts_are_found_by_their_prefix():
    """Tensors below a name, and how many parts there are."""
    state = {f"a.{name}": torch.ones(1) for name in ("0.weight", "0.bias", "11.weight")} | {"b.0": torch.zeros(1)}
    assert list(below(state, "a.")) == ["0.weight", "0.bias", "11.weight"]
    assert [children(state, prefix) for prefix in ("a.", "b.", "c.")] == [2, 1, 0]
