"""Mel spectrograms to samples: Vocos (Siuzdak, 2023, arXiv:2306.00814), always in float32.

Weights keep upstream's names (``backbone.*``, ``head.*``); the class is fixed, none that a file names is made.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.dense import linear
from realtts.accel.weights.state_reader import StateReader, children
from realtts.accel.weights.tensorfile import shapes_of
from realtts_f5.constants import FFT, HOP, MELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["Vocoder"]

_KERNEL = 7
_LOUDEST = 1e2
_LAYERS = "backbone.convnext."


class Vocoder:
    """The vocoder of one checkpoint; without state, so requests can share it.

    Args:
        state: Upstream's tensors by upstream's names; width and depth are read off them.
        device: Where to compute.
        who: Named by errors.

    Raises:
        CheckpointMismatch: A tensor is missing, misshapen or unknown.
    """

    def __init__(self, state: Mapping[str, Tensor], device: torch.device, who: str = "vocoder") -> None:
        self.device = device
        weights = StateReader(state, who, device)
        embedding = weights.take("backbone.embed.weight", -1, MELS, _KERNEL)
        dim = len(embedding)
        self._embed = embedding, weights.take("backbone.embed.bias", dim)
        self._norm = weights.both("backbone.norm", dim)
        self._blocks = [_Block(weights, f"{_LAYERS}{n}.", dim) for n in range(children(state, _LAYERS))]
        self._last = weights.both("backbone.final_layer_norm", dim)
        self._out = weights.both("head.out", FFT + 2, dim)
        shapes = [shape for shape in shapes_of(state).values() if len(shape) > 1]
        self._products = sum(math.prod(shape) for shape in shapes)
        stored = "head.istft.window" in state  # files may leave it out, because it follows from its size
        self._window = weights.take("head.istft.window", FFT) if stored else torch.hann_window(FFT, device=device)
        for part in ("backbone.", "head."):
            weights.finish(part)

    def flops(self, frames: int) -> int:
        """Count the operations of the convolutions and products for so many frames."""
        return 2 * self._products * frames

    @property
    def bytes_read(self) -> int:
        """Bytes of the weights that every call reads."""
        return 4 * self._products

    @property
    def context(self) -> int:
        """Frames on either side on which a frame's samples depend, the overlap of its windows included."""
        return (_KERNEL // 2) * (1 + len(self._blocks)) + FFT // HOP // 2

    @torch.inference_mode()
    def samples(self, mel: Tensor) -> Tensor:
        """Compute a whole chunk.

        Args:
            mel: (frames, 100), two frames or more.

        Returns:
            float32 (256 * (frames - 1),), 24 kHz.
        """
        channels = mel.to(self.device, torch.float32).T[None]  # (frames, 100) -> (1, 100, frames)
        x = functional.conv1d(channels, *self._embed, padding=_KERNEL // 2)[0].T  # (frames, dim)
        x = functional.layer_norm(x, x.shape[1:], *self._norm, eps=1e-6)
        for block in self._blocks:
            x = block(x)
        x = linear(functional.layer_norm(x, x.shape[1:], *self._last, eps=1e-6), *self._out)
        size, phase = x.T.chunk(2)  # (frames, 1026) -> twice (513, frames)
        spectrum = torch.polar(size.exp().clamp_(max=_LOUDEST), phase.contiguous())
        samples: Tensor = torch.istft(spectrum, FFT, HOP, FFT, self._window, center=True)
        return samples


class _Block:
    """A ConvNeXt block (Liu et al., 2022, arXiv:2201.03545) over (frames, channels)."""

    def __init__(self, weights: StateReader, name: str, dim: int) -> None:
        self._conv = weights.take(f"{name}dwconv.weight", dim, 1, _KERNEL), weights.take(f"{name}dwconv.bias", dim)
        self._norm = weights.both(f"{name}norm", dim)
        up = weights.take(f"{name}pwconv1.weight", -1, dim)
        self._up = up, weights.take(f"{name}pwconv1.bias", len(up))
        down, bias = weights.both(f"{name}pwconv2", dim, len(up))
        gamma = weights.take(f"{name}gamma", dim)
        self._down = down * gamma[:, None], bias * gamma  # the branch's scale, folded into its last product

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the block on (frames, channels)."""
        h = functional.conv1d(x.T[None], *self._conv, padding=_KERNEL // 2, groups=len(x.T))[0].T
        h = functional.layer_norm(h, h.shape[1:], *self._norm, eps=1e-6)
        return linear(functional.gelu(linear(h, *self._up)), *self._down).add_(x)
