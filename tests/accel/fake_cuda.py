"""An imitation of what `torch.cuda` knows of streams, pools, graphs and generators, with what a failed capture leaves.

Work is Python: a "kernel" is a call of `FakeCuda.launch`, which a capture records. Names and states are torch's, by the
sources of 2.11 to 2.13 (`ATen/cuda/CUDAGraph.cpp`, `c10/cuda/CUDACachingAllocator.cpp`).
"""

import contextlib
import functools
import itertools


class FakeStream:
    """A stream of a device."""

    def __init__(self, cuda, index):
        self.cuda, self.index, self.device_index = cuda, index, index
        self.waits, self.log = [], []

    def wait_stream(self, other):
        """Note what it waits for."""
        self.waits.append(other)


class FakeGenerator:
    """A generator, which a capture puts into another state."""

    def __init__(self):
        self.capturing = False

    def draw(self):
        """Draw outside of a capture."""
        if self.capturing:
            raise RuntimeError("Offset increment outside graph capture encountered unexpectedly.")


class FakeGraph:
    """As `torch.cuda.CUDAGraph`."""

    def __init__(self, cuda):
        self.cuda, self.generators, self.work = cuda, [], []
        self.has_ended, self.stream, self._pool = False, None, None

    def register_generator_state(self, generator):
        """Note a generator."""
        self.generators.append(generator)

    def capture_begin(self, pool, capture_error_mode):
        """Begin: the pool is used, and generators are in the state of a capture."""
        cuda = self.cuda
        assert capture_error_mode == "thread_local"
        stream = cuda.current_stream()
        if stream is cuda.defaults[cuda.current]:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream.")
        if stream.index != cuda.current:
            raise RuntimeError("the stream is another device's")
        if pool in cuda.recording:
            raise RuntimeError("beginAllocateToPool: already recording to mempool_id")
        self._pool, self.stream = pool, stream
        cuda.recording.append(pool)
        cuda.uses[pool] = cuda.uses.get(pool, 0) + 1
        for generator in (*self.generators, cuda.default_generators[cuda.current]):
            generator.capturing = True
        cuda.capturing, cuda.invalid = self, False

    def capture_end(self):
        """End; a capture that was broken ends as torch's does, half way."""
        cuda = self.cuda
        if cuda.current_stream() is not self.stream:
            raise RuntimeError("Capture must end on the same stream it began on.")
        cuda.capturing = None
        if cuda.invalid:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        cuda.recording.remove(self._pool)
        for generator in (*self.generators, cuda.default_generators[cuda.current]):
            generator.capturing = False
        self.has_ended = True

    def pool(self):
        """Return the pool of a capture that has ended properly."""
        if not self.has_ended:
            raise RuntimeError("Called CUDAGraph::pool() without a preceding successful capture.")
        return self._pool

    def reset(self):
        """Give the pool back, after a proper end."""
        if self.has_ended:
            self.cuda.uses[self._pool] -= 1
            self.has_ended = False

    def replay(self):
        """Run what was recorded."""
        if not self.has_ended:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        for kernel in self.work:
            kernel()

    def __del__(self):
        self.reset()


class FakeCuda:
    """The module `torch.cuda`, and what of `torch._C` belongs to it.

    Attributes:
        current: The current device.
        recording: Pools into which is recorded.
        uses: Pool -> graphs that use it.
        synchronized: Devices that were waited for.
        emptied: How often free memory was given back.
        cleared: How often cuBLAS' workspaces were.
    """

    def __init__(self, devices=2):
        self.current, self.capturing, self.invalid = 0, None, False
        self.recording, self.uses, self.synchronized = [], {}, []
        self.emptied = self.cleared = 0
        self.defaults = [FakeStream(self, index) for index in range(devices)]
        self.default_generators = [FakeGenerator() for _ in range(devices)]
        self.streams = []  # that were made
        self._on = list(self.defaults)
        self._pools = itertools.count(1)

    # -- as torch.cuda ---------------------------------------------------------------------------------------------

    def Stream(self, index):  # noqa: N802 - torch's name
        """Make a stream of a device."""
        self.streams.append(FakeStream(self, index))
        return self.streams[-1]

    def CUDAGraph(self):  # noqa: N802 - torch's name
        """Make a graph."""
        return FakeGraph(self)

    def current_device(self):
        """Return the number of the current device."""
        return self.current

    def current_stream(self, device=None):
        """Return a device's current stream."""
        return self._on[self._index(device)]

    def _index(self, device):
        import torch

        index = torch.device(device).index if isinstance(device, str) else getattr(device, "index", device)
        return self.current if index is None else index

    @contextlib.contextmanager
    def device(self, device):
        """Make a device the current one."""
        before, self.current = self.current, self._index(device)
        try:
            yield
        finally:
            self.current = before

    @contextlib.contextmanager
    def stream(self, stream):
        """Make a stream the current one of its device."""
        before, self._on[stream.index] = self._on[stream.index], stream
        try:
            yield
        finally:
            self._on[stream.index] = before

    def graph_pool_handle(self):
        """Return a new pool."""
        return (0, next(self._pools))

    def synchronize(self, device=None):
        """Wait for a device, which a capture does not survive."""
        self.synchronized.append(self._index(device))
        self.host_reads()

    def empty_cache(self):
        """Give free memory back."""
        assert self.capturing is None
        self.emptied += 1

    # -- as torch._C -----------------------------------------------------------------------------------------------

    def end_allocation(self, index, pool):
        """End the recording into a pool."""
        if pool not in self.recording:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.recording.remove(pool)

    def release_pool(self, index, pool):
        """End the use of a pool by a graph."""
        self.uses[pool] -= 1
        assert self.uses[pool] >= 0

    def clear_workspaces(self):
        """Free cuBLAS' workspaces."""
        self.cleared += 1

    # -- for work ----------------------------------------------------------------------------------------------------

    def launch(self, kernel):
        """Run a kernel on the current stream, or record it."""
        if self.capturing is not None and self.current_stream() is self.capturing.stream:
            self.capturing.work.append(kernel)
            return
        self.current_stream().log.append(kernel)
        kernel()

    def host_reads(self):
        """Do what breaks a capture."""
        if self.capturing is not None:
            self.invalid = True
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")


def _zeros(real, *shape, device=None, **rest):
    """Make zeros on the CPU, wherever they were asked for."""
    del device
    return real(*shape, **rest)


def install(monkeypatch, devices=2):
    """Put an imitation in the place of `torch.cuda`, as the modules for graphs see it."""
    import torch

    from realtts.accel.graphs import cuda as backend, streams

    fake = FakeCuda(devices)
    names = (
        "Stream", "CUDAGraph", "current_device", "current_stream", "device", "stream", "graph_pool_handle",
        "synchronize", "empty_cache",
    )  # fmt: skip
    for name in names:
        monkeypatch.setattr(torch.cuda, name, getattr(fake, name))
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", fake.end_allocation, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_releasePool", fake.release_pool, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", fake.clear_workspaces, raising=False)
    monkeypatch.setattr(torch, "zeros", functools.partial(_zeros, torch.zeros))
    monkeypatch.setattr(streams, "_SIDE_STREAMS", {})
    monkeypatch.setattr(backend, "_ABANDONED", [])
    return fake
