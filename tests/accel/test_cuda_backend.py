"""The backend for CUDA on an imitation of `torch.cuda`: what a failed capture leaves, several devices, memory."""

import gc

import pytest

torch = pytest.importorskip("torch")

from fake_cuda import FakeGenerator, install  # noqa: E402

from realtts import CaptureFailed  # noqa: E402
from realtts.accel.graphs.cuda_graph import CudaGraphs, GraphRunner  # noqa: E402
from realtts.accel.graphs.streams import LIVE_GRAPHS, beside, release_device_memory, side_stream  # noqa: E402
from realtts.machine import memory  # noqa: E402


@pytest.fixture
def cuda(monkeypatch):
    """Two devices."""
    return install(monkeypatch)


class Counted:
    """Work that counts how often its kernel ran."""

    def __init__(self, cuda, fault=None):
        self.cuda, self.fault, self.ran = cuda, fault, 0

    def __call__(self):
        self.cuda.launch(self.kernel)
        if self.fault is not None and self.cuda.capturing is not None:
            self.fault(self.cuda)

    def kernel(self):
        """Run."""
        self.ran += 1


def in_python(cuda):
    """A fault of the work alone, of which CUDA knows nothing."""
    raise ZeroDivisionError("in the work")


def on_another_stream(cuda):
    """A fault that leaves another stream the current one."""
    cuda.stream(cuda.Stream(cuda.current)).__enter__()
    cuda.host_reads()


def swallowed(cuda):
    """A fault that the work does not pass on, so that only the end of the capture tells."""
    cuda.invalid = True


