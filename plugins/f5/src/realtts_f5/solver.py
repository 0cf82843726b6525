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


@torch.inference_mode()
def solve(
    network: Network,
    items: Sequence[Item],
    *,
    times: Tensor,
    guidance: float,
    cancelled: Callable[[], bool] = never,
    graphs: Graphs | None = None,
) -> list[Tensor]:
    """Compute the spectrograms of some chunks.

    Args:
        network: Of the checkpoint.
        items: One or more.
        times: As `realtts_f5.schedule.times` gives them, float32 (steps + 1,).
        guidance: How far the direction is moved away from the unconditional one; 0: not at all.
        cancelled: Asked before each step.
        graphs: Of this network, to run each step as one; they pad chunks to a common length.

    Returns:
        float32 (frames, 100) each, the reference at the beginning as it was given.

    Raises:
        Cancelled: If ``cancelled`` says so.
    """
    rows = 1 if guidance < _LEAST_GUIDANCE else 2
    times = times.cpu()
    steps = network.steps(times)
    deltas = (times[1:] - times[:-1]).tolist()
    if graphs is not None:
        run = graphs.begin(items, rows)
    else:
        conditioning = network.condition(items, rows)
        x = torch.cat([item.noise.to(network.device, torch.float32) for item in items])
    for step, delta in zip(steps, deltas, strict=True):
        if cancelled():
            raise Cancelled
        if graphs is not None:
            run.advance(step, delta, guidance)
        else:
            advance(network, x, step, conditioning, delta=delta, guidance=guidance)
    states = run.states() if graphs is not None else x.split([item.frames for item in items])
    return [_with_reference(item, state) for item, state in zip(items, states, strict=True)]


def _with_reference(item: Item, state: Tensor) -> Tensor:
    """Copy the state, with the reference in its place."""
    mel = state.clone()
    mel[: len(item.mel)] = item.mel
    return mel
