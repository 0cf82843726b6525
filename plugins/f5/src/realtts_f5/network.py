"""F5-TTS's and E2-TTS's networks without what upstream's computes anew at every step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.graphs.shared import SharedMemory
from realtts.accel.kernels import DenseLayers
from realtts.accel.kernels.rows import RowLayers
from realtts.accel.weights.state_reader import StateReader
from realtts.accel.weights.tensorfile import Tensors
from realtts_f5.attention import rotary_tables
from realtts_f5.configurations import FIX
from realtts_f5.dit import DiT
from realtts_f5.embedding import FixedInput, InputEmbedding, TextEmbedding, TimeEmbedding
from realtts_f5.layout import frames_of, packed, padded
from realtts_f5.sizes import COMPUTED
from realtts_f5.unet import UNetT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts_f5.dit import Compiler
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

__all__ = ["Conditioning", "Item", "Network"]

_PREFIX = "transformer."

_CAST = re.compile(
    r"transformer\.(transformer_blocks\.\d+\.(attn|ff)\.|layers\.|input_embed\.conv_pos_embed\.conv1d\.2\.)"
)
"""Names of the tensors that are cast to the rung's type; all others are float32 on every rung."""


@dataclass(frozen=True)
class Item:
    """One chunk of text to be spoken.

    Attributes:
        mel: Of the reference, float32 (n, 100), fewer frames than ``frames``.
        ids: Characters of the reference's text and of the chunk, int64 (n,).
        frames: Reference and speech together; by upstream's rule more than ``mel`` has frames and ``ids`` characters.
        noise: Where the solver starts, float32 (frames, 100).
    """

    mel: Tensor
    ids: Tensor
    frames: int
    noise: Tensor


@dataclass(frozen=True)
class Conditioning:
    """What all steps of one solution share.

    Attributes:
        layout: Of the frames.
        fixed: Input that text and reference contribute.
        rotary: Tables of positions.
    """

    layout: Layout
    fixed: FixedInput
    rotary: Tensor


