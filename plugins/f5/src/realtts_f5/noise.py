"""Where the solver starts: noise of a chunk by its seed and number alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.kit.seeds import piece_seed
from realtts_f5.constants import MELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["chunk_noise", "chunk_seed"]


def chunk_seed(seed: int, index: int) -> int:
    """Return the seed of a chunk: of the first the request's, so that one chunk is what upstream makes of that seed.

    Args:
        seed: Of the request, 0 to 2**63 - 1.
        index: Of the chunk in the text, from 0.
    """
    return piece_seed(seed, index, "f5")


def chunk_noise(seed: int, index: int, frames: int) -> Tensor:
    """Draw the noise that a chunk begins as, float32 of shape (frames, 100) on the CPU.

    It depends neither on other chunks nor on threads, batches or the device, and it is the noise that upstream's
    ``CFM.sample(seed=...)`` draws on the CPU for `chunk_seed`. No generator of the process is touched.

    Args:
        seed: Of the request.
        index: Of the chunk in the text.
        frames: Of recording and speech together.
    """
    generator = torch.Generator().manual_seed(chunk_seed(seed, index))
    return torch.randn(frames, MELS, generator=generator)
