"""F5-TTS's and E2-TTS's networks without what upstream's computes anew at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.weights.state_reader import StateReader
from realtts_f5.attention import rotary
from realtts_f5.configurations import FIX
from realtts_f5.dit import DiT
from realtts_f5.embedding import FixedInput, InputEmbedding, TextEmbedding, TimeEmbedding
from realtts_f5.layout import frames_of, packed, padded
from realtts_f5.sizes import COMPUTED
from realtts_f5.unet import UNetT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts_f5.attention import Rotary
    from realtts_f5.dit import Compiler
    from realtts_f5.layout import Layout
    from realtts_f5.sizes import Architecture

__all__ = ["Given", "Item", "Network"]

_PREFIX = "transformer."

Rows = list[tuple["Tensor", "Tensor"]]


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
class Given:
    """What all steps of one solution share.

    Attributes:
        layout: Of the frames.
        fixed: Of text and reference.
        turns: Positions.
    """

    layout: Layout
    fixed: FixedInput
    turns: Rotary


class Network:
    """The network of one checkpoint.

    Args:
        architecture: What the checkpoint was trained as.
        state: Upstream's tensors without ``ema_model.``; each is read once.
        device: Where to compute.
        dtype: Of the blocks. Time, text, input projection, last norm and projection are float32.
        fused: Whether attention is torch's kernel on the CPU too.
        compiler: Makes the compiled form of a function, as `realtts.accel.compile.compiled` does; None: none is made.
        who: Named by errors.
    """

    def __init__(
        self,
        architecture: Architecture,
        state: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype,
        fused: bool = False,
        compiler: Compiler | None = None,
        who: str = "checkpoint",
    ) -> None:
        self.architecture, self.device, self.dtype = architecture, device, dtype
        weights = StateReader(state, who, device, fix=FIX)
        self._time = TimeEmbedding(weights, f"{_PREFIX}time_embed.", architecture.dim)
        self._text = TextEmbedding(weights, f"{_PREFIX}text_embed.", architecture)
        self._input = InputEmbedding(weights, f"{_PREFIX}input_embed.", architecture, dtype)
        backbone = DiT if architecture.backbone == "dit" else UNetT
        self._backbone = backbone(weights, _PREFIX, architecture, dtype, fused=fused, compiler=compiler)
        weights.finish(_PREFIX, tuple(_PREFIX + name for name in COMPUTED))
        self._latest: tuple[tuple[float, ...], list[tuple[Tensor, ...]]] | None = None

    @classmethod
    def from_state_dict(
        cls,
        architecture: Architecture,
        state: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype,
        fused: bool = False,
        compiler: Compiler | None = None,
        who: str = "checkpoint",
    ) -> Network:
        """Take the weights by upstream's names.

        Raises:
            CheckpointMismatch: A tensor is missing, misshapen or one too many for the architecture.
        """
        return cls(architecture, state, device=device, dtype=dtype, fused=fused, compiler=compiler, who=who)

    def flops(self, frames: int, rows: int) -> int:
        """Operations of one evaluation: products and attention of the blocks.

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
        """What depends on the time alone, for all steps of a schedule; the latest schedule's is kept.

        Args:
            times: float32 (steps + 1,), on the CPU.
        """
        key = tuple(times.tolist())
        if self._latest is None or self._latest[0] != key:
            embedded = self._time(times[:-1].to(self.device, torch.float32))
            self._latest = key, self._backbone.steps(embedded)
        return self._latest[1]

    @torch.inference_mode()
    def given(self, items: Sequence[Item], rows: int) -> Given:
        """Prepare chunks at their true lengths.

        Args:
            items: What is to be spoken.
            rows: 2 with guidance, else 1.
        """
        layout = packed([item.frames for item in items], rows)
        each = iter([self._fixed(item, rows) for item in items])
        projected, convolved = [], []
        for count, _ in layout.groups:
            group = [next(each) for _ in range(count)]
            projected.append(torch.stack([torch.stack([row[0] for row in one]) for one in group]))
            convolved.append(torch.stack([torch.stack([row[1] for row in one]) for one in group]))
        return Given(layout, FixedInput(tuple(projected), tuple(convolved)), self.turns(layout.longest))

    @torch.inference_mode()
    def fill(self, given: Given, items: Sequence[Item]) -> None:
        """Prepare chunks in the memory of `blank`, with at most as many items, none longer than its frames.

        Places without an item have one frame of silence: with none, attention would divide by zero.
        """
        valid, projected, convolved = given.layout.valid, given.fixed.projected[0], given.fixed.convolved[0]
        assert valid is not None
        empty = [1] * (len(valid) - len(items))
        lengths = torch.tensor([*(item.frames for item in items), *empty], device=self.device)
        valid.copy_(frames_of(lengths, given.layout.longest))
        for tensor in (projected, convolved):
            tensor.zero_()
        for index, item in enumerate(items):
            for row, (one, other) in enumerate(self._fixed(item, given.layout.rows)):
                projected[index, row, : item.frames] = one
                convolved[index, row, :, : item.frames] = other

    @torch.inference_mode()
    def blank(self, count: int, rows: int, frames: int) -> Given:
        """Memory for so many items padded to ``frames``."""
        lengths = torch.full((count,), frames, device=self.device)
        dim = self.architecture.dim
        projected = torch.zeros(count, rows, frames, dim, device=self.device)
        fixed = FixedInput((projected,), (projected.new_zeros(count, rows, dim, frames),))
        return Given(padded(lengths, rows, frames), fixed, self.turns(frames))

    def turns(self, frames: int) -> Rotary:
        """Tables of positions for so many frames and the time's."""
        return rotary(frames + 1, self.device, self.dtype)

    @torch.inference_mode()
    def __call__(self, x: Tensor, step: tuple[Tensor, ...], given: Given) -> Tensor:
        """One evaluation.

        Args:
            x: The solver's state, float32 (frames of one row each, 100); zero beyond a padded sequence's end.
            step: One of `steps`.
            given: Of these chunks.

        Returns:
            float32 (frames of all rows, 100); without meaning beyond a padded sequence's end.
        """
        h = self._input(x, given.fixed, given.layout)
        return self._backbone(h, step, given.layout, given.turns)

    def _fixed(self, item: Item, rows: int) -> Rows:
        """Conditional and, with guidance, unconditional row of an item."""
        assert max(len(item.mel), 1) <= item.frames == len(item.noise)
        mel, ids = item.mel.to(self.device, torch.float32), item.ids.to(self.device)
        found = [self._input.fixed(mel, self._text(ids, item.frames))]
        if rows == 2:
            found.append(self._input.fixed(None, self._text(ids, item.frames, dropped=True)))
        return found
