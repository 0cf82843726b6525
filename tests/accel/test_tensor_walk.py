"""Weights of networks that are no modules: all are found, each once, and moved as a module's are."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from realtts import OffloadError  # noqa: E402
from realtts.accel.offload.module import OffloadedModule  # noqa: E402
from realtts.accel.offload.sharing import SharedDevice  # noqa: E402
from realtts.accel.offload.tensors import walk_tensors  # noqa: E402


@dataclass(frozen=True, slots=True)
class Pair:
    """Weight and bias."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None


class Network:
    """Holds tensors in every way that code does."""

    def __init__(self):
        self.first = Pair(torch.full((2, 2), 2.0), torch.zeros(2))
        self.tied = self.first.weight
        self.layers = [{"w": torch.ones(2)}, (torch.full((2,), 3.0), None)]
        self.module = nn.Linear(2, 2)
        self.head = functools.partial(torch.add, torch.full((2,), 4.0))
        inside = torch.full((2,), 5.0)
        self.closure = lambda x: x * inside
        self.elsewhere = torch.empty(2, device="meta")
        self.itself = self

    def __call__(self, x):
        """All of it."""
        x = x @ self.first.weight + self.first.bias + self.layers[0]["w"] * self.layers[1][0]
        return self.closure(self.head(self.module(x)))


def test_every_tensor_is_found_once():
    """With a name that leads to it; what lies elsewhere is not its weight."""
    network = Network()
    found = dict(walk_tensors(network, "cpu"))
    assert list(found) == [
        "first.weight", "first.bias", "layers[0]['w']", "layers[1][0]", "module.weight", "module.bias",
        "head.args[0]", "closure.__closure__[0]",
    ]  # fmt: skip
    assert found["first.weight"] is network.tied
    assert [name for name, _ in walk_tensors(network, "meta")] == ["elsewhere"]


def test_it_moves_as_a_module_does():
    """The same result there, and the host's memory again after it."""
    network, copies = Network(), []

    def copy(tensor, device):
        copies.append(tensor)
        return tensor.clone()

    x = torch.ones(2)
    expected, place = network(x), network.tied.data_ptr()
    offloaded = OffloadedModule(network, "cpu", copy=copy)
    for _ in range(2):
        with offloaded.use() as there, torch.inference_mode():
            assert there is network
            assert torch.equal(network(x), expected)
            assert network.tied.data_ptr() != place
        assert network.tied.data_ptr() == place
    assert len(copies) == 2 * 8
    assert torch.equal(network(x), expected)


def test_weights_of_inference_mode_are_refused():
    """They cannot get other memory; the tensor is named."""
    network = Network()
    with torch.inference_mode():
        network.layers.append(torch.ones(3))
    with pytest.raises(OffloadError, match=r"'layers\[2\]' was made in inference mode"):
        OffloadedModule(network, "cpu")


class Lazy(Mapping):
    """Makes its values when they are asked for."""

    def __getitem__(self, name):
        pytest.fail("it was asked")

    def __iter__(self):
        return iter(["a"])

    def __len__(self):
        return 1


def test_what_may_be_work_is_not_followed():
    """Mappings that make their values, and the objects of bound methods: a file that is read, say."""
    network = Network()
    names = [name for name, _ in walk_tensors(network, "cpu")]
    network.file = Lazy()
    network.read = Network().__call__
    assert [name for name, _ in walk_tensors(network, "cpu")] == names


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda whole: [whole.view(6)], r"'\[0\]' is a view"),
        (lambda whole: [torch.ones(2), whole[0]], r"'\[1\]' is a view"),
        (lambda whole: [whole, whole[0].detach()], r"'\[[01]\]' and '\[[01]\]' lie on the same memory"),
        (lambda whole: [whole, whole.detach()], r"'\[[01]\]' and '\[[01]\]' lie on the same memory"),
    ],
    ids=["view", "part", "overlapping", "the same"],
)
def test_entangled_memory_is_refused(make, named):
    """A view would keep its base's memory, two tensors on the same memory would part; both are named."""
    with pytest.raises(OffloadError, match=named):
        OffloadedModule(make(torch.ones(2, 3)), "cpu")


def test_stretches_of_one_storage_are_weights_of_their_own():
    """As cuDNN's recurrent networks have them: each gets its memory, and all values stay."""
    whole = torch.arange(6.0)
    parts = [whole[:2].detach(), whole[2:].detach()]
    offloaded = OffloadedModule(parts, "cpu", copy=lambda tensor, _: tensor.clone())
    with offloaded.use() as (first, second):
        assert torch.equal(torch.cat([first, second]), torch.arange(6.0))
        assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()


def test_turns_while_items_are_made():
    """Who makes items has the device while it makes one; between two another may have it."""
    made = []

    def items():
        for number in range(3):
            made.append(turns.loaded())
            yield number

    turns = SharedDevice({"a": Network()}, "cpu", copy=lambda tensor, _: tensor.clone())
    turns.add("b", Network())
    found = []
    for number in turns.each("a", items()):
        with turns.use("b"):
            assert turns.loaded() == ["b"]
            found.append(number)
    assert found == [0, 1, 2]
    assert made == [["a"]] * 3
    turns.release()
    assert turns.loaded() == []
