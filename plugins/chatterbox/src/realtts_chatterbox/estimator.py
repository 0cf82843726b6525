"""The network inside the flow's solver: upstream's ConditionalDecoder with one level of channels.

Its convolutions look back only, and its attention sees whole sequences; so sequences lie packed with two frames of
zeros between them (`Packing`), and neither padding nor masks are needed. Sequences that are padded all the same,
because a graph's shapes are fixed, need a mask of keys and nothing else. Weights keep upstream's names (checkpoint:
``flow.decoder.estimator.*``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.bidirectional import QUERY_SCALE, attend
from realtts.accel.layers.dense import causal_conv, linear, mish, wide
from realtts.accel.layers.positions import time_waves
from realtts.accel.weights.state_reader import children
from realtts_chatterbox.constants import MELS
from realtts_chatterbox.layout import GAP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts_chatterbox.layout import Layout

    State = Mapping[str, Tensor]

__all__ = ["Estimator", "Prepared"]

_HEAD_DIM = 64
_TIME = ".mlp.1."


@dataclass(frozen=True)
class Prepared:
    """What all steps of one call share.

    Attributes:
        layout: Where the rows lie.
        conv: What the first convolution makes of the conditioning, (frames, channels).
        residual: The same for the first residual, (frames, channels).
        times: Of each residual block: what the time adds at each step, (blocks, steps, channels).
        mask: What is added to the scores of each key, (rows of all requests, 1, 1, frames): 0, or -inf for padding.
            None: nothing is padded. With one, all sequences of the packing are equally long.
    """

    layout: Layout
    conv: Tensor
    residual: Tensor
    times: Tensor
    mask: Tensor | None = None


class Estimator:
    """Predicts the direction in which the spectrogram moves.

    The first convolution and the last projection are float32 and read and write float32; all between is ``dtype``.

    Args:
        state: Upstream's tensors without prefix.
        device: Where to compute.
        dtype: Of the weights and activations inside.
        fused: Take torch's attention on the CPU too.
    """

    def __init__(self, state: State, device: torch.device, dtype: torch.dtype, *, fused: bool = False) -> None:
        self.device, self.dtype = device, dtype
        full = {name: tensor.to(device, torch.float32) for name, tensor in state.items()}
        stages = ["down_blocks.0", *(f"mid_blocks.{n}" for n in range(children(state, "mid_blocks."))), "up_blocks.0"]
        self._resnets = [_Resnet(full, f"{stage}.0.", dtype, first=not n) for n, stage in enumerate(stages)]
        self._blocks = [
            [_Block(full, f"{stage}.1.{n}.", dtype, fused) for n in range(children(state, f"{stage}.1."))]
            for stage in stages
        ]
        self._down = _Conv(full, "down_blocks.0.2.", dtype)
        self._up = _Conv(full, "up_blocks.0.2.", dtype)
        self._final = _ConvNorm(full, "final_block.block.", dtype)
        self._proj = full["final_proj.weight"].squeeze(2).detach(), full["final_proj.bias"]
        self._time_mlp = [(full[f"time_mlp.linear_{n}.weight"], full[f"time_mlp.linear_{n}.bias"]) for n in (1, 2)]
        self._mixer = full.get("time_embed_mixer.weight")
        products = (t for name, t in full.items() if t.dim() > 1 and not name.startswith("time_") and _TIME not in name)
        first = self._resnets[0]
        # what the first convolution and residual make of the conditioning is computed once for all steps
        self._products = sum(t.numel() for t in products) - first.given[0].numel() - first.given[1].numel()
        self._shared = first.conv1.weight.numel() + first.residual[0].numel()

    def flops(self, frames: int, rows: int) -> int:
        """Operations of one evaluation: products, convolutions and attention.

        Args:
            frames: Of a request, its voice's prompt included.
            rows: 2 with guidance, which the first layer does not tell apart; else 1.
        """
        products = 2 * frames * (rows * (self._products - self._shared) + self._shared)
        width = sum(block.width for blocks in self._blocks for block in blocks)
        return products + rows * 4 * width * frames * frames

    @property
    def bytes_read(self) -> int:
        """What an evaluation has to read of the weights at least."""
        return self._products * self.dtype.itemsize

    @property
    def bins(self) -> int:
        """Width of the solver's state."""
        return len(self._proj[1])

    @property
    def meanflow(self) -> bool:
        """Whether it was trained to be told the end of its step too (Turbo)."""
        return self._mixer is not None

    def prepared(self, layout: Layout, conditioning: Tensor, times: Tensor) -> Prepared:
        """Compute what does not depend on the solver's state.

        Args:
            layout: Of the rows: two for each request with guidance, of which the second is unconditional.
            conditioning: mu, speaker and prompt, zero in the gaps, float32 (frames of one row each, 240).
            times: Of the solver, float32 (steps + 1,), from 0 to 1.
        """
        conditional, frames = layout.rows[0], layout.packing.frames
        embedded = self._embedded(times)
        first = self._resnets[0]
        fixed = [bias.expand(frames, -1).clone() for bias in (first.conv1.bias, first.residual[1])]
        fixed[0][conditional] += causal_conv(conditioning, first.given[0], None)
        fixed[1][conditional] += linear(conditioning, first.given[1])
        moved = torch.stack([linear(embedded, *resnet.time) for resnet in self._resnets])
        return Prepared(layout, fixed[0], fixed[1], moved.to(self.dtype))

    def __call__(self, x: Tensor, step: int, prepared: Prepared) -> Tensor:
        """One evaluation.

        Args:
            x: The solver's state, zero in the gaps, float32 (frames of one row each, 80).
            step: Which of the prepared times.
            prepared: For this batch.

        Returns:
            float32 (frames of all rows, 80); without meaning in gaps and padding.
        """
        gaps = prepared.layout.gaps
        h = self._first(x, step, prepared)
        skip = h = self._attended(0, h, prepared)
        h = self._down(h, gaps)
        for index in range(1, len(self._resnets) - 1):
            h = self._resnets[index](h, prepared.times[index, step], gaps)
            h = self._attended(index, h, prepared)
        h = self._resnets[-1](torch.cat([h, skip], 1), prepared.times[-1, step], gaps)
        h = self._attended(-1, h, prepared)
        h = self._final(self._up(h, gaps), gaps)
        return linear(h.float(), *self._proj)

    def _first(self, x: Tensor, step: int, prepared: Prepared) -> Tensor:
        """The first residual block: linear in its inputs, so only the state's part is computed at each step."""
        first = self._resnets[0]
        source = prepared.layout.source
        h = causal_conv(x, first.conv1.weight, None)[source].add_(prepared.conv)
        residual = linear(x, first.residual[0])[source].add_(prepared.residual)
        h = first.conv1.activated(h.to(self.dtype)).add_(prepared.times[0, step])
        return first.conv2(h, prepared.layout.gaps).add_(residual.to(self.dtype))

    def _attended(self, stage: int, x: Tensor, prepared: Prepared) -> Tensor:
        for block in self._blocks[stage]:
            x = block(x, prepared)
        return x

    def _embedded(self, times: Tensor) -> Tensor:
        """Time embeddings of all steps, float32 (steps, time channels)."""
        embedded = self._time(times[:-1])
        if self._mixer is not None:
            embedded = linear(torch.cat([embedded, self._time(times[1:])], 1), self._mixer)
        return functional.mish(embedded)  # the first thing each residual block does with it

    def _time(self, times: Tensor) -> Tensor:
        waves = time_waves(times, self._time_mlp[0][0].shape[1])
        return linear(functional.silu(linear(waves, *self._time_mlp[0])), *self._time_mlp[1])


