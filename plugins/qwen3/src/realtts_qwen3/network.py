"""The talker and its code predictor on the toolkit's decoder: from laid out text to frames of sixteen codes.

The talker, 28 layers of Qwen3's kind, draws the first code of each 80 ms; the predictor, 5 layers, draws the fifteen
behind it. Source: ``core/models/modeling_qwen3_tts.py`` of github.com/QwenLM/Qwen3-TTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder import Loops, look_of
from realtts.accel.sampling import SamplingRecipe
from realtts_qwen3.assembly import read_parts
from realtts_qwen3.frames import FrameLoop, Frames
from realtts_qwen3.utterance import first_params, other_params, silent

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import SamplingParams
    from realtts_qwen3.assembly import Parts
    from realtts_qwen3.sizes import Sizes
    from realtts_qwen3.utterance import Utterance

__all__ = ["LOOK", "STREAMS", "Frames", "Logits", "Talker"]

STREAMS = (1, 2, 4, 8)
"""Numbers of utterances that there is a loop for; a batch takes the next larger one."""

LOOK = 4
"""Frames between two looks at a device that computes behind the host."""

_SPECIAL = 1024
"""The last ids of the talker's vocabulary steer it and are never drawn, but for the end."""

_GRAPHED_SLOTS = 1536
"""The cache's least cap with graphs, which a longer one would throw away: what 400 characters may take, and a cloned
recording before them. In bfloat16 176 MB for each stream."""

_ORDER = ("repetition_penalty", "suppress", "temperature", "top_k", "top_p")


class Logits(NamedTuple):
    """What the codes of some frames were drawn from, before any processor.

    Attributes:
        first: float32 (frames, talker's vocabulary).
        others: float32 (frames, 15, codes).
    """

    first: Tensor
    others: Tensor


class Talker:
    """Draws the frames of up to eight utterances at once; made by `from_state_dict`.

    Args:
        sizes: Of the checkpoint.
        parts: Read from its tensors.
        backend: Captures frames as graphs; None runs them eagerly.
    """

    def __init__(self, sizes: Sizes, parts: Parts, *, backend: GraphBackend | None = None) -> None:
        self.decoder, self.predictor, self.prompts = parts.decoder, parts.predictor, parts.prompts
        self._codes = parts.predictor.embedding
        self._head = parts.decoder.pack(parts.head)
        self._backend = backend
        self._loops: Loops[int, FrameLoop] = Loops(graphed=backend is not None, least=_GRAPHED_SLOTS)
        end, vocabulary = sizes.ids.codec_eos, sizes.talker.vocabulary
        self._recipe = SamplingRecipe(
            vocabulary=vocabulary,
            order=_ORDER,
            stop_tokens=(end,),
            suppressed=tuple(token for token in range(vocabulary - _SPECIAL, vocabulary) if token != end),
        )

    @classmethod
    def from_state_dict(
        cls,
        sizes: Sizes,
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        predictor_precision: Precision | str | None = None,
        backend: GraphBackend | None = None,
    ) -> Talker:
        """Pack a checkpoint's weights.

        Args:
            sizes: Of the checkpoint.
            state: Upstream's tensors by their names below ``talker.``. One that reads them as they are asked for is
                never in memory as a whole, and the text embedding not at all where it has ``rows(name, ids)``.
            device: Where it runs.
            precision: Of the talker.
            predictor_precision: Of the code predictor; None: the talker's.
            backend: Captures frames as graphs; None runs them eagerly.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        others = predictor_precision or precision
        return cls(
            sizes, read_parts(sizes, state, torch.device(device), precision, others, rows=STREAMS), backend=backend
        )

    # -- drawing -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def begin(self, utterances: Sequence[Utterance], *, check_every: int | None = None) -> FrameLoop:
        """Read the prompts and draw the first codes; go on with `FrameLoop.run`.

        Its streams are as many as the next of `STREAMS`: the first ones are the utterances'.

        Args:
            utterances: At least one, at most eight.
            check_every: Frames between two looks at the device; None: every frame where a look costs nothing (CPU),
                else every few.
        """
        layouts = [self.prompts(u) for u in utterances]
        need = max(len(layout.prompt) for layout in layouts) + max(u.most for u in utterances) + 1
        own = self._loop(len(utterances), need)
        idle = own.loop.streams - len(utterances)
        rows = [*utterances, *[silent(utterances[0])] * idle]
        own.loop.check_every = check_every or look_of(self.decoder.device, LOOK)
        own.begin([*layouts, *[layouts[0]] * idle], self.prompts.pad, rows)
        return own

    def decode(self, utterances: Sequence[Utterance], *, check_every: int | None = None) -> Generator[Frames]:
        """Frames of the utterances, some at a time, until all have ended."""
        try:
            for found in self.begin(utterances, check_every=check_every).run():
                n = len(utterances)
                yield Frames(found.codes[:n], found.finished[:n], found.stopped[:n])
        finally:
            self.release()

    def release(self) -> None:
        """Let go of the caches of batches, which a single utterance has no use for; graphs keep theirs."""
        self._loops.release()

    def warm_up(self, utterance: Utterance) -> None:
        """Capture every frame of such an utterance, and draw it once."""
        with torch.inference_mode():
            prompt = len(self.prompts(utterance).prompt)
        own = self._loop(1, prompt + utterance.most + 1)
        own.warm_up(prompt + utterance.most + 1, utterance, prompt=prompt)
        for _ in self.decode([utterance]):
            pass

    @torch.inference_mode()
    def logits(self, utterance: Utterance, codes: Tensor) -> Logits:
        """What the codes of given frames would be drawn from.

        Args:
            utterance: What is spoken.
            codes: int64 (frames, 16), at least one frame.
        """
        layout, n = self.prompts(utterance), len(codes)
        codes = codes.to(self.decoder.device)
        missing = self.prompts.pad.expand(max(0, n - len(layout.trailing)), -1)
        past = self._codes.frames(codes) + torch.cat([layout.trailing, missing])[:n]
        x = torch.cat([layout.prompt, past[:-1]])[None]
        hidden = self.decoder.prefill(x, self.decoder.new_cache(1, x.shape[1]), every=True)[0, -n:]
        return Logits(self._head(hidden).float(), self.predictor.logits(hidden, codes))

    @property
    def recipes(self) -> tuple[SamplingRecipe, SamplingRecipe]:
        """How the logits of a frame's first code become it, and those of the others."""
        return self._recipe, self.predictor.recipe

    @staticmethod
    def params(utterance: Utterance) -> tuple[SamplingParams, SamplingParams]:
        """How an utterance's first codes are drawn, and how the others."""
        return first_params(utterance), other_params(utterance)

    def cost(self, loop: FrameLoop) -> tuple[int, int]:
        """Operations and bytes of the loop's next frame."""
        flops, read = self.decoder.step_cost(self._head, loop.loop.cache)
        return flops + 2 * self.predictor.weights * loop.loop.streams, read + self.predictor.bytes_read

    # -- loops -------------------------------------------------------------------------------------------------------

    def _loop(self, utterances: int, slots: int) -> FrameLoop:
        """The loop for so many."""
        return self._loops.of(next(n for n in STREAMS if n >= utterances), slots, self._new_loop)

    def _new_loop(self, streams: int, cap: int) -> FrameLoop:
        return FrameLoop(
            self.decoder, self._head, self.predictor, self._recipe,
            streams=streams, cap=cap, backend=self._backend,
        )  # fmt: skip
