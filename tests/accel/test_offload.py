"""Weights wait on the host: the copy there is kept, going back is free, and what changed on the device is not lost."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from realtts import OffloadError  # noqa: E402
from realtts.accel.offload.module import OffloadedModule, on_device  # noqa: E402
from realtts.accel.offload.sharing import SharedDevice  # noqa: E402
from realtts.testing.device import HostDevice  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")


def net():
    """A module with parameters, buffers and a tie."""
    with torch.random.fork_rng(devices=[]):
        module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    return module.eval()


def values(module):
    """All its values."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first, second):
    """Whether all are equal to the bit."""
    return all(torch.equal(first[name], second[name]) for name in first)


def test_weights_are_there_inside_and_back_outside():
    """Bit for bit, with the same objects, from the same host memory."""
    device, module = HostDevice(), net()
    before, parameters = values(module), list(module.parameters())
    offloaded = OffloadedModule(module, "cpu", copy=device.copy)
    host = module[0].weight.data_ptr()
    with offloaded.use() as there:
        assert there is module
        assert module[0].weight.data_ptr() != host
        assert same(before, values(module))
        assert offloaded.is_loaded
    assert module[0].weight.data_ptr() == host
    assert same(before, values(module))
    assert all(old is new for old, new in zip(parameters, module.parameters(), strict=True))
    assert module[2].weight is module[0].weight


def test_the_device_is_free_after_it():
    """Exactly: nothing that was copied there is left."""
    device = HostDevice()
    offloaded = OffloadedModule(net(), "cpu", copy=device.copy)
    with offloaded.use():
        assert device.tensors == device.copies == 8  # the tied weight once
    assert device.tensors == 0


def test_what_changed_in_place_is_kept():
    """A running mean that moved on the device is copied back; the rest is not."""
    device, module = HostDevice(), net()
    offloaded = OffloadedModule(module, "cpu", copy=device.copy)
    host = module[1].running_mean.data_ptr()
    with offloaded.use():
        module.train()(torch.ones(3, 4))
        expected = values(module)
    assert same(expected, values(module))
    assert module[1].running_mean.data_ptr() == host
    assert module[1].num_batches_tracked == 1


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_changes_in_inference_mode_are_seen_too(mode):
    """Where in-place counters are easily lost."""
    device, module = HostDevice(), net()
    offloaded = OffloadedModule(module, "cpu", copy=device.copy)
    with mode(), offloaded.use():
        module[1].running_mean.fill_(3.0)
    assert module[1].running_mean.tolist() == [3.0] * 4
    assert not module[1].running_mean.is_inference()


def test_on_the_host_itself_nothing_is_copied():
    """The degenerate case, which must be right all the same."""
    module = net()
    before, place = values(module), module[0].weight.data_ptr()
    with on_device(module, "cpu"):
        assert module[0].weight.data_ptr() == place
        module[1].running_mean.fill_(2.0)
    assert module[1].running_mean.tolist() == [2.0] * 4
    assert same({"0.weight": before["0.weight"]}, values(module))


def test_nested_uses_share_one_stay():
    """It goes back after the outermost."""
    device = HostDevice()
    offloaded = OffloadedModule(net(), "cpu", copy=device.copy)
    with offloaded.use():
        with offloaded.use():
            pass
        assert offloaded.is_loaded
        with pytest.raises(OffloadError, match=r"in use.*REALTTS_CPU_OFFLOAD=false"):
            offloaded.release()
    assert (offloaded.is_loaded, device.copies) == (False, 8)


def test_prefetched_weights_are_copied_once():
    """And go back like any others, used or not."""
    device = HostDevice()
    offloaded = OffloadedModule(net(), "cpu", copy=device.copy)
    offloaded.prefetch()
    with offloaded.use():
        pass
    offloaded.prefetch()
    offloaded.release()
    offloaded.release()
    assert (device.copies, device.tensors) == (16, 0)


def test_switched_off_it_stays():
    """cpu_offload=False: to the device once."""
    device = HostDevice()
    offloaded = OffloadedModule(net(), "cpu", enabled=False, copy=device.copy)
    for _ in range(3):
        with offloaded.use():
            pass
    assert offloaded.is_loaded
    assert device.copies == 8


def move_before(module, offloaded):
    """Replace a weight while it waits on the host."""
    module[0].weight.data = torch.ones(4, 4)
    offloaded.load()


def move_inside(module, offloaded):
    """Replace it on the device."""
    with offloaded.use():
        module[0].weight.data = torch.ones(4, 4)


@pytest.mark.parametrize("move", [move_before, move_inside])
def test_weights_moved_by_somebody_else_are_noticed(move):
    """With the weight's name and the switch."""
    module = net()
    offloaded = OffloadedModule(module, "cpu", copy=HostDevice().copy)
    with pytest.raises(OffloadError, match=r"'0.weight' was moved.*cpu_offload=False"):
        move(module, offloaded)


def test_modules_take_turns():
    """One at a time has the device; the one used last stays until another is asked for."""
    device = HostDevice()
    modules = {"t3": net(), "s3gen": net()}
    turns = SharedDevice(modules, "cpu", copy=device.copy)
    with turns.use("t3"):
        pass
    with turns.use("t3") as there:
        assert there is modules["t3"]
    assert (turns.loaded(), device.copies) == (["t3"], 8)
    with turns.use("s3gen"):
        assert turns.loaded() == ["s3gen"]
        assert device.tensors == 8
    turns.release()
    assert (turns.loaded(), device.tensors) == ([], 0)


def test_the_next_turn_can_be_prefetched():
    """Then both have the memory for a while."""
    turns = SharedDevice({"a": net(), "b": net()}, "cpu")
    with turns.use("a", then="b"):
        assert turns.loaded() == ["a", "b"]
    with turns.use("b"):
        assert turns.loaded() == ["b"]


def test_an_unknown_turn_is_an_error():
    """With the names."""
    turns = SharedDevice({"a": net()}, "cpu")
    with pytest.raises(OffloadError, match="choose from a"), turns.use("x"):
        pytest.fail("it was found")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_device_memory_comes_back_exactly():
    """With the prefetch on its side stream; the host copy is pinned."""
    module = net()
    offloaded = OffloadedModule(module, "cuda")
    assert module[0].weight.is_pinned()
    before, allocated = values(module), torch.cuda.memory_allocated()
    for _ in range(3):
        offloaded.prefetch()
        with offloaded.use():
            assert module[0].weight.is_cuda
            assert same(before, {name: value.cpu() for name, value in values(module).items()})
        assert torch.cuda.memory_allocated() == allocated
    assert same(before, values(module))