class _Conv:
    """A causal convolution of three frames."""

    def __init__(self, state: State, name: str, dtype: torch.dtype) -> None:
        self.weight, self.bias = wide(state[f"{name}weight"].to(dtype)), state[f"{name}bias"].to(dtype)

    def __call__(self, x: Tensor, gaps: Tensor) -> Tensor:
        return causal_conv(x.index_fill_(0, gaps, 0), self.weight, self.bias)


class _ConvNorm(_Conv):
    """A causal convolution, a norm over the channels and Mish."""

    def __init__(self, state: State, name: str, dtype: torch.dtype, norm_dtype: torch.dtype | None = None) -> None:
        super().__init__(state, f"{name}0.", dtype)
        self._norm = state[f"{name}2.weight"].to(norm_dtype or dtype), state[f"{name}2.bias"].to(norm_dtype or dtype)

    def __call__(self, x: Tensor, gaps: Tensor) -> Tensor:
        return self.activated(super().__call__(x, gaps))

    def activated(self, x: Tensor) -> Tensor:
        return mish(functional.layer_norm(x, x.shape[1:], *self._norm))


class _Resnet:
    """Two convolutions with the time between them, and a residual; the first one's stay float32, in two parts."""

    def __init__(self, state: State, name: str, dtype: torch.dtype, *, first: bool) -> None:
        outer = torch.float32 if first else dtype
        self.conv1 = _ConvNorm(state, f"{name}block1.block.", outer, dtype)
        self.conv2 = _ConvNorm(state, f"{name}block2.block.", dtype)
        self.time = state[f"{name}mlp.1.weight"], state[f"{name}mlp.1.bias"]
        weight = state[f"{name}res_conv.weight"].squeeze(2).to(outer).detach()
        self.residual = weight, state[f"{name}res_conv.bias"].to(outer)
        if first:
            whole = state[f"{name}block1.block.0.weight"]
            self.given = wide(whole[:, MELS:]), weight[:, MELS:].contiguous()
            self.conv1.weight = wide(whole[:, :MELS])
            self.residual = weight[:, :MELS].contiguous(), self.residual[1]

    def __call__(self, x: Tensor, time: Tensor, gaps: Tensor) -> Tensor:
        h = self.conv1(x, gaps).add_(time)
        return self.conv2(h, gaps).add_(linear(x, *self.residual))


