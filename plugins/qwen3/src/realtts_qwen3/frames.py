"""The loop over frames: talker step, first code, fifteen others, and what the talker reads next, all on the device.

The code predictor runs inside the decode loop's own step, so that a whole frame is one CUDA graph where graphs are on,
and the host only learns every few frames what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Buckets, DecodeLoop, Prompt
from realtts_qwen3.noise import SharedNoise
from realtts_qwen3.predictor import Drawing
from realtts_qwen3.prompt import padded
from realtts_qwen3.utterance import first_params, other_params

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
    """What is new since the last look.

    Attributes:
        codes: For each stream its new frames, int64 (n, 16) on the host.
        finished: For each stream whether it has ended.
        stopped: For each stream whether the model ended it; False with ``finished``: it reached its limit.
    """

    codes: tuple[Tensor, ...]
    finished: tuple[bool, ...]
    stopped: tuple[bool, ...]


class FrameLoop:
    """Draws the frames of a fixed number of streams. What it captures has not run on a GPU yet.

    Args:
        talker: The talker's layers.
        head: Its head.
        predictor: Draws the other codes of a frame.
        recipe: How the talker's logits become codes.
        streams: Number of streams.
        cap: Slots of the talker's cache: prompt and frames together.
        backend: Captures each frame as a graph; None runs eagerly.
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
            # One column more than frames, where frozen streams write.
            self._codes = torch.zeros(streams, cap + 1, len(predictor.heads) + 1, dtype=torch.int64, device=device)
            self._words = torch.zeros(streams, cap, width, dtype=talker.precision.activations, device=device)
        self._most: list[int] = []
        self._given: list[int] = []
        self._seen = 0
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
            layouts: What each stream reads.
            pad: What it reads beside its frames when its text has ended, (hidden,).
            utterances: How each stream draws.

        Raises:
            DecoderError: Prompt and frames do not fit the cache.
        """
        words = [padded(layout.trailing, pad, self._words.shape[1]) for layout in layouts]
        self._words.copy_(torch.stack(words))
        for row, utterance in enumerate(utterances):
            # Seeded here, and again by the loop before it draws: both samplers share the generator.
            self._set(row, utterance)
        self._most, self._given, self._seen = [u.most for u in utterances], [0] * len(utterances), 0
        self.loop.begin(
            Prompt.padded([layout.prompt for layout in layouts]),
            [first_params(u) for u in utterances],
            [u.seed for u in utterances],
            # The code that would begin the frame after the last one is drawn, too: it may be the end.
            [u.most + 1 for u in utterances],
        )

    def run(self) -> Iterator[Frames]:
        """Draw until every stream has ended; whoever stops reading stops the drawing.

        Raises:
            NotFinite: The logits of a stream were not finite.
        """
        for block in self.loop.run():
            found = self._new(block)
            if all(block.finished) or any(len(codes) for codes in found.codes):
                yield found

    def stop(self, stream: int) -> None:
        """End one stream now; the others go on."""
        self.loop.stop(stream)

    def warm_up(self, up_to: int, utterance: Utterance, *, prompt: int) -> None:
        """Capture prompts of up to so many slots and the frames behind them; ends without a request.

        Args:
            up_to: Slots of prompt and frames.
            utterance: How it will be drawn.
            prompt: Slots of the prompt.
        """
        for row in range(self.loop.streams):
            self._set(row, utterance)
        self.loop.warm_up(up_to, first_params(utterance), prompt=prompt)

    # -- inside the step, on the device ------------------------------------------------------------------------------

    def _next(self, first: Tensor, step: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Draw the rest of the frame, keep it, and make of it what the talker reads: (streams, hidden)."""
        at = (step - 1).clamp(min=0)
        drawn = self._draw(state["hidden"], first, at)
        self.loop.sampler.broken.logical_or_(self._draw.sampler.broken & state["live"])
        place = torch.where(state["live"], at, self._codes.shape[1] - 1)[:, None, None]
        self._codes.scatter_(1, place.expand(-1, 1, self._codes.shape[2]), drawn.codes[:, None])
        place = at.clamp(max=self._words.shape[1] - 1)[:, None, None]
        words = self._words.gather(1, place.expand(-1, 1, self._words.shape[2]))[:, 0]
        return drawn.embedded.sum(1) + words

    # -- on the host -------------------------------------------------------------------------------------------------

    def _set(self, row: int, utterance: Utterance) -> None:
        for noise, params in zip(self._noises, (utterance.talker, utterance.predictor), strict=True):
            noise.drawing[row] = not params.greedy
        self._draw.sampler.set(row, other_params(utterance), utterance.seed)

    def _structure(self) -> Hashable:
        return self._draw.sampler.structure, tuple(tuple(noise.drawing) for noise in self._noises)

    def _new(self, block: Block) -> Frames:
        assert block.outputs is not None, "the loop hands out what it was given"
        seen, self._seen = self._seen, self._seen + block.outputs.shape[1]
        self._given = [given + len(tokens) for given, tokens in zip(self._given, block.tokens, strict=True)]
        # A frame is whole when the next one's first code is drawn; that of the limit never becomes one.
        ends = [min(given, most) - seen for given, most in zip(self._given, self._most, strict=True)]
        codes = tuple(columns[: max(0, end)] for columns, end in zip(block.outputs, ends, strict=True))
        return Frames(codes, block.finished, block.stopped)
