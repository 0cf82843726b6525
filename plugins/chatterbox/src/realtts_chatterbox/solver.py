"""Euler's method over the flow's estimator: step by step on packed sequences, or each step as one CUDA graph.

A graph's shapes are fixed. So sequences are padded to a `bucket` of frames, requests of similar length share a graph,
and there is one graph for each bucket and number of requests. Padding cannot reach true frames: convolutions look back
only, padded keys are masked in attention, and the solver's state is zeroed behind each end after every step. Times are
inputs of the graph, so it serves any number of steps.

The graphs have not been run on a GPU yet. Kill switch: ``cuda_graphs=False``.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from realtts.accel.graphs.cuda_graph import GraphRunner, powers_of_two
from realtts.accel.graphs.lru import LRUCache
from realtts.contract.stages import Cancelled
from realtts_chatterbox.layout import Layout, Packing, bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_chatterbox.estimator import Estimator
    from realtts_chatterbox.prepared import Prepared

__all__ = ["EagerSolver", "GraphedSolver", "Solver"]

_GUIDANCE = 0.7
"""Strength of classifier-free guidance; upstream's inference_cfg_rate."""

_TOGETHER = 8
"""Most requests in one graph."""


Solved = Generator[None, None, list[Tensor]]
"""Yields between two steps, where others may compute; returns the solution."""


class Solver(Protocol):
    """Solves the flow of several requests."""

    def __call__(
        self, conditioning: Sequence[Tensor], starts: Sequence[Tensor], times: Tensor, cancelled: Callable[[], bool]
    ) -> Solved:
        """Move each start along the flow.

        Args:
            conditioning: The estimator's constant inputs, float32 (frames, 240) each.
            starts: Float32 (frames, 80) each.
            times: Of the solver, float32 (steps + 1,), from 0 to 1.
            cancelled: Called before each step.

        Returns:
            Float32 (frames, 80) each.

        Raises:
            Cancelled: If ``cancelled`` says so.
        """