class _Block:
    """Attention and a feed-forward network, each behind a norm.

    Attributes:
        width: Of the queries of all heads.
    """

    def __init__(self, state: State, name: str, dtype: torch.dtype, fused: bool) -> None:
        self._fused = fused
        q, k, v = (state[f"{name}attn1.to_{part}.weight"] for part in "qkv")
        self.width, self._heads = len(q), len(q) // _HEAD_DIM
        self._qkv = torch.cat([q * (QUERY_SCALE / math.sqrt(_HEAD_DIM)), k, v]).to(dtype)
        pairs = [(f"{name}{part}.weight", f"{name}{part}.bias") for part in _PARTS]
        found = [(state[weight].to(dtype), state[bias].to(dtype)) for weight, bias in pairs]
        self._norm1, self._out, self._norm3, self._up, self._down = found

    def __call__(self, x: Tensor, prepared: Prepared) -> Tensor:
        qkv = linear(functional.layer_norm(x, x.shape[1:], *self._norm1), self._qkv)
        x = linear(self._mixed(qkv, prepared), *self._out).add_(x)
        h = functional.gelu(linear(functional.layer_norm(x, x.shape[1:], *self._norm3), *self._up))
        return linear(h, *self._down).add_(x)

    def _mixed(self, qkv: Tensor, prepared: Prepared) -> Tensor:
        """Attention within each sequence, (frames, heads * width)."""
        packing, mask, width = prepared.layout.packing, prepared.mask, self._heads * _HEAD_DIM
        out = qkv.new_empty(len(qkv), width)
        # masked sequences are all equally long: one call does them all
        spans = packing.spans if mask is None else packing.spans[:1]
        rows = packing.rows if mask is None else len(mask)
        for begin, length in spans:
            part = slice(begin, begin + rows * (length + GAP))
            split = qkv[part].view(rows, length + GAP, 3, self._heads, _HEAD_DIM)[:, :length]
            q, k, v = split.permute(2, 0, 3, 1, 4)
            sequence = out[part].view(rows, length + GAP, width)
            sequence[:, :length] = attend(q, k, v, fused=self._fused, mask=mask)
            sequence[:, length:] = 0
        return out


_PARTS = ("norm1", "attn1.to_out.0", "norm3", "ff.net.0.proj", "ff.net.2")
