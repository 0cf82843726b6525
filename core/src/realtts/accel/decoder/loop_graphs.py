"""The captured steps and prompts of a decode loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.accel.graphs.cuda_graph import GraphRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import Sampler

__all__ = ["LoopGraphs"]


class LoopGraphs:
    """Runs the work of a loop as graphs, or eagerly where there is no backend.

    Args:
        backend: Captures; None: nothing is captured.
        state: Tensors that a step changes in place and that the next one builds on.
        sampler: Its structure is part of every key: a graph that was captured with another one draws otherwise.
        structure: Returns what else a graph depends on.
        limit: Most graphs; the least recently used goes first.
    """

    def __init__(
        self,
        backend: GraphBackend | None,
        state: Sequence[Tensor],
        sampler: Sampler,
        structure: Callable[[], Hashable],
        *,
        limit: int,
    ) -> None:
        self._sampler, self._structure = sampler, structure
        self._runner: GraphRunner | None = None
        if backend is not None:
            self._runner = GraphRunner(state, sampler.noise.generators, backend=backend, limit=limit)

    @property
    def enabled(self) -> bool:
        """Whether work is captured."""
        return self._runner is not None

    @property
    def keys(self) -> list[object]:
        """Keys of the graphs that are captured."""
        return [] if self._runner is None else list(self._runner.keys)

    def run(self, what: Hashable, work: Callable[[], None]) -> None:
        """Run some work, as the graph of its key where work is captured.

        Args:
            what: What it does, as far as the host decides; the key is this and the structures.
            work: As `GraphRunner.run` takes it.

        Raises:
            CaptureFailed: It cannot be captured.
        """
        if self._runner is None:
            work()
        else:
            self._runner.run((what, (self._sampler.structure, self._structure())), work)

    def invalidate(self) -> None:
        """Drop all graphs."""
        if self._runner is not None:
            self._runner.invalidate()
