"""The loop over frames: talker step, first code, fifteen others, and the talker's next input, all on the device.

The code predictor runs inside the decode loop's step, so that a whole frame is one CUDA graph where graphs are on, and
the host reads only every few frames what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Buckets, DecodeLoop, Prompt
from realtts_qwen3.noise import SharedNoise
from realtts_qwen3.predictor import Drawing
from realtts_qwen3.prompt import padded
from realtts_qwen3.utterance import predictor_params, talker_params

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Block, Decoder
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import SamplingRecipe
    from realtts_qwen3.predictor import CodePredictor
    from realtts_qwen3.prompt import Layout
    from realtts_qwen3.utterance import Utterance

__all__ = ["FrameLoop", "Frames"]


@dataclass(frozen=True)
class Frames:
    """The frames that are new since the last synchronization.

    Attributes:
        codes: For each stream its new frames, int64 (n, 16) on the host.
        finished: For each stream whether it has ended.
        stopped: For each stream whether the model ended it; False with ``finished``: it reached its limit.
    """

    codes: tuple[Tensor, ...]
    finished: tuple[bool, ...]
    stopped: tuple[bool, ...]


class FrameLoop:
    """The loop of a fixed number of streams. What it captures has not run on a GPU yet.

    Args:
        talker: The talker's layers.
        head: Its head.
        predictor: Draws the other codes of a frame.
        recipe: How the talker's logits become codes.
        streams: Number of streams.
        cap: Slots of the talker's cache: prompt and frames together.
        backend: Captures each frame as a graph; None runs eagerly.

    Attributes:
        loop: The talker's decode loop, whose step draws a whole frame.
    """

    def __init__(
        self,
        talker: Decoder,
        head: Callable[[Tensor], Tensor],
        predictor: CodePredictor,
        recipe: SamplingRecipe,
        *,
        streams: int,
        cap: int,
        backend: GraphBackend | None,
    ) -> None:
        device, width = talker.device, talker.config.hidden_size
        noises = SharedNoise.pair(streams, device)
        self._noises = noises
        self._draw = Drawing(predictor, streams, noise=noises[1], skip_idle=backend is None)
        with torch.inference_mode(mode=False):  # or they could not be changed outside of it
            # One column more than frames, which frozen streams write to.
            self._codes = torch.zeros(streams, cap + 1, len(predictor.heads) + 1, dtype=torch.int64, device=device)
            self._words = torch.zeros(streams, cap, width, dtype=talker.precision.activations, device=device)
        self._max_frames: list[int] = []
        self._drawn: list[int] = []  # first codes of each stream so far
        self._read = 0  # columns of the outputs that were read
        self.loop = DecodeLoop(
            talker,
            head,
            self._next,
            recipe,
            streams=streams,
            cap=cap,
            row_state={"predictor broken": self._draw.sampler.broken},
            backend=backend,
            noise=noises[0],
            outputs=self._codes,
            structure=self._structure,
            prompt_buckets=Buckets(cap),
        )

    @torch.inference_mode()
    def begin(self, layouts: Sequence[Layout], pad: Tensor, utterances: Sequence[Utterance]) -> None:
        """Read the prompts and draw the first codes.

        Args:
            layouts: Prompt and text of each stream.
            pad: Embedding that is added to a frame when its text has ended, (hidden,).
            utterances: Sampling of each stream.

        Raises:
            DecoderError: Prompt and frames do not fit the cache.
        """
        words = [padded(layout.trailing, pad, self._words.shape[1]) for layout in layouts]
        self._words.copy_(torch.stack(words))
        for row, utterance in enumerate(utterances):
            # Seeded here, and again by the loop before it draws: both samplers share the generator.
            self._set(row, utterance)
        self._max_frames, self._drawn, self._read = [u.max_frames for u in utterances], [0] * len(utterances), 0
        self.loop.begin(
            Prompt.padded([layout.prompt for layout in layouts]),
            [talker_params(u) for u in utterances],
            [u.seed for u in utterances],
            # The code that would begin the frame after the last one is drawn, too: it may be the end.
            [u.max_frames + 1 for u in utterances],
        )

    def run(self) -> Iterator[Frames]:
        """Draw until every stream has ended; drawing stops when the iterator is closed.

        Raises:
            NotFinite: The logits of a stream were not finite.
        """
        for block in self.loop.run():
            frames = self._new(block)
            if all(block.finished) or any(len(codes) for codes in frames.codes):
                yield frames

    def stop(self, stream: int) -> None:
        """End one stream now; the others go on."""
        self.loop.stop(stream)

    def warm_up(self, up_to: int, utterance: Utterance, *, prompt: int) -> None:
        """Capture prompts of up to so many slots and the frames behind them; nothing without graphs.

        Args:
            up_to: Slots of prompt and frames.
            utterance: Sampling to prepare for.
            prompt: Slots of the prompt.
        """
        for row in range(self.loop.streams):
            self._set(row, utterance)
        self.loop.warm_up(up_to, talker_params(utterance), prompt=prompt)

    # -- inside the step, on the device ------------------------------------------------------------------------------

    def _next(self, first: Tensor, step: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Draw the rest of the frame, store it, and return the talker's next input, (streams, hidden).

        Args:
            first: First codes, int64 (streams,).
            step: Codes that each stream has so far, the first of this frame included, int64 (streams,).
            state: The loop's row state.
        """
        at = (step - 1).clamp(min=0)  # number of this frame
        drawn = self._draw(state["hidden"], first, at)
        self.loop.sampler.broken.logical_or_(self._draw.sampler.broken & state["live"])
        # Scatter and gather, because an index read by the host could not be captured: (streams, cap + 1, 16).
        column = torch.where(state["live"], at, self._codes.shape[1] - 1)[:, None, None]
        self._codes.scatter_(1, column.expand(-1, 1, self._codes.shape[2]), drawn.codes[:, None])
        column = at.clamp(max=self._words.shape[1] - 1)[:, None, None]
        words = self._words.gather(1, column.expand(-1, 1, self._words.shape[2]))[:, 0]  # (streams, hidden)
        return drawn.embedded.sum(1) + words

    # -- on the host -------------------------------------------------------------------------------------------------

    def _set(self, row: int, utterance: Utterance) -> None:
        """Set which networks of one stream draw noise, and the sampling of its later codes."""
        for noise, params in zip(self._noises, (utterance.talker, utterance.predictor), strict=True):
            noise.drawing[row] = not params.greedy
        self._draw.sampler.set(row, predictor_params(utterance), utterance.seed)

    def _structure(self) -> Hashable:
        """Return what a captured frame depends on beside the loop's sampler."""
        return self._draw.sampler.structure, tuple(noise.placed_drawing for noise in self._noises)

    def _new(self, block: Block) -> Frames:
        """Return the whole frames of a block."""
        assert block.outputs is not None, "the loop was given a tensor for its outputs"
        begin, self._read = self._read, self._read + block.outputs.shape[1]
        self._drawn = [drawn + len(tokens) for drawn, tokens in zip(self._drawn, block.tokens, strict=True)]
        # A frame is whole when the next one's first code is drawn; that of the limit never becomes one.
        ends = [min(drawn, limit) - begin for drawn, limit in zip(self._drawn, self._max_frames, strict=True)]
        codes = tuple(columns[: max(0, end)] for columns, end in zip(block.outputs, ends, strict=True))
        return Frames(codes, block.finished, block.stopped)
