"""Noise to spectrograms: Euler's method with classifier-free guidance, all chunks of a batch at once.

No frame of a chunk sees another chunk, so a chunk's result does not depend on what is computed beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.contract.stages import Cancelled, never
from realtts_f5.euler import advance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from realtts_f5.network import Item, Network
    from realtts_f5.solver_graphs import Graphs

__all__ = ["solve", "total_frames"]

_LEAST_GUIDANCE = 1e-5
"""Below it upstream computes no unconditional row."""


def total_frames(reference: int, characters: int, length: int) -> int:
    """Apply upstream's rule: at least one frame more than the reference has frames and the text characters."""
    return max(reference + 1, characters + 1, length)


class Solution:
    """Spectrograms of some chunks on their way from noise, step by step.

    Args:
        network: Of the checkpoint.
        items: One or more.
        times: As `realtts_f5.schedule.times` gives them, float32 (steps + 1,).
        guidance: How far the direction is moved away from the unconditional one; 0: not at all.
        graphs: Of this network, to run each step as one; they pad chunks to a common length, and their memory holds one
            solution at a time.
    """

    @torch.inference_mode()
    def __init__(
        self,
        network: Network,
        items: Sequence[Item],
        *,
        times: Tensor,
        guidance: float,
        graphs: Graphs | None = None,
    ) -> None:
        self._network, self._items, self._guidance = network, items, guidance
        rows = 1 if guidance < _LEAST_GUIDANCE else 2
        times = times.cpu()
        self._steps = list(zip(network.steps(times), (times[1:] - times[:-1]).tolist(), strict=True))
        self._run = None if graphs is None else graphs.begin(items, rows)
        if self._run is None:
            self._conditioning = network.condition(items, rows)
            self._x = torch.cat([item.noise.to(network.device, torch.float32) for item in items])

    @property
    def left(self) -> int:
        """Steps that are left."""
        return len(self._steps)

    @torch.inference_mode()
    def advance(self) -> None:
        """Take the next step."""
        step, delta = self._steps.pop(0)
        if self._run is not None:
            self._run.advance(step, delta, self._guidance)
        else:
            advance(self._network, self._x, step, self._conditioning, delta=delta, guidance=self._guidance)

    @torch.inference_mode()
    def mels(self) -> list[Tensor]:
        """Return what the last step has given: float32 (frames, 100) each, the reference as it was given."""
        if self._run is not None:
            states: Sequence[Tensor] = self._run.states()
        else:
            states = self._x.split([item.frames for item in self._items])
        return [_with_reference(item, state) for item, state in zip(self._items, states, strict=True)]


def solve(
    network: Network,
    items: Sequence[Item],
    *,
    times: Tensor,
    guidance: float,
    cancelled: Callable[[], bool] = never,
    graphs: Graphs | None = None,
) -> list[Tensor]:
    """Compute the spectrograms of some chunks at once, as `Solution` does step by step; arguments as there.

    Args:
        network: Of the checkpoint.
        items: One or more.
        times: Of the steps.
        guidance: Of the solver.
        cancelled: Asked before each step.
        graphs: Of this network.

    Raises:
        Cancelled: If ``cancelled`` says so.
    """
    solution = Solution(network, items, times=times, guidance=guidance, graphs=graphs)
    while solution.left:
        if cancelled():
            raise Cancelled
        solution.advance()
    return solution.mels()


def _with_reference(item: Item, state: Tensor) -> Tensor:
    """Copy the state, with the reference in its place."""
    mel = state.clone()
    mel[: len(item.mel)] = item.mel
    return mel
