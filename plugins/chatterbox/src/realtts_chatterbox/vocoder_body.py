"""The vocoder's convolutions: upstream's HiFTGenerator without its source and its Fourier transforms.

They look both ways and expect zeros behind the end. In a padded sequence (`realtts_chatterbox.vocoder_graphs`) the
samples right behind the end are set to zero after each convolution, as many as the next one sees: its output for true
samples is then the same as without padding. The samples behind those are arbitrary.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    State = Mapping[str, Tensor]

__all__ = ["Body", "Resolution", "Zeros", "pair"]

_UPS = (8, 5, 3)
_DILATIONS = (1, 3, 5)
_RESBLOCKS = 3


class Resolution(NamedTuple):
    """The time resolution at one place of the network.

    Attributes:
        samples: Samples of a frame.
        extra: Samples beside those of the frames.
        reach: How many samples behind the end the convolutions see that read the sequence here.
    """

    samples: int
    extra: int
    reach: int


class Zeros:
    """Sets the samples right behind the end of a padded sequence to zero.

    Args:
        frames: Length of the sequence, int64 (), on the device: a graph is captured for any length.
        resolutions: The network's.
    """

    def __init__(self, frames: Tensor, resolutions: Sequence[Resolution]) -> None:
        self._behind = [
            torch.arange(extra, extra + reach, device=frames.device) + samples * frames
            for samples, extra, reach in resolutions
        ]

    def __call__(self, x: Tensor, index: int) -> Tensor:
        """Change a tensor (1, channels, samples) of the resolution ``index`` in place, and return it."""
        return x.index_fill_(2, self._behind[index], 0)


class Body:
    """From a mel spectrogram and the spectrum of the source to the spectrum of the samples.

    Args:
        state: Upstream's tensors without ``mel2wav.``, weight norm folded, on the device.

    Attributes:
        bins: Bands of the mel spectrogram.
        resolutions: The frames', then one after each upsampling.
        flops_per_frame: Floating-point operations of the convolutions for one frame.
    """

    def __init__(self, state: State) -> None:
        self._pre, self._post = pair(state, "conv_pre"), pair(state, "conv_post")
        self.bins = self._pre[0].shape[1]
        stages = range(len(_UPS))
        self._ups = [pair(state, f"ups.{n}") for n in stages]
        self._source_downs = [pair(state, f"source_downs.{n}") for n in stages]
        self._source_blocks = [_ResBlock(state, f"source_resblocks.{n}.") for n in stages]
        self._blocks = [
            [_ResBlock(state, f"resblocks.{n * _RESBLOCKS + m}.") for m in range(_RESBLOCKS)] for n in stages
        ]
        self.resolutions = self._resolutions()
        self.flops_per_frame = 2 * self._products()

    @property
    def slack(self) -> int:
        """Frames that a padded sequence must have behind it."""
        return max(-(-reach // samples) for samples, _, reach in self.resolutions)

    def __call__(self, mel: Tensor, excitation: Tensor, zeros: Zeros | None = None) -> Tensor:
        """Compute log magnitudes and angles for the inverse transform, float32 (1, 18, 120 * frames + 1).

        Args:
            mel: float32 (80, frames).
            excitation: The source's spectrum, real and imaginary parts, float32 (1, 18, 120 * frames + 1).
            zeros: For input that is padded with zeros; None: it is not padded.
        """
        x = _ended(functional.conv1d(mel[None], *self._pre, padding=3), zeros, 0)
        for index, up in enumerate(_UPS):
            x = self._stage(index, up, functional.leaky_relu_(x, 0.1), excitation, zeros)
        return functional.conv1d(functional.leaky_relu_(x), *self._post, padding=3)

    def _stage(self, index: int, up: int, x: Tensor, excitation: Tensor, zeros: Zeros | None) -> Tensor:
        weight, bias = self._ups[index]
        # (1, c, n) -> (1, c / 2, up * n)
        x = functional.conv_transpose1d(x, weight, bias, stride=up, padding=(weight.shape[2] - up) // 2)
        if index == len(_UPS) - 1:
            x = torch.cat([x[:, :, 1:2], x], 2)  # the transform has one frame more than hops
        lowered = _ended(self._lowered(index, excitation), zeros, index + 1)
        x = _ended(x.add_(self._source_blocks[index](lowered, zeros, index + 1)), zeros, index + 1)
        total = self._blocks[index][0](x, zeros, index + 1)
        for block in self._blocks[index][1:]:
            total = total.add_(block(x, zeros, index + 1))
        return total.div_(_RESBLOCKS)

    def _lowered(self, index: int, excitation: Tensor) -> Tensor:
        weight, bias = self._source_downs[index]
        stride = math.prod(_UPS[index + 1 :])
        return functional.conv1d(excitation, weight, bias, stride=stride, padding=stride // 2 if stride > 1 else 0)

    def _products(self) -> int:
        """Count the multiplications for a frame: each weight once for each output sample, of upsamplings input."""
        total, before = self._pre[0].numel(), 1
        for index, up in enumerate(_UPS):
            blocks = (self._source_blocks[index], *self._blocks[index])
            products = self._source_downs[index][0].numel() + sum(block.products for block in blocks)
            total += before * (self._ups[index][0].numel() + up * products)
            before *= up
        return int(total + before * self._post[0].numel())

    def _resolutions(self) -> list[Resolution]:
        ahead = [(weight.shape[2] - up) // 2 // up + 1 for up, (weight, _) in zip(_UPS, self._ups, strict=True)]
        resolutions = [Resolution(1, 0, max(self._pre[0].shape[2] // 2, ahead[0]))]
        for index in range(len(_UPS)):
            last = index == len(_UPS) - 1
            reach = max(block.reach for block in (self._source_blocks[index], *self._blocks[index]))
            following = self._post[0].shape[2] // 2 if last else ahead[index + 1]
            resolutions.append(Resolution(math.prod(_UPS[: index + 1]), int(last), max(reach, following)))
        return resolutions


class _ResBlock:
    """Three pairs of convolutions with residuals, each behind a Snake activation (arXiv:2006.08195)."""

    def __init__(self, state: State, name: str) -> None:
        self._pairs = [
            (pair(state, f"{name}convs1.{n}"), pair(state, f"{name}convs2.{n}")) for n in range(len(_DILATIONS))
        ]
        self._alphas = [
            tuple(_snake_weights(state[f"{name}activations{m}.{n}.alpha"]) for m in (1, 2))
            for n in range(len(_DILATIONS))
        ]

    @property
    def products(self) -> int:
        """Number of multiplications for a sample."""
        return sum(weight.numel() for pairs in self._pairs for weight, _ in pairs)

    @property
    def reach(self) -> int:
        """Number of samples on either side that its widest convolution sees."""
        return int(max(_DILATIONS) * (self._pairs[0][0][0].shape[2] - 1) // 2)

    def __call__(self, x: Tensor, zeros: Zeros | None, index: int) -> Tensor:
        for dilation, (first, second), (alpha, beta) in zip(_DILATIONS, self._pairs, self._alphas, strict=True):
            h = _ended(_conv(_snake(x, *alpha), first, dilation), zeros, index)
            x = _ended(_conv(_snake(h, *beta), second, 1).add_(x), zeros, index)
        return x


def pair(state: State, name: str) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a layer."""
    return state[f"{name}.weight"], state[f"{name}.bias"]


def _ended(x: Tensor, zeros: Zeros | None, index: int) -> Tensor:
    return x if zeros is None else zeros(x, index)


def _conv(x: Tensor, weights: tuple[Tensor, Tensor], dilation: int) -> Tensor:
    return functional.conv1d(x, *weights, dilation=dilation, padding=dilation * (weights[0].shape[2] - 1) // 2)


def _snake_weights(alpha: Tensor) -> tuple[Tensor, Tensor]:
    alpha = alpha[:, None].contiguous().detach()
    return alpha, 1.0 / (alpha + 1e-9)


def _snake(x: Tensor, alpha: Tensor, inverse: Tensor) -> Tensor:
    """Compute ``x + sin(alpha x) ** 2 / alpha``, (1, channels, n)."""
    return torch.addcmul(x, (x * alpha).sin_().square_(), inverse)
