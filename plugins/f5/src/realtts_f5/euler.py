"""One step of Euler's method with classifier-free guidance, as it is run eagerly and captured as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from realtts_f5.network import Conditioning, Network

__all__ = ["advance"]


def advance(
    network: Network,
    x: Tensor,
    step: tuple[Tensor, ...],
    conditioning: Conditioning,
    *,
    delta: float | Tensor,
    guidance: float | Tensor,
) -> None:
    """Take one step, in place.

    Args:
        network: Of the checkpoint.
        x: The state, float32 (frames, 100); is changed.
        step: One of the network's `steps`.
        conditioning: Of these chunks.
        delta: Length of the step; a tensor where the step is captured, so that it can change between replays.
        guidance: How far the direction is moved away from the unconditional one; a tensor as ``delta``.
    """
    layout = conditioning.layout
    flows = layout.pieces(network(x, step, conditioning))
    for state, flow in zip(layout.single.pieces(x), flows, strict=True):
        direction = flow[:, :1]  # (n, rows, frames, 100) -> the conditional row, (n, 1, frames, 100)
        if layout.rows == 2:
            direction = direction + (direction - flow[:, 1:]) * guidance
        direction = direction * delta
        if layout.valid is not None:  # the network's padded frames are without meaning, the state's must stay zero
            direction = direction.masked_fill(~layout.valid[:, None, :, None], 0)
        state.add_(direction)
