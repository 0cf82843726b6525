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
        others: Samplers of the model's own step, whose structures and generators count, too.
    """

    def __init__(
        self,
        backend: GraphBackend | None,
        state: Sequence[Tensor],
        sampler: Sampler,
        structure: Callable[[], Hashable],
        *,
        limit: int,
        others: Sequence[Sampler] = (),
    ) -> None:
        self._others = tuple(others)
        self._sampler, self._structure = sampler, structure
        self._runner: GraphRunner | None = None
        if backend is not None:
            drawing = [generator for each in (sampler, *others) for generator in each.noise.generators]
            self._runner = GraphRunner(state, list(dict.fromkeys(drawing)), backend=backend, limit=limit)

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
            others = tuple(sampler.structure for sampler in self._others)
            self._runner.run((what, (self._sampler.structure, self._structure(), others)), work)

    def invalidate(self) -> None:
        """Drop all graphs."""
        if self._runner is not None:
            self._runner.invalidate()
