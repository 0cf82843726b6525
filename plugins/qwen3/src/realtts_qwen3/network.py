"""The talker and its code predictor on the toolkit's decoder: from a prompt to frames of sixteen codes.

The talker, 28 layers of Qwen3's kind, draws the first code of each 80 ms; the predictor, 5 layers, draws the fifteen
behind it. Source: ``core/models/modeling_qwen3_tts.py`` of github.com/QwenLM/Qwen3-TTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder import LoopPool, sync_interval
from realtts.accel.sampling import SamplingRecipe
from realtts_qwen3.assembly import pack_networks, read_prompts
from realtts_qwen3.frames import FrameLoop, Frames
from realtts_qwen3.utterance import idle, predictor_params, talker_params

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import SamplingParams
    from realtts_qwen3.assembly import Networks
    from realtts_qwen3.prompt import Prompts
    from realtts_qwen3.sizes import Sizes
    from realtts_qwen3.utterance import Utterance

__all__ = ["STREAMS", "SYNC_INTERVAL", "Frames", "Logits", "Talker"]

STREAMS = (1, 2, 4, 8)
"""Numbers of utterances that there is a loop for; a batch takes the next larger one."""

SYNC_INTERVAL = 4
"""Frames between two synchronizations with a device that computes behind the host."""

_SPECIAL = 1024
"""The last ids of the talker's vocabulary steer it and are never drawn, but for the end."""

_GRAPHED_SLOTS = 1536
"""Least slots of a cache with graphs, because a longer cache needs new ones: what 400 characters may take, and a cloned
recording before them. In bfloat16 176 MB for each stream."""

_ORDER = ("repetition_penalty", "suppress", "temperature", "top_k", "top_p")


class Logits(NamedTuple):
    """The logits that the codes of some frames were drawn from, before any processor.

    Attributes:
        first: float32 (frames, talker's vocabulary).
        others: float32 (frames, 15, codes).
    """

    first: Tensor
    others: Tensor