class EagerSolver:
    """All requests at once, each at its true length.

    Args:
        estimator: The network.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator

    def __call__(
        self, conditioning: Sequence[Tensor], starts: Sequence[Tensor], times: Tensor, cancelled: Callable[[], bool]
    ) -> Solved:
        """As `Solver`."""
        single = Packing(tuple(len(start) for start in starts))
        layout = Layout.of(_rows(single, self._estimator), self._estimator.device)
        prepared = self._estimator.prepared(layout, single.packed(conditioning), times)
        x, gaps = single.packed(starts), single.gaps(self._estimator.device)
        for step in range(len(times) - 1):
            if step:
                yield
            if cancelled():
                raise Cancelled
            direction = _direction(self._estimator, x, step, prepared)
            x = (x + (times[step + 1] - times[step]) * direction).index_fill_(0, gaps, 0)
        return [x[begin : begin + length] for begin, length in single.spans]


class GraphedSolver:
    """Each step as one graph. The graphs' tensors are reused, so only one thread may use it at a time.

    Args:
        estimator: The network.
        backend: Captures the steps.
        limit: Most graphs that are kept; the least recently used one is thrown away first.
    """

    def __init__(self, estimator: Estimator, backend: GraphBackend, *, limit: int = 32) -> None:
        self._estimator, self._backend = estimator, backend
        self._steps: LRUCache[tuple[int, int], _Step] = LRUCache(limit)
        self._eager = EagerSolver(estimator)
        self._sealed = False

    def seal(self) -> None:
        """Capture nothing from now on: requests of which there is no graph are solved at once without."""
        self._sealed = True

    def __call__(
        self, conditioning: Sequence[Tensor], starts: Sequence[Tensor], times: Tensor, cancelled: Callable[[], bool]
    ) -> Solved:
        """As `Solver`; all steps in one go, because another request would use the same tensors between two of them."""
        # The longest first: requests that share a graph are padded to the longest of them.
        order = sorted(range(len(starts)), key=lambda i: -len(starts[i]))
        groups = [order[begin : begin + size] for begin, size in powers_of_two(len(order), most=_TOGETHER)]
        if self._sealed and any((len(each), bucket(len(starts[each[0]]))) not in self._steps for each in groups):
            return (yield from self._eager(conditioning, starts, times, cancelled))
        solved: dict[int, Tensor] = {}
        for group in groups:
            step = self._step(len(group), bucket(len(starts[group[0]])))
            step.begin([conditioning[i] for i in group], [starts[i] for i in group], times)
            for number in range(len(times) - 1):
                if cancelled():
                    raise Cancelled
                step.run(number)
            solved.update(zip(group, step.result([len(starts[i]) for i in group]), strict=True))
        return [solved[index] for index in range(len(starts))]

    def _step(self, requests: int, frames: int) -> _Step:
        return self._steps.get((requests, frames), lambda: _Step(self._estimator, requests, frames, self._backend))


class _Step:
    """One step for so many requests of so many frames: its graph, and the static tensors that the graph uses."""

    def __init__(self, estimator: Estimator, requests: int, frames: int, backend: GraphBackend) -> None:
        self._estimator, device = estimator, estimator.device
        self._single = Packing((frames,) * requests)
        self._layout = Layout.of(_rows(self._single, estimator), device)
        self._x = torch.zeros(self._single.frames, estimator.bins, device=device)
        self._outside = torch.ones(self._single.frames, 1, dtype=torch.bool, device=device)
        self._width = torch.zeros((), device=device)
        self._prepared: Prepared | None = None
        self._all: tuple[Tensor, Tensor] | None = None
        self._runner = GraphRunner([self._x], backend=backend, limit=1)

    def begin(self, conditioning: Sequence[Tensor], starts: Sequence[Tensor], times: Tensor) -> None:
        """Copy what the requests' steps share into the graph's tensors."""
        lengths = torch.tensor([len(start) for start in starts], device=self._x.device)
        fresh = self._estimator.prepared(self._layout, self._single.packed(conditioning), times)
        padded = torch.arange(self._single.lengths[0], device=self._x.device) >= lengths[:, None]
        rows = padded.repeat_interleave(self._layout.packing.rows, 0)  # (requests, frames) -> (rows, frames)
        mask = torch.zeros(rows.shape, dtype=self._estimator.dtype, device=self._x.device)
        mask = mask.masked_fill_(rows, float("-inf"))[:, None, None]  # (rows, 1, 1, frames): for heads and queries
        self._x.copy_(self._single.packed(starts))
        self._outside.view(len(starts), -1)[:, : padded.shape[1]] = padded
        if self._prepared is None:
            self._prepared = replace(fresh, times=fresh.times[:, :1].clone(), mask=mask)
        else:
            assert self._prepared.mask is not None
            self._prepared.conv.copy_(fresh.conv)
            self._prepared.residual.copy_(fresh.residual)
            self._prepared.mask.copy_(mask)
        self._all = fresh.times, times.diff()

    def run(self, number: int) -> None:
        """Make one step."""
        assert self._prepared is not None, "run before begin"
        assert self._all is not None
        times, widths = self._all
        self._prepared.times.copy_(times[:, number : number + 1])
        self._width.copy_(widths[number])
        self._runner.run("step", self._work)

    def result(self, lengths: Sequence[int]) -> list[Tensor]:
        """Return copies of the requests' states without padding: the graph's own tensors change with the next run."""
        spans = zip(self._single.spans, lengths, strict=True)
        return [self._x[begin : begin + length].clone() for (begin, _), length in spans]

    def _work(self) -> None:
        assert self._prepared is not None
        direction = _direction(self._estimator, self._x, 0, self._prepared)
        self._x.copy_((self._x + self._width * direction).masked_fill_(self._outside, 0))


def _rows(single: Packing, estimator: Estimator) -> Packing:
    """Return the estimator's packing: with guidance each request has two rows, conditional and unconditional."""
    return Packing(single.lengths, 1 if estimator.meanflow else 2)


def _direction(estimator: Estimator, x: Tensor, step: int, prepared: Prepared) -> Tensor:
    """Return the velocity with guidance applied, (frames of one row each, 80)."""
    velocity = estimator(x, step, prepared)
    if estimator.meanflow:
        return velocity
    conditional, unconditional = prepared.layout.rows
    return (1.0 + _GUIDANCE) * velocity[conditional] - _GUIDANCE * velocity[unconditional]
