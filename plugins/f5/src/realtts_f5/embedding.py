"""Time, text and spectrogram into the network's width.

Of these only the solver's state changes from step to step. The text's embedding, which looks at a whole sequence at
once, is computed at the sequence's true length in float32, once per request; so is what the input projection and the
first convolution over it, both linear, make of text and reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.dense import linear, mish
from realtts.accel.layers.positions import frequencies, time_waves
from realtts_f5.constants import MELS

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.weights.state_reader import StateReader
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

__all__ = ["FixedInput", "InputEmbedding", "TextEmbedding", "TimeEmbedding"]

_TIME_CHANNELS = 256
_TEXT_KERNEL, _TEXT_MULT = 7, 2
_KERNEL, _CONV_GROUPS = 31, 16
_POSITIONS, _UNET_POSITIONS = 8192, 4096
"""Upstream has no more, and gives later frames of a UNet the last one; here all longer sequences are treated so."""


class TimeEmbedding:
    """Times as vectors, always float32."""

    def __init__(self, weights: StateReader, name: str, dim: int) -> None:
        self._first = weights.both(f"{name}time_mlp.0", dim, _TIME_CHANNELS)
        self._second = weights.both(f"{name}time_mlp.2", dim, dim)

    def __call__(self, times: Tensor) -> Tensor:
        """Embed times, (n,) -> (n, dim)."""
        waves = time_waves(times, _TIME_CHANNELS)
        return linear(functional.silu(linear(waves, *self._first)), *self._second)


class TextEmbedding:
    """Characters as vectors at the first frames, with filler behind them; always float32.

    The filler's blocks see the whole sequence, and a norm sums over it: the result depends on the number of frames.
    """

    def __init__(self, weights: StateReader, name: str, architecture: Architecture) -> None:
        dim = architecture.text_dim
        self._masked = architecture.text_mask_padding
        self._last = (_UNET_POSITIONS if architecture.backbone == "unet" else _POSITIONS) - 1
        self._table = weights.take(f"{name}text_embed.weight", -1, dim)
        self._blocks = [_ConvNeXt(weights, f"{name}text_blocks.{n}.", dim) for n in range(architecture.conv_layers)]

    @property
    def vocabulary(self) -> int:
        """Characters that have a vector; one more is the filler's."""
        return len(self._table) - 1

    def __call__(self, ids: Tensor, frames: int, *, dropped: bool = False) -> Tensor:
        """Embed a text.

        Args:
            ids: int64 (n,), below `vocabulary`; what does not fit into the frames is cut off.
            frames: Of the sequence.
            dropped: All filler, for guidance; the text still says how far it goes.

        Returns:
            float32 (frames, text channels).
        """
        rows = ids[:frames].to(self._table.device) + 1  # row 0 is the filler's
        padded = functional.pad(rows, (0, frames - len(rows)))
        x = self._table[torch.zeros_like(padded) if dropped else padded]
        if not self._blocks:
            return x
        x = x + self._positions(frames)
        for block in [None, *self._blocks]:
            x = x if block is None else block(x)
            if self._masked:
                x[len(rows) :] = 0
        return x

    def _positions(self, frames: int) -> Tensor:
        """Compute cosines and sines of positions, (frames, text channels)."""
        dim, device = self._table.shape[1], self._table.device
        steps = frequencies(10000.0, dim, device)[: dim // 2]
        angles = torch.outer(torch.arange(frames, device=device).clamp(max=self._last).float(), steps)
        return torch.cat([angles.cos(), angles.sin()], 1)


class _ConvNeXt:
    """A block of ConvNeXt V2 (Woo et al., 2023, arXiv:2301.00808) over (frames, channels)."""

    def __init__(self, weights: StateReader, name: str, dim: int) -> None:
        wide = dim * _TEXT_MULT
        self._conv = weights.take(f"{name}dwconv.weight", dim, 1, _TEXT_KERNEL), weights.take(f"{name}dwconv.bias", dim)
        self._norm = weights.take(f"{name}norm.weight", dim), weights.take(f"{name}norm.bias", dim)
        self._up = weights.both(f"{name}pwconv1", wide, dim)
        # cloned, because offloading cannot move a view
        self._gamma, self._beta = (
            weights.take(f"{name}grn.{part}", 1, 1, wide).flatten().clone() for part in ("gamma", "beta")
        )
        self._down = weights.both(f"{name}pwconv2", dim, wide)

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the block on (frames, channels)."""
        h = functional.conv1d(x.T[None], *self._conv, padding=_TEXT_KERNEL // 2, groups=len(x.T))[0].T
        h = functional.layer_norm(h, h.shape[1:], *self._norm, eps=1e-6)
        h = functional.gelu(linear(h.contiguous(), *self._up))
        size = h.norm(p=2, dim=0)  # global response norm: over all frames of the sequence
        h = self._gamma * (h * (size / (size.mean() + 1e-6))) + self._beta + h
        return linear(h, *self._down).add_(x)


@dataclass(frozen=True)
class FixedInput:
    """What text and reference contribute to the network's input; per group of the layout, float32.

    Attributes:
        projected: (requests, rows, frames, dim).
        convolved: What the first convolution makes of it, (requests, rows, dim, frames).
    """

    projected: tuple[Tensor, ...]
    convolved: tuple[Tensor, ...]


class InputEmbedding:
    """State, reference and text as one input, with positions by two grouped convolutions.

    Made with the projection and the first convolution in float32, which text and reference go through once.

    Args:
        weights: Reader of the checkpoint's float32 part.
        name: Prefix of the embedding's tensors, with a dot at its end.
        architecture: Shape of the network.
    """

    def __init__(self, weights: StateReader, name: str, architecture: Architecture) -> None:
        self._name, self._dim = name, architecture.dim
        weight, self._bias = weights.both(f"{name}proj", self._dim, 2 * MELS + architecture.text_dim)
        self._state_weight = weight[:, :MELS].contiguous()
        self._fixed_weight = weight[:, MELS:].contiguous()
        self._first = self._read_conv(weights, 0)

    def convert(self, weights: StateReader, dtype: torch.dtype) -> None:
        """Cast the first convolution for the solver's state, and read and cast the second.

        Args:
            weights: Reader of the checkpoint's part that is cast.
            dtype: Of the convolutions and of the result; the projection stays float32.
        """
        self._dtype = dtype
        self._first_weight = self._first[0].to(dtype)
        weight, bias = self._read_conv(weights, 2)
        self._second = weight.to(dtype), bias.to(dtype)

    def fixed(self, mel: Tensor | None, text: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the part of one row that no step changes.

        Args:
            mel: Of the reference, (n, 100); None for the row without.
            text: Embedded, (frames, text channels).

        Returns:
            Projected (frames, dim) and convolved (dim, frames), float32.
        """
        reference = text.new_zeros(len(text), MELS)
        if mel is not None:
            reference[: len(mel)] = mel
        projected = linear(torch.cat([reference, text], 1), self._fixed_weight, self._bias)
        return projected, _conv(projected.T[None], *self._first)[0]

    def __call__(self, x: Tensor, fixed: FixedInput, layout: Layout) -> Tensor:
        """Embed the solver's state.

        Args:
            x: float32 (frames of one row each, 100); zero beyond a padded sequence's end.
            fixed: Of the same layout.
            layout: Of the rows.

        Returns:
            (frames of all rows, dim).
        """
        projected = linear(x, self._state_weight)
        embedded = []
        groups = zip(layout.single.pieces(projected), fixed.projected, fixed.convolved, strict=True)
        for state, fixed_projected, fixed_convolved in groups:
            # Both rows of a request have the state in common, and the convolution is linear: it is computed once.
            # (n, 1, frames, dim) -> (n, dim, frames)
            convolved = _conv(state[:, 0].transpose(1, 2).to(self._dtype), self._first_weight, None)
            h = mish(fixed_convolved + convolved[:, None]).to(self._dtype)  # (n, rows, dim, frames)
            if layout.valid is not None:  # each sequence ends in zeros, as upstream pads it
                h = h * layout.valid[:, None, None]
            h = mish(_conv(h.flatten(0, 1), *self._second))  # (n*rows, dim, frames)
            both = (fixed_projected + state).to(self._dtype).flatten(0, 1)  # (n*rows, frames, dim)
            embedded.append(both.add_(h.transpose(1, 2)).flatten(0, 1))
        return embedded[0] if len(embedded) == 1 else torch.cat(embedded)

    def _read_conv(self, weights: StateReader, index: int) -> tuple[Tensor, Tensor]:
        """Read weight and bias of one of the convolutions, which upstream numbers 0 and 2."""
        name = f"{self._name}conv_pos_embed.conv1d.{index}"
        shape = (self._dim, self._dim // _CONV_GROUPS, _KERNEL)
        return weights.take(f"{name}.weight", *shape), weights.take(f"{name}.bias", self._dim)


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (n, dim, frames) to the same shape."""
    return functional.conv1d(x, weight, bias, padding=_KERNEL // 2, groups=_CONV_GROUPS)
