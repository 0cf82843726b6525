"""The rows that draw frames: talker step, first code, fifteen others, and the talker's next input, all on the device.

The code predictor runs inside the row loop's step, so that a whole frame of all rows is one CUDA graph where graphs are
on, and the host reads only every few frames what was drawn.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Admission, RowLoop
from realtts.accel.indexed import select, store
from realtts_qwen3.noise import FrameNoise
from realtts_qwen3.predictor import Drawing
from realtts_qwen3.utterance import predictor_params, talker_params

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from realtts.accel.decoder import Decoder, KVCache, RowBlock
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import SamplingRecipe
    from realtts_qwen3.predictor import CodePredictor
    from realtts_qwen3.prompt import Layout
    from realtts_qwen3.utterance import Utterance

__all__ = ["CHUNK", "FrameRows", "frames_of"]

CHUNK = 64
"""Positions of a prompt that are read between two frames. A frame is the talker's step and fifteen of the predictor's,
which on a CPU take about as long as half of them."""


class FrameRows:
    """Rows that draw frames, and come and go. What it captures has not run on a GPU yet.

    Args:
        talker: The talker's layers.
        head: Its head.
        predictor: Draws the other codes of a frame.
        recipe: How the talker's logits become codes.
        pad: Embedding that is added to a frame when its row's text has ended, (hidden,).
        places: Most rows at once.
        cap: Slots of a row: prompt and frames together.
        backend: Captures each frame as a graph; None runs eagerly.

    Attributes:
        most: Most rows that were there at once.
        loop: The talker's loop, whose step draws a whole frame of all rows. A block's outputs are a row's new frames,
            int64 (n, 16): a frame is whole when the first code of the next one is drawn, which may be the end.
    """

    def __init__(
        self,
        talker: Decoder,
        head: Callable[[Tensor], Tensor],
        predictor: CodePredictor,
        recipe: SamplingRecipe,
        *,
        pad: Tensor,
        places: int,
        cap: int,
        backend: GraphBackend | None,
    ) -> None:
        device, dtype, rows = talker.device, talker.precision.activations, places + 1
        widths, graphed = (recipe.vocabulary, predictor.recipe.vocabulary), backend is not None
        with torch.inference_mode(mode=False):  # or they could not be changed outside of it
            self._noise = FrameNoise(rows, widths, device, graphed=graphed)
            # One column more than frames, which rows that have ended write to.
            self._codes = torch.zeros(rows, cap + 1, len(predictor.heads) + 1, dtype=torch.int64, device=device)
            # Empty, because few texts are as long as that, and memory that is never written costs nothing.
            self._words = torch.empty(rows, cap, talker.config.hidden_size, dtype=dtype, device=device)
            self._texts = torch.zeros(rows, dtype=torch.int64, device=device)
            self._pad = pad.to(dtype, copy=True)
        self._draw = Drawing(predictor, rows, noise=self._noise.predictor, skip_idle=not graphed)
        self.most = 0
        self.loop = RowLoop(
            talker,
            head,
            self._next,
            recipe,
            places=places,
            cap=cap,
            backend=backend,
            chunk=CHUNK,
            noise=self._noise.talker,
            outputs=self._codes,
            samplers=[self._draw.sampler],
        )

    @staticmethod
    def slots(layout: Layout, utterance: Utterance) -> int:
        """Return the slots that a row needs."""
        return len(layout.prompt) + utterance.max_frames

    @torch.inference_mode()
    def admission(self, layout: Layout, utterance: Utterance, prefix: tuple[KVCache, int] | None) -> Admission:
        """Return what a place is given for.

        Args:
            layout: Prompt and text of the row.
            utterance: How its codes are drawn.
            prefix: Keys and values of the first positions of the prompt, and how many these are.

        Raises:
            InvalidOption: Its codes cannot be drawn like that.
        """
        self._draw.sampler.check(predictor_params(utterance))
        prompt = layout.prompt[None, 0 if prefix is None else prefix[1] :]  # (n, hidden) -> (1, n, hidden)
        # The code that would begin the frame after the last one is drawn, too: it may be the end.
        most = utterance.max_frames + 1
        placed = functools.partial(self._placed, words=layout.trailing[: utterance.max_frames], utterance=utterance)
        return Admission(prompt, talker_params(utterance), utterance.seed, most, prefix=prefix, placed=placed)

    def clear(self) -> None:
        """Take all places away."""
        for number in self.loop.numbers:
            self.loop.release(number)

    @torch.inference_mode()
    def warm_up(self, utterance: Utterance, *, up_to: int) -> None:
        """Capture all numbers of rows and all lengths up to so many slots; nothing without graphs."""
        for row in range(self.loop.places):
            self._set(row, utterance)
        self.loop.warm_up(talker_params(utterance), up_to=min(up_to, self.loop.cache.cap))

    @torch.inference_mode()
    def _placed(self, row: int, *, words: Tensor, utterance: Utterance) -> None:
        """Write what is held of a row that gets a place."""
        self.most = max(self.most, len(self.loop.numbers) + 1)
        self._words[row, : len(words)] = words
        self._texts[row] = len(words)
        self._set(row, utterance)

    def _set(self, row: int, utterance: Utterance) -> None:
        """Set which networks of a row draw noise, and the sampling of its later codes."""
        self._noise.set(row, talker=not utterance.talker.greedy, predictor=not utterance.predictor.greedy)
        # Seeded here, and by the loop before it: both samplers share the generators.
        self._draw.sampler.set(row, predictor_params(utterance), utterance.seed)

    def _next(self, first: Tensor, step: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Draw the rest of the frames of a step, store them, and return the talker's next input, (n, hidden).

        It runs on the device alone.

        Args:
            first: First codes, int64 (n,).
            step: Codes that each row has so far, the first of this frame included, int64 (n,).
            state: The loop's row state.
        """
        rows, live = state["rows"], state["live"]
        at = (step - 1).clamp(min=0)  # number of this frame
        drawn = self._draw(state["hidden"], first, at)
        broken = self.loop.sampler.broken
        store(broken, rows, select(broken, rows) | (select(self._draw.sampler.broken, rows) & live))
        column = torch.where(live, at, self._codes.shape[1] - 1)
        self._codes.index_put_((rows, column), drawn.codes)
        spoken = self._words[rows, at.clamp(max=self._words.shape[1] - 1)]  # (n, hidden)
        words = torch.where((at < select(self._texts, rows))[:, None], spoken, self._pad)
        return drawn.embedded.sum(1) + words


def frames_of(block: RowBlock) -> Tensor:
    """Return the new frames of a row, int64 (n, 16)."""
    assert block.outputs is not None, "the loop was given a tensor for its outputs"
    return block.outputs
