"""The work of the codec's decoder for a frame, computed from the shapes of its tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["frame_work"]


def frame_work(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    """Count the weights of all products and convolutions, and the multiplications by them for a frame.

    A weight is used once for each sample that its layer makes; in a transposed convolution, for each that it reads.
    Attention over the window of frames is little beside them and left out.

    Args:
        config: ``decoder_config``, complete.
        shapes: Shapes of the decoder's tensors.
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items() if len(shape) > 1 and _is_multiplied(name)}
    return sum(sizes.values()), sum(size * _samples(name, config) for name, size in sizes.items())


def _is_multiplied(name: str) -> bool:
    """Check whether a tensor is multiplied by: codebooks are indexed, and input projections are for encoding only."""
    return not name.startswith("quantizer.") or name.endswith("output_proj.weight")


def _samples(name: str, config: Mapping[str, Any]) -> int:
    """Return how often the layer of a tensor computes for a frame."""
    part, *rest = name.split(".")
    ratios, rates = ([int(n) for n in config[key]] for key in ("upsampling_ratios", "upsample_rates"))
    if part == "upsample":  # a transposed convolution, then a network at its rate
        return math.prod(ratios[: int(rest[0]) + int(rest[1] != "0")])
    if part != "decoder":
        return 1
    stage = int(rest[0])  # a convolution, blocks that begin with a transposed one, Snake, a convolution
    goes_up = rest[1:3] == ["block", "1"]
    return math.prod(ratios) * math.prod(rates[: stage - 1 if goes_up else stage])
