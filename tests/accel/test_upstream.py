"""Upstream's classes without what is around them: filled by name, seeded, quiet."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from realtts.accel.upstream.calls import GivenDraws, quiet, seeded, stopping, with_names
from realtts.accel.upstream.networks import Unfilled, fill, put_tensor
from realtts.contract.stages import Cancelled
from realtts.errors import CheckpointMismatch
from realtts.testing.weights import random_state


class Network(torch.nn.Module):
    """With weights that a file has, and something that its constructor computes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.norm = torch.nn.BatchNorm1d(2)
        self.register_buffer("window", torch.arange(4.0))


class Operations(TorchDispatchMode):
    """Notes the names of what runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.name().partition(".")[0])
        return func(*args, **(kwargs or {}))


def state():
    """A file's tensors."""
    norm = {f"norm.{name}": torch.ones(2) for name in ("weight", "bias", "running_mean", "running_var")}
    count = {"norm.num_batches_tracked": torch.tensor(1)}
    return {"linear.weight": torch.ones(2, 3).half(), "linear.bias": torch.zeros(2), **norm, **count}


def unfilled():
    """The network without memory for its weights."""
    with Unfilled():
        return Network()


@pytest.mark.parametrize(
    "build",
    [
        lambda: torch.nn.Conv1d(4, 6, 3),
        lambda: torch.nn.Embedding(5, 3, padding_idx=0),
        lambda: torch.nn.LayerNorm(4),
        lambda: torch.nn.LSTM(3, 4, 2),
        lambda: torch.nn.MultiheadAttention(8, 2),
        lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(4, 4, 3)),
        lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.ConvTranspose1d(4, 6, 3), dim=1),
        lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 6), dim=None),
    ],
)
def test_networks_have_their_shapes_without_memory(build) -> None:
    """Filling their weights at random is left out, not worked out for tensors without memory."""
    with Operations() as operations, Unfilled():
        network = build()
    assert not operations.names & {"aten::uniform_", "aten::normal_", "aten::linalg_vector_norm"}
    expected = {name: tensor.shape for name, tensor in build().state_dict().items()}
    assert {name: tensor.shape for name, tensor in network.state_dict().items()} == expected
    assert all(tensor.is_meta for tensor in network.state_dict().values())


@pytest.mark.parametrize(
    ("fill_in", "value"), [("zero_", ()), ("fill_", (7.0,)), ("uniform_", (7, 8)), ("normal_", ())]
)
def test_what_has_memory_is_filled(fill_in, value) -> None:
    """Constructors that compute with such operations get their numbers."""
    with Unfilled():
        tensor = getattr(torch.full((4,), 100.0), fill_in)(*value)
    assert float(tensor.max()) < 50


def test_a_network_is_filled_by_name() -> None:
    """In float32, frozen, in evaluation mode; what was computed stays, and what is not used is left."""
    network = unfilled()
    assert network.linear.weight.is_meta
    assert not network.window.is_meta
    fill(network, {**state(), "old": torch.ones(1)}, "cpu", "file 'a'", computed=("window",), spare=("old",))
    assert network.linear.weight.dtype == torch.float32
    assert not network.linear.weight.requires_grad
    assert not network.training
    assert network.window.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_below_a_prefix_only_its_names_are_meant() -> None:
    """Others in the file are not looked at."""
    network = unfilled()
    fill(network, {"other": torch.ones(1), **{f"a.{name}": value for name, value in state().items()}}, "cpu", "f",
         prefix="a.", computed=("window",))  # fmt: skip
    assert network.linear.bias.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"linear.bias": None}, "missing, the first is linear.bias"),
        ({"norm.running_mean": None}, "1 tensors are missing, the first is norm.running_mean"),
        ({"linear.extra": torch.ones(1)}, "unexpected, the first is linear.extra"),
        ({"linear.weight": torch.ones(3, 2)}, "linear.weight has the shape"),
    ],
)
def test_wrong_tensors_are_refused_by_name(change, what) -> None:
    """And the file is named."""
    given = {name: value for name, value in {**state(), **change}.items() if value is not None}
    with pytest.raises(CheckpointMismatch, match=what) as caught:
        fill(unfilled(), given, "cpu", "file 'a'", computed=("window",))
    assert caught.value.who == "file 'a'"


def test_seeded_draws_are_those_of_the_seed_and_leave_nothing_behind() -> None:
    """Also where something fails inside."""
    torch.manual_seed(7)
    expected = torch.rand(3).tolist()
    torch.manual_seed(1)
    before = torch.get_rng_state().tolist()
    with seeded("cpu", 7):
        assert torch.rand(3).tolist() == expected
    with pytest.raises(ValueError, match="inside"), seeded("cpu", 7):
        raise ValueError("inside")
    assert torch.get_rng_state().tolist() == before


def test_quiet_hides_what_is_upstreams_affair() -> None:
    """And nothing else, and only inside."""
    log = logging.getLogger("transformers")
    before = log.level
    with quiet():
        warnings.warn("old", FutureWarning, stacklevel=1)
        assert log.level == logging.ERROR
        with pytest.raises(ResourceWarning):
            warnings.warn("left open", ResourceWarning, stacklevel=1)
    assert log.level == before
    with pytest.raises(FutureWarning):
        warnings.warn("old", FutureWarning, stacklevel=1)


def test_a_function_with_other_names() -> None:
    """Its module is as it was."""
    assert with_names(unfilled, Network=lambda: "another")() == "another"
    assert isinstance(unfilled(), Network)


def test_one_tensor_is_put_in_its_place() -> None:
    """A parameter stays one, and a buffer a buffer."""
    network = unfilled()
    put_tensor(network, "linear.bias", torch.ones(2))
    put_tensor(network, "window", torch.zeros(1))
    assert isinstance(network.linear.bias, torch.nn.Parameter)
    assert network.window.tolist() == [0.0]


def test_draws_can_be_given() -> None:
    """The noise goes on as if torch had drawn: behind the list comes what torch would have drawn then."""
    p = torch.tensor([[0.2, 0.5, 0.3]])
    torch.manual_seed(3)
    drawn = [int(torch.multinomial(p, 1)) for _ in range(6)]
    torch.manual_seed(3)
    with GivenDraws([2, 2, 0]) as given:
        found = [int(torch.multinomial(p, 1)) for _ in range(6)]
    assert found == [2, 2, 0, *drawn[3:]]
    assert given.scores is not None
    assert int(given.scores.argmax()) == drawn[-1]


def test_a_loop_ends_once_the_request_is_cancelled() -> None:
    """At the next call of its network; afterwards nobody asks any more."""
    network, x, asked = torch.nn.Linear(3, 2), torch.zeros(1, 3), []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 2

    with stopping(network, cancelled):
        network(x)
        network(x)
        with pytest.raises(Cancelled):
            network(x)
    network(x)
    assert len(asked) == 3


def test_random_tensors_for_a_file() -> None:
    """All of floating point are drawn, running statistics too, but for what the constructor computed; counts stay."""
    found = random_state(unfilled(), lambda name, shape: torch.full(shape, float(len(name))), ("window",))
    assert list(found) == list(Network().state_dict())
    assert found["linear.weight"].tolist() == [[13.0] * 3] * 2
    assert found["norm.running_mean"].tolist() == [17.0] * 2
    assert found["window"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert found["norm.num_batches_tracked"].item() == 0
