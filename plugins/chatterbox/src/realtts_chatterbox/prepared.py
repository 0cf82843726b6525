"""What the estimator computes once for all steps of a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from realtts_chatterbox.layout import Layout

__all__ = ["Prepared"]


@dataclass(frozen=True)
class Prepared:
    """What all solver steps of one call share, computed once.

    Attributes:
        layout: Where the rows lie.
        conv: The first convolution of the conditioning, (frames, channels).
        residual: The first residual projection of the conditioning, (frames, channels).
        times: What the time adds in each residual block at each step, (blocks, steps, channels).
        mask: Added to the attention scores of each key, (rows of all requests, 1, 1, frames): 0, or -inf for padding.
            None: nothing is padded. With a mask, all sequences of the packing are equally long.
        silent: bool (frames,): frames of the gaps, for `realtts_chatterbox.estimator_joined`; else None.
    """

    layout: Layout
    conv: Tensor
    residual: Tensor
    times: Tensor
    mask: Tensor | None = None
    silent: Tensor | None = None
