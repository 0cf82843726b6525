"""Steps of the solver as CUDA graphs: one for each padded length and number of chunks.

Everything that differs between steps and requests (times, guidance, lengths, text, reference) is copied into the memory
that a graph reads, so it is captured once. Not run on a GPU yet; its logic is tested on the CPU. Switch:
``Settings(cuda_graphs=False)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.graphs.cuda_graph import CudaGraphs, GraphRunner, rounded_up
from realtts.accel.graphs.lru import LRUCache
from realtts.accel.graphs.shared import SharedMemory
from realtts_f5.constants import MELS
from realtts_f5.euler import advance
from realtts_f5.layout import bucket_of
from realtts_f5.network import Item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_f5.network import Network

__all__ = ["LONGEST_FRAMES", "USUAL_FRAMES", "Graphs", "Run"]

USUAL_FRAMES = 896
"""Five seconds of recording, as the default voice has, and a sentence of four and a half; a padded length."""

LONGEST_FRAMES = 2816
"""30 s; a text is cut so that recording and speech last 22 s, and slow words make them longer."""


class Graphs:
    """Graphs of one network, used by one request at a time.

    Args:
        network: Whose weights the graphs read.
        backend: Default: CUDA graphs.
        limit: Most shapes kept: the 23 padded lengths up to 30 s, and some of several chunks. The least recently used
            goes first.

    Attributes:
        captures: Graphs captured so far, dropped ones included.
    """

    def __init__(self, network: Network, *, backend: GraphBackend | None = None, limit: int = 40) -> None:
        self._network = network
        self._backend = backend if backend is not None else CudaGraphs(network.device)
        self._runs: LRUCache[tuple[int, int, int], Run] = LRUCache(limit)
        self._memory = SharedMemory(network.device)
        self._sealed = False
        self.captures = 0

    @torch.inference_mode()
    def capture(self, frames: int, rows: int) -> None:
        """Capture the step of one chunk before a request needs it.

        Args:
            frames: Of recording and speech together; chunks of up to its padded length share the graph.
            rows: 2 with guidance, else 1.

        Raises:
            CaptureFailed: The step cannot be captured.
        """
        silence = torch.zeros(frames, MELS)
        item = Item(mel=silence[:1], ids=torch.zeros(1, dtype=torch.int64), frames=frames, noise=silence)
        (step,) = self._network.steps(torch.tensor([0.0, 1.0]))
        run = self.begin([item], rows)
        assert run is not None, "captured after everything was"
        run.advance(step, delta=0.0, guidance=0.0)

    def capture_all(self, longest: int, rows: int) -> None:
        """Capture the steps of one chunk of every padded length, and nothing from then on.

        Several chunks together, and longer ones, have work enough for a GPU without graphs; they run at their true
        lengths, where attention needs no mask.

        Args:
            longest: Frames of the longest chunk that is expected.
            rows: 2 with guidance, else 1.

        Raises:
            CaptureFailed: The step cannot be captured.
        """
        lengths = sorted({bucket_of(frames) for frames in range(1, longest + 1)}, reverse=True)
        for frames in lengths:  # the longest first, in whose memory the others lie
            self.capture(frames, rows)
        self._sealed = True

    def begin(self, items: Sequence[Item], rows: int) -> Run | None:
        """Put chunks in place of the former ones.

        Args:
            items: Of a request; empty ones are put beside them, up to a power of two.
            rows: 2 with guidance, else 1.

        Returns:
            What takes the steps; None: there is no graph for them, and none is captured any more.
        """
        count = rounded_up(len(items), smallest=1, per_octave=1)
        key = bucket_of(max(item.frames for item in items)), count, rows
        if self._sealed and key not in self._runs:
            return None
        run = self._runs.get(key, lambda: Run(self, self._network, self._backend, key, self._memory))
        run.fill(items)
        return run

    def clear(self) -> None:
        """Throw all graphs and their memory away."""
        self._runs.clear()
        self._memory = SharedMemory(self._network.device)


class Run:
    """One shape's memory and graph.

    Args:
        graphs: Which count the captures.
        network: Whose steps they are.
        backend: Captures.
        shape: Frames that chunks are padded to, chunks, rows of each.
        memory: Where its tensors lie.
    """

    def __init__(
        self, graphs: Graphs, network: Network, backend: GraphBackend, shape: tuple[int, int, int], memory: SharedMemory
    ) -> None:
        frames, count, rows = shape
        self._graphs, self._network = graphs, network
        self._conditioning = network.blank(count, rows, frames, memory)
        self._x = memory.take("x", (count * frames, MELS))
        self._delta, self._guidance = (torch.zeros((), device=network.device) for _ in range(2))
        self._step: tuple[Tensor, ...] | None = None
        self._count, self._lengths = count, [frames] * count
        self._runner = GraphRunner([self._x], backend=backend, limit=1)

    def fill(self, items: Sequence[Item]) -> None:
        """Put at most as many chunks in, none longer than the frames."""
        self._network.fill(self._conditioning, items)
        self._lengths = [item.frames for item in items]
        self._x.zero_()
        for place, item in zip(self.states(), items, strict=True):
            place.copy_(item.noise)

    def advance(self, step: tuple[Tensor, ...], delta: float, guidance: float) -> None:
        """Take one step, as `realtts_f5.euler.advance` does.

        Raises:
            CaptureFailed: The step cannot be captured.
        """
        if self._step is None:
            self._step = tuple(torch.empty_like(tensor) for tensor in step)
        for place, tensor in zip(self._step, step, strict=True):
            place.copy_(tensor)
        self._delta.fill_(delta)
        self._guidance.fill_(guidance)
        before = self._runner.captures
        self._runner.run("step", self._work)
        self._graphs.captures += self._runner.captures - before

    def states(self) -> list[Tensor]:
        """Return each chunk's state, (frames, 100), valid until the next step or `fill`."""
        whole = self._x.view(self._count, -1, MELS)  # (chunks * frames, 100) -> (chunks, frames, 100)
        return [state[:length] for state, length in zip(whole, self._lengths, strict=False)]

    def _work(self) -> None:
        """Take the step from static memory alone: what is captured."""
        assert self._step is not None
        advance(self._network, self._x, self._step, self._conditioning, delta=self._delta, guidance=self._guidance)