class Talker:
    """Draws the frames of up to eight utterances at once; made by `pack` or `from_state_dict`.

    Args:
        sizes: Sizes of the checkpoint.
        prompts: Lays out utterances.
        networks: The packed networks.
        backend: Captures frames as graphs; None runs them eagerly.

    Attributes:
        decoder: The talker's layers.
        predictor: The code predictor.
        prompts: As given.
    """

    def __init__(
        self, sizes: Sizes, prompts: Prompts, networks: Networks, *, backend: GraphBackend | None = None
    ) -> None:
        self.decoder, self._head, self.predictor = networks
        self.prompts, self._codes = prompts, prompts.codes
        self._backend = backend
        self._loops: LoopPool[int, FrameLoop] = LoopPool(graphed=backend is not None, least=_GRAPHED_SLOTS)
        end, vocabulary = sizes.ids.codec_eos, sizes.talker.vocabulary
        self._recipe = SamplingRecipe(
            vocabulary=vocabulary,
            order=_ORDER,
            stop_tokens=(end,),
            suppressed=tuple(token for token in range(vocabulary - _SPECIAL, vocabulary) if token != end),
        )

    @classmethod
    def pack(
        cls,
        sizes: Sizes,
        state: Mapping[str, Tensor],
        prompts: Prompts,
        *,
        precision: Precision | str = "fp32",
        predictor_precision: Precision | str | None = None,
        backend: GraphBackend | None = None,
    ) -> Talker:
        """Pack a checkpoint's weights around prompts that were read before.

        Args:
            sizes: Sizes of the checkpoint.
            state: Upstream's tensors by their names below ``talker.``; a mapping that reads them as they are asked for
                is never in memory as a whole.
            prompts: Lays out utterances; its device is the talker's.
            precision: Precision of the talker.
            predictor_precision: Precision of the code predictor; None: the talker's.
            backend: Captures frames as graphs; None runs them eagerly.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        others = predictor_precision or precision
        networks = pack_networks(sizes, state, prompts.codes, precision, others, rows=STREAMS)
        return cls(sizes, prompts, networks, backend=backend)

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
        """Read and pack a checkpoint's weights; arguments and errors as for `pack`, and the device that it runs on."""
        prompts = read_prompts(sizes, state, torch.device(device))
        return cls.pack(
            sizes, state, prompts, precision=precision, predictor_precision=predictor_precision, backend=backend
        )

    # -- drawing -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def begin(self, utterances: Sequence[Utterance], *, check_every: int | None = None) -> FrameLoop:
        """Read the prompts and draw the first codes; go on with `FrameLoop.run`.

        The loop has as many streams as the next of `STREAMS`: the first ones are the utterances'.

        Args:
            utterances: At least one, at most eight.
            check_every: Frames between two synchronizations; None: every frame where they cost nothing (CPU), else
                every few.
        """
        layouts = [self.prompts(u) for u in utterances]
        slots = max(len(layout.prompt) for layout in layouts) + max(u.max_frames for u in utterances) + 1
        frame_loop = self._loop(len(utterances), slots)
        spare = frame_loop.loop.streams - len(utterances)
        rows = [*utterances, *[idle(utterances[0])] * spare]
        frame_loop.loop.check_every = check_every or sync_interval(self.decoder.device, SYNC_INTERVAL)
        frame_loop.begin([*layouts, *[layouts[0]] * spare], self.prompts.pad, rows)
        return frame_loop

    def decode(self, utterances: Sequence[Utterance], *, check_every: int | None = None) -> Generator[Frames]:
        """Draw the utterances, yielding some frames at a time, until all have ended."""
        try:
            for frames in self.begin(utterances, check_every=check_every).run():
                n = len(utterances)
                yield Frames(frames.codes[:n], frames.finished[:n], frames.stopped[:n])
        finally:
            self.release()

    def release(self) -> None:
        """Drop the caches of batches, which a single utterance does not use; graphs need theirs."""
        self._loops.release()

    def prepare(self, utterance: Utterance) -> FrameLoop:
        """Make the loop of one stream for such an utterance, and with graphs capture every frame of it."""
        with torch.inference_mode():
            prompt = len(self.prompts(utterance).prompt)
        slots = prompt + utterance.max_frames + 1
        frame_loop = self._loop(1, slots)
        frame_loop.warm_up(slots, utterance, prompt=prompt)
        return frame_loop

    @torch.inference_mode()
    def logits(self, utterance: Utterance, codes: Tensor) -> Logits:
        """Compute the logits that the codes of given frames would be drawn from.

        Args:
            utterance: What is spoken.
            codes: int64 (frames, 16), at least one frame.
        """
        layout, n = self.prompts(utterance), len(codes)
        codes = codes.to(self.decoder.device)
        padding = self.prompts.pad.expand(max(0, n - len(layout.trailing)), -1)
        past = self._codes.frames(codes) + torch.cat([layout.trailing, padding])[:n]
        x = torch.cat([layout.prompt, past[:-1]])[None]  # (1, prompt + frames - 1, hidden)
        # Only the last n states draw a frame; those before them are the prompt's.
        hidden = self.decoder.prefill(x, self.decoder.new_cache(1, x.shape[1]), every=True)[0, -n:]
        return Logits(self._head(hidden).float(), self.predictor.logits(hidden, codes))

    @property
    def recipes(self) -> tuple[SamplingRecipe, SamplingRecipe]:
        """The sampling recipe of a frame's first code, and that of the others."""
        return self._recipe, self.predictor.recipe

    @staticmethod
    def params(utterance: Utterance) -> tuple[SamplingParams, SamplingParams]:
        """Return the sampling parameters of an utterance's first codes, and of the others."""
        return talker_params(utterance), predictor_params(utterance)

    def cost(self, loop: FrameLoop) -> tuple[int, int]:
        """Count the operations and the bytes read of the loop's next frame."""
        flops, read = self.decoder.step_cost(self._head, loop.loop.cache)
        return flops + 2 * self.predictor.weights * loop.loop.streams, read + self.predictor.bytes_read

    # -- loops -------------------------------------------------------------------------------------------------------

    def _loop(self, utterances: int, slots: int) -> FrameLoop:
        """Return the loop of the next larger number of streams, with so many slots or more."""
        return self._loops.of(next(n for n in STREAMS if n >= utterances), slots, self._new_loop)

    def _new_loop(self, streams: int, cap: int) -> FrameLoop:
        return FrameLoop(
            self.decoder, self._head, self.predictor, self._recipe,
            streams=streams, cap=cap, backend=self._backend,
        )  # fmt: skip