FAULTS = {
    "item": lambda cuda: cuda.host_reads(),
    "synchronize": lambda cuda: cuda.synchronize(),
    "python": in_python,
    "stream": on_another_stream,
    "swallowed": swallowed,
    "out of memory": lambda cuda: (_ for _ in ()).throw(torch.OutOfMemoryError("no room")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_capture_harms_nobody(cuda, fault):
    """Stream, pool and generators are as before; graphs from before are replayed, and new ones are captured."""
    backend, generator = CudaGraphs("cuda:0"), FakeGenerator()
    generators = [generator, cuda.default_generators[0]]
    first, second = Counted(cuda), Counted(cuda)
    replay = backend.capture(first, [generator])
    before = cuda.current_stream()
    with pytest.raises((RuntimeError, ZeroDivisionError, torch.OutOfMemoryError)):
        backend.capture(Counted(cuda, FAULTS[fault]), [generator])
    assert (cuda.current_stream(), cuda.recording, cuda.capturing) == (before, [], None)
    for each in generators:
        each.draw()
    replay()
    backend.capture(second, [generator])()
    assert (first.ran, second.ran) == (1, 1)
    gc.collect()
    assert sum(cuda.uses.values()) == 1, "the first graph's; the others are gone"
    del replay
    gc.collect()
    assert not any(cuda.uses.values())


@pytest.mark.parametrize("fault", ["item", "synchronize", "swallowed"])
def test_what_a_broken_capture_used_is_not_used_again(cuda, fault):
    """A new pool for what follows; the old one is free when the graphs from before are gone."""
    backend = CudaGraphs("cuda:0")
    replay = backend.capture(Counted(cuda), [])
    (old,) = [pool for pool, uses in cuda.uses.items() if uses]
    with pytest.raises(RuntimeError):
        backend.capture(Counted(cuda, FAULTS[fault]), [])
    assert cuda.uses[old] == 1
    after = backend.capture(Counted(cuda), [])
    assert (backend.pools, cuda.uses[old]) == (2, 1)
    del replay
    gc.collect()
    assert cuda.uses[old] == 0
    after()


def test_the_reason_is_that_of_the_work(cuda):
    """Not that the end of the capture failed, too."""
    runner = GraphRunner(backend=CudaGraphs("cuda:0"))
    with pytest.raises(CaptureFailed, match="not permitted when stream is capturing"):
        runner.run("bad", Counted(cuda, FAULTS["item"]))
    runner.run("good", Counted(cuda))
    assert runner.keys == ["good"]


def test_the_garbage_collector_waits_for_the_end_of_a_capture(cuda):
    """It could destroy another graph in the middle; whether it was on is as before, also after a failure."""
    seen = []
    backend = CudaGraphs("cuda:0")
    backend.capture(lambda: seen.append(gc.isenabled()), [])
    with pytest.raises(ZeroDivisionError):
        backend.capture(lambda: 1 / 0, [])
    assert (seen, gc.isenabled()) == ([False], True)


# -- devices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [[0, 1], [1, 0], [0, 1, 0, 1], [1, 1, 0], [0]])
def test_each_device_has_a_stream_of_its_own(cuda, order):
    """One for all warm-ups and captures, whichever device is the current one, and whoever asks."""
    for index in order:
        work = Counted(cuda)
        runner = GraphRunner(backend=CudaGraphs(f"cuda:{index}"))
        runner.run("key", work)
        assert work.ran == 3  # twice warmed up, replayed once
        assert side_stream(f"cuda:{index}", "capture").log.count(work.kernel) == 2
        assert cuda.synchronized[-1] == index
        assert cuda.current == 0
    assert sorted(stream.index for stream in cuda.streams) == sorted(set(order))


def test_without_a_number_it_is_the_current_device(cuda):
    """When something is captured, not when the backend is made."""
    backend = CudaGraphs()
    with cuda.device(1):
        backend.warm_up(Counted(cuda))
        backend.capture(Counted(cuda), [])
    assert [stream.index for stream in cuda.streams] == [1]
    assert cuda.synchronized == [1]


def test_work_beside_waits_for_what_was_there(cuda):
    """And only joined work is waited for; nested it is one context."""
    default, side = cuda.defaults[1], side_stream("cuda:1")
    with beside("cuda:1"):
        assert (cuda.current, cuda.current_stream()) == (1, side)
        with beside("cuda:1", joined=True):
            assert cuda.current_stream() is side
    assert (side.waits, default.waits, cuda.current_stream(1)) == ([default], [], default)
    with pytest.raises(ZeroDivisionError), beside("cuda:1", joined=True):
        _ = 1 / 0
    assert (default.waits, cuda.current_stream(1), cuda.current) == ([side], default, 0)


def test_graphs_apart_share_no_pool(cuda):
    """On the same device, however often; a failure of one is none of the others."""
    backends = [CudaGraphs("cuda:1")]
    backends += [backends[0].apart(), backends[0].apart().apart()]
    with backends[1].beside(joined=True):
        replays = [backend.capture(Counted(cuda), []) for backend in backends]
    assert sorted(cuda.uses.values()) == [1, 1, 1]
    with pytest.raises(RuntimeError):
        backends[1].capture(Counted(cuda, FAULTS["item"]), [])
    assert [backend.pools for backend in backends] == [1, 1, 1]
    for replay in replays:
        replay()
    assert [stream.index for stream in cuda.streams] == [1, 1], "beside, and for captures"
    assert {replay._graph.stream for replay in replays[1:]} == {side_stream("cuda:1")}
    assert replays[0]._graph.stream is side_stream("cuda:1", "capture")


# -- memory ------------------------------------------------------------------------------------------------------------


def test_workspaces_go_with_the_last_graph(cuda, monkeypatch):
    """Graphs use those that were there when they were captured; free memory is given back in any case."""
    gc.collect()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    others = len(LIVE_GRAPHS)
    runners = [GraphRunner(backend=CudaGraphs(f"cuda:{index}")) for index in (0, 1)]
    for runner in runners:
        runner.run("key", Counted(cuda))
    emptied = cuda.emptied
    memory.release()
    assert (len(LIVE_GRAPHS) - others, cuda.cleared, cuda.emptied) == (2, 0, emptied + 1)
    runners.pop().invalidate()
    release_device_memory()
    assert cuda.cleared == 0
    runners.pop().invalidate()
    memory.release()
    assert cuda.cleared == (1 if not others else 0)
    assert all(uses == 0 for uses in cuda.uses.values())
