"""Memory that several graphs read and write, one of them at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["SharedMemory"]


class SharedMemory:
    """Static tensors of graphs that never run one between two steps of another: they lie in the same place.

    Ask for the largest first; what is larger than all before gets memory of its own, since that of captured graphs
    cannot move.

    Args:
        device: Where they lie.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._blocks: dict[tuple[str, torch.dtype], Tensor] = {}

    def take(self, name: str, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Return a tensor of a shape, whose values may be those of another's of the same name and type."""
        size = math.prod(shape)
        block = self._blocks.get((name, dtype))
        if block is None or block.numel() < size:
            block = self._blocks[name, dtype] = torch.zeros(size, dtype=dtype, device=self._device)
        return block[:size].view(*shape)
