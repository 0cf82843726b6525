"""The network inside the flow's solver: upstream's ConditionalDecoder with one level of channels.

Its convolutions look back only, and its attention sees whole sequences; so sequences lie packed with two frames of
zeros between them (`Packing`), and neither padding nor masks are needed. Sequences that are padded all the same,
because a graph's shapes are fixed, need a mask of keys and nothing else. Weights keep upstream's names (checkpoint:
``flow.decoder.estimator.*``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.dense import causal_conv, linear
from realtts.accel.layers.positions import time_waves
from realtts.accel.weights.state_reader import children
from realtts.accel.weights.tensorfile import shapes_of
from realtts_chatterbox import estimator_parts, estimator_rows
from realtts_chatterbox.estimator_joined import JoinedLayers
from realtts_chatterbox.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts_chatterbox.layout import Layout

    State = Mapping[str, Tensor]

__all__ = ["Estimator"]

_TIME = ".mlp.1."


class Estimator:
    """Predicts the velocity of the spectrogram along the flow.

    The first convolution and the last projection are float32, and so are input and output: rounding there would be
    heard. Everything between is in ``dtype``.

    Args:
        state: Upstream's tensors without prefix; each is read once, and cast before the next one.
        device: Where to compute.
        dtype: Of the weights and activations inside.
        attention: What computes it, as `realtts.accel.layers.flow_rungs.attention_kernel` says.
        rounded: Multiply int8 weights by int8 activations; ``dtype`` is float32 then.

    Attributes:
        device: Where to compute.
        dtype: Of the activations inside.
        rounded: Whether products are of int8 weights and activations.
    """

    def __init__(
        self,
        state: State,
        device: torch.device,
        dtype: torch.dtype,
        *,
        attention: str = "own",
        rounded: bool = False,
    ) -> None:
        self.device, self.dtype, self.rounded = device, dtype, rounded
        parts = estimator_rows if rounded else estimator_parts

        def read(name: str) -> Tensor:
            return state[name].to(device, torch.float32)

        stages = ["down_blocks.0", *(f"mid_blocks.{n}" for n in range(children(state, "mid_blocks."))), "up_blocks.0"]
        self._resnets: list[estimator_parts.Resnet] = [
            parts.Resnet(read, f"{stage}.0.", dtype, first=not n) for n, stage in enumerate(stages)
        ]
        self._blocks: list[list[estimator_parts.Block | estimator_rows.Block]] = [
            [parts.Block(read, f"{stage}.1.{n}.", dtype, attention) for n in range(children(state, f"{stage}.1."))]
            for stage in stages
        ]
        self._down = parts.Conv(read, "down_blocks.0.2.", dtype)
        self._up = parts.Conv(read, "up_blocks.0.2.", dtype)
        self._final: estimator_parts.ConvNorm | estimator_rows.ConvNorm = parts.ConvNorm(
            read, "final_block.block.", dtype
        )
        # `detach` drops the view's base, so that offloading can give the tensor other memory.
        self._proj = read("final_proj.weight").squeeze(2).detach(), read("final_proj.bias")
        self._time_mlp = [(read(f"time_mlp.linear_{n}.weight"), read(f"time_mlp.linear_{n}.bias")) for n in (1, 2)]
        self._mixer = read("time_embed_mixer.weight") if "time_embed_mixer.weight" in state else None
        first = self._resnets[0]
        # The part of the first convolution and residual that reads the conditioning is computed once for all steps.
        self._products = _multiplications(state) - first.conditioning[0].numel() - first.conditioning[1].numel()
        self._shared = first.conv1.weight.numel() + first.residual[0].numel()
        self._joined: JoinedLayers | None = None

    def join(self) -> None:
        """Run what is between the products by `realtts.accel.fused` from now on; not where they are rounded."""
        assert not self.rounded
        blocks = [[block for block in stage if isinstance(block, estimator_parts.Block)] for stage in self._blocks]
        assert isinstance(self._final, estimator_parts.ConvNorm)
        self._joined = JoinedLayers(
            self._resnets, blocks, down=self._down, up=self._up, final=self._final, proj=self._proj
        )

    @property
    def joined(self) -> bool:
        """Whether that is so."""
        return self._joined is not None

    def flops(self, frames: int, rows: int) -> int:
        """Return the floating-point operations of one evaluation: products, convolutions and attention.

        Args:
            frames: Of a request, its voice's prompt included.
            rows: 2 with guidance, else 1; the first layer is the same for both and counted once.
        """
        products = 2 * frames * (rows * (self._products - self._shared) + self._shared)
        width = sum(block.width for blocks in self._blocks for block in blocks)
        return products + rows * 4 * width * frames * frames

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that an evaluation reads at least."""
        return self._products * (1 if self.rounded else self.dtype.itemsize)

    @property
    def bins(self) -> int:
        """Width of the solver's state."""
        return len(self._proj[1])

    @property
    def meanflow(self) -> bool:
        """Whether it was trained as a mean flow (Turbo), which is given the end of its step too."""
        return self._mixer is not None

    def prepared(self, layout: Layout, conditioning: Tensor, times: Tensor) -> Prepared:
        """Compute everything that does not depend on the solver's state.

        Args:
            layout: Of the rows: two for each request with guidance, of which the second is unconditional.
            conditioning: mu, speaker and prompt, zero in the gaps, float32 (frames of one row each, 240).
            times: Of the solver, float32 (steps + 1,), from 0 to 1.
        """
        conditional, frames = layout.rows[0], layout.packing.frames
        embedded = self._embedded(times)
        first = self._resnets[0]
        fixed = [bias.expand(frames, -1).clone() for bias in (first.conv1.bias, first.residual[1])]
        fixed[0][conditional] += causal_conv(conditioning, first.conditioning[0], None)
        fixed[1][conditional] += linear(conditioning, first.conditioning[1])
        moved = torch.stack([linear(embedded, *resnet.time) for resnet in self._resnets])
        return Prepared(layout, fixed[0], fixed[1], moved.to(self.dtype), silent=self._silent(layout))

    def _silent(self, layout: Layout) -> Tensor | None:
        if self._joined is None:
            return None
        silent = torch.zeros(layout.packing.frames, dtype=torch.bool, device=self.device)
        return silent.index_fill_(0, layout.gaps, True)

    def __call__(self, x: Tensor, step: int, prepared: Prepared) -> Tensor:
        """Evaluate the velocity at one time.

        Args:
            x: The solver's state, zero in the gaps, float32 (frames of one row each, 80).
            step: Index of the prepared time.
            prepared: For this batch.

        Returns:
            float32 (frames of all rows, 80); without meaning in gaps and padding.
        """
        if self._joined is not None:
            return self._joined(x, step, prepared)
        gaps = prepared.layout.gaps
        h = self._first(x, step, prepared)
        skip = h = self._attended(0, h, prepared)
        h = self._down(h, gaps)
        for index in range(1, len(self._resnets) - 1):
            h = self._resnets[index](h, prepared.times[index, step], gaps)
            h = self._attended(index, h, prepared)
        h = self._resnets[-1](torch.cat([h, skip], 1), prepared.times[-1, step], gaps)  # (frames, 2 c) -> (frames, c)
        h = self._attended(-1, h, prepared)
        h = self._final(self._up(h, gaps), gaps)
        return linear(h.float(), *self._proj)

    def _first(self, x: Tensor, step: int, prepared: Prepared) -> Tensor:
        """Run the first residual block; it is linear in its inputs, so a step computes the state's part alone."""
        first = self._resnets[0]
        source = prepared.layout.source  # both rows of a request read the same state
        h = causal_conv(x, first.conv1.weight, None)[source].add_(prepared.conv)
        residual = linear(x, first.residual[0])[source].add_(prepared.residual)
        h = first.conv1.activated(h.to(self.dtype)).add_(prepared.times[0, step])
        return first.end(h, residual.to(self.dtype), prepared.layout.gaps)

    def _attended(self, stage: int, x: Tensor, prepared: Prepared) -> Tensor:
        for block in self._blocks[stage]:
            x = block(x, prepared)
        return x

    def _embedded(self, times: Tensor) -> Tensor:
        """Embed the times of all steps, float32 (steps, time channels)."""
        embedded = self._time(times[:-1])
        if self._mixer is not None:
            embedded = linear(torch.cat([embedded, self._time(times[1:])], 1), self._mixer)
        return functional.mish(embedded)  # the first thing each residual block does with it

    def _time(self, times: Tensor) -> Tensor:
        waves = time_waves(times, self._time_mlp[0][0].shape[1])
        return linear(functional.silu(linear(waves, *self._time_mlp[0])), *self._time_mlp[1])


def _multiplications(state: State) -> int:
    """Count the weights that are multiplied by at every step; those of the time are used once for all steps."""
    shapes = shapes_of(state)
    used = (name for name in shapes if not name.startswith("time_") and _TIME not in name)
    return sum(math.prod(shapes[name]) for name in used if len(shapes[name]) > 1)
