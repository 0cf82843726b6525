"""The flow's estimator with `realtts.accel.fused` between its products: norms where the sums before them are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.dense import causal_conv, linear
from realtts_chatterbox.estimator_parts import with_gaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts_chatterbox.estimator_parts import Block, Conv, ConvNorm, Resnet
    from realtts_chatterbox.prepared import Prepared

__all__ = ["JoinedLayers"]


class JoinedLayers:
    """The same layers as `realtts_chatterbox.estimator.Estimator` has, in fewer launches.

    Gaps are silent wherever a convolution reads.

    Args:
        resnets: Residual blocks, one a stage.
        blocks: Transformer blocks behind each of them.
        down: Convolution behind the first stage.
        up: Convolution behind the last one.
        final: The last convolution with norm and activation.
        proj: Weight and bias of the last projection, float32.
    """

    def __init__(
        self,
        resnets: Sequence[Resnet],
        blocks: Sequence[Sequence[Block]],
        *,
        down: Conv,
        up: Conv,
        final: ConvNorm,
        proj: tuple[Tensor, Tensor],
    ) -> None:
        self._resnets, self._blocks = resnets, blocks
        self._down, self._up, self._final, self._proj = down, up, final, proj

    def __call__(self, x: Tensor, step: int, prepared: Prepared) -> Tensor:
        """Evaluate the velocity, as `Estimator.__call__`."""
        silent, times, gaps = prepared.silent, prepared.times, prepared.layout.gaps
        keys = None if prepared.mask is None else with_gaps(prepared.mask)
        first, source = self._resnets[0], prepared.layout.source
        h = causal_conv(x, first.conv1.weight, None)[source].add_(prepared.conv)
        residual = linear(x, first.residual[0])[source].add_(prepared.residual)
        h = first.joined(h, residual, times[0, step], silent)
        skip = h = self._attended(0, h, prepared, keys)
        h = self._down.convolved(h)
        for index in range(1, len(self._resnets)):
            if index == len(self._resnets) - 1:
                h = torch.cat([h, skip], 1)
            resnet = self._resnets[index]
            if index == 1:  # what a convolution gives in the gaps is not silent, as what blocks give is
                h = h.index_fill_(0, gaps, 0)
            h = resnet.joined(resnet.conv1.convolved(h), linear(h, *resnet.residual), times[index, step], silent)
            h = self._attended(index, h, prepared, keys)
        h = self._up.convolved(h).index_fill_(0, gaps, 0)
        h = self._final.joined(self._final.convolved(h))
        return linear(h.float(), *self._proj)

    def _attended(self, stage: int, x: Tensor, prepared: Prepared, keys: Tensor | None) -> Tensor:
        """Run the blocks of a stage; the gaps of what comes out are silent."""
        blocks = self._blocks[stage]
        h = functional.layer_norm(x, x.shape[1:], *blocks[0].first_norm)
        for index, block in enumerate(blocks):
            after = blocks[index + 1] if index + 1 < len(blocks) else None
            x, h = block.joined(x, h, after, prepared, keys)
        return x