class Network:
    """The network of one checkpoint, brought up in the three stages of a rung.

    Made with everything that is float32 on every rung: time, text, input projection, modulation, last norm and
    projection. `convert` reads the rest, the blocks; from then on it computes. `pack` makes it fast.

    Args:
        architecture: What the checkpoint was trained as.
        state: Upstream's tensors without ``ema_model.``; each is read once, here or by `convert`.
        device: Where to compute.
        who: Named by errors.

    Attributes:
        dtype: Of the blocks' activations; float32 until `convert`.
        rounded: Whether the blocks' products are of int8 weights and activations.
        attention: Kernel of the blocks' attention.
        joined: Whether what is between the products runs by `realtts.accel.fused`, after `pack`.

    Raises:
        CheckpointMismatch: A float32 tensor is missing, misshapen or one too many for the architecture.
    """

    def __init__(
        self,
        architecture: Architecture,
        state: Mapping[str, Tensor],
        *,
        device: torch.device,
        who: str = "checkpoint",
    ) -> None:
        self.architecture, self.device, self.dtype = architecture, device, torch.float32
        self.rounded, self.attention, self.joined, self._who = False, "own", False, who
        weights = self._reader(state, cast=False)
        self._time = TimeEmbedding(weights, f"{_PREFIX}time_embed.", architecture.dim)
        self._text = TextEmbedding(weights, f"{_PREFIX}text_embed.", architecture)
        self._input = InputEmbedding(weights, f"{_PREFIX}input_embed.", architecture)
        backbone = DiT if architecture.backbone == "dit" else UNetT
        self._backbone = backbone(weights, _PREFIX, architecture)
        weights.finish(_PREFIX, tuple(_PREFIX + name for name in COMPUTED))
        self._schedule: tuple[tuple[float, ...], list[tuple[Tensor, ...]]] | None = None

    def convert(
        self, state: Mapping[str, Tensor], dtype: torch.dtype, *, rounded: bool = False, attention: str = "own"
    ) -> None:
        """Read the blocks and the second convolution of the input, and cast each tensor as it is read.

        Args:
            state: As the constructor takes it.
            dtype: To compute in; float32 where products are rounded.
            rounded: Whether the blocks' products are of int8 weights and activations.
            attention: Kernel of `realtts_f5.attention.Attention`.

        Raises:
            CheckpointMismatch: A tensor is missing, misshapen or one too many for the architecture.
            QuantizationUnavailable: A weight cannot be rounded.
        """
        weights = self._reader(state, cast=True)
        self._input.convert(weights, dtype)
        self._backbone.convert(weights, RowLayers() if rounded else DenseLayers(dtype), attention=attention)
        weights.finish(_PREFIX)
        self.dtype, self.rounded, self.attention, self._schedule = dtype, rounded, attention, None

    def pack(self, compiler: Compiler | None = None, *, joined: bool = False) -> None:
        """Lay the blocks' weights out for the kernels that compute them; results stay the same up to rounding.

        Args:
            compiler: Makes the compiled form of a function, as `realtts.accel.compile.compiled` does; None: none is
                made.
            joined: Run what is between the products by `realtts.accel.fused`.
        """
        self.joined = joined
        self._backbone.pack(compiler, joined=joined)

    def flops(self, frames: int, rows: int) -> int:
        """Count the operations of one evaluation: products and attention of the blocks.

        Args:
            frames: Of a chunk.
            rows: 2 with guidance, else 1.
        """
        a = self.architecture
        products = 2 * a.depth * a.dim * a.dim * (4 + 2 * a.ff_mult)
        return rows * frames * (products + 4 * a.depth * a.dim * frames)

    @property
    def vocabulary(self) -> int:
        """Characters that the checkpoint has a vector for."""
        return self._text.vocabulary

    @torch.inference_mode()
    def steps(self, times: Tensor) -> list[tuple[Tensor, ...]]:
        """Compute what depends on the time alone, for all steps of a schedule; the latest schedule's is kept.

        Args:
            times: float32 (steps + 1,), on the CPU.
        """
        key = tuple(times.tolist())
        if self._schedule is None or self._schedule[0] != key:
            embedded = self._time(times[:-1].to(self.device, torch.float32))
            self._schedule = key, self._backbone.steps(embedded)
        return self._schedule[1]

    @torch.inference_mode()
    def condition(self, items: Sequence[Item], rows: int) -> Conditioning:
        """Prepare chunks at their true lengths.

        Args:
            items: What is to be spoken.
            rows: 2 with guidance, else 1.
        """
        layout = packed([item.frames for item in items], rows)
        inputs = iter([self._fixed_rows(item, rows) for item in items])
        projected, convolved = [], []
        for count, _ in layout.groups:
            group = [next(inputs) for _ in range(count)]
            # count x rows x (frames, dim) -> (count, rows, frames, dim)
            projected.append(torch.stack([torch.stack([row[0] for row in item]) for item in group]))
            convolved.append(torch.stack([torch.stack([row[1] for row in item]) for item in group]))
        fixed = FixedInput(tuple(projected), tuple(convolved))
        return Conditioning(layout, fixed, self._rotary(layout.longest))

    @torch.inference_mode()
    def fill(self, conditioning: Conditioning, items: Sequence[Item]) -> None:
        """Prepare chunks in the memory of `blank`, with at most as many items, none longer than its frames.

        Places without an item have one frame of silence: with none, attention would divide by zero.
        """
        layout, fixed = conditioning.layout, conditioning.fixed
        assert layout.valid is not None
        projected, convolved = fixed.projected[0], fixed.convolved[0]
        empty = [1] * (len(layout.valid) - len(items))
        lengths = torch.tensor([*(item.frames for item in items), *empty], device=self.device)
        layout.valid.copy_(frames_of(lengths, layout.longest))
        layout.renew_mask()
        for tensor in (projected, convolved):
            tensor.zero_()
        for index, item in enumerate(items):
            for row, (item_projected, item_convolved) in enumerate(self._fixed_rows(item, layout.rows)):
                projected[index, row, : item.frames] = item_projected
                convolved[index, row, :, : item.frames] = item_convolved

    @torch.inference_mode()
    def blank(self, count: int, rows: int, frames: int, memory: SharedMemory | None = None) -> Conditioning:
        """Allocate the memory of so many items padded to ``frames``, in a place that others may share."""
        memory = memory or SharedMemory(self.device)
        lengths = torch.full((count,), frames, device=self.device)
        dim = self.architecture.dim
        projected = memory.take("projected", (count, rows, frames, dim))
        fixed = FixedInput((projected,), (memory.take("convolved", (count, rows, dim, frames)),))
        return Conditioning(padded(lengths, rows, frames, self.dtype), fixed, self._rotary(frames))

    @torch.inference_mode()
    def __call__(self, x: Tensor, step: tuple[Tensor, ...], conditioning: Conditioning) -> Tensor:
        """Evaluate the network once.

        Args:
            x: The solver's state, float32 (frames of one row each, 100); zero beyond a padded sequence's end.
            step: One of `steps`.
            conditioning: Of these chunks.

        Returns:
            float32 (frames of all rows, 100); without meaning beyond a padded sequence's end.
        """
        h = self._input(x, conditioning.fixed, conditioning.layout)
        return self._backbone(h, step, conditioning.layout, conditioning.rotary)

    def _reader(self, state: Mapping[str, Tensor], *, cast: bool) -> StateReader:
        """Return a reader of the tensors that are cast, or of all others."""
        names = {name: name for name in state if bool(_CAST.match(name)) is cast}
        return StateReader(Tensors(state, names=names), self._who, self.device, fix=FIX)

    def _rotary(self, frames: int) -> Tensor:
        """Return tables of positions for so many frames and one more, E2-TTS's time."""
        dtype = torch.float32 if self.attention.startswith("native") else self.dtype
        return rotary_tables(frames + 1, self.device, dtype)

    def _fixed_rows(self, item: Item, rows: int) -> list[tuple[Tensor, Tensor]]:
        """Compute the fixed input of an item's conditional and, with guidance, unconditional row."""
        assert max(len(item.mel), 1) <= item.frames == len(item.noise)
        mel, ids = item.mel.to(self.device, torch.float32), item.ids.to(self.device)
        fixed = [self._input.fixed(mel, self._text(ids, item.frames))]
        if rows == 2:
            fixed.append(self._input.fixed(None, self._text(ids, item.frames, dropped=True)))
        return fixed
