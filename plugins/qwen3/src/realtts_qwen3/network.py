"""The talker and its code predictor on the toolkit's decoder: from prompts to frames of sixteen codes.

The talker, 28 layers of Qwen3's kind, draws the first code of each 80 ms; the predictor, 5 layers, draws the fifteen
behind it. Source: ``core/models/modeling_qwen3_tts.py`` of github.com/QwenLM/Qwen3-TTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder import affordable_places
from realtts.accel.decoder.prefixes import Prefixes
from realtts.accel.sampling import SamplingRecipe
from realtts.accel.weights.packed_cache import NO_CACHE
from realtts_qwen3.assembly import pack_networks, read_prompts
from realtts_qwen3.frames import CHUNK, FrameRows
from realtts_qwen3.utterance import predictor_params, talker_params

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Admission, Precision, RowBlock
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import SamplingParams
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts_qwen3.assembly import Networks
    from realtts_qwen3.prompt import Layout, Prompts
    from realtts_qwen3.sizes import Sizes
    from realtts_qwen3.utterance import Utterance

__all__ = ["Logits", "Talker"]

_ROWS = (1, 2, 4, 8)
"""Numbers of rows that kernels are chosen for."""

_SPECIAL = 1024
"""The last ids of the talker's vocabulary steer it and are never drawn, but for the end."""

_SLOTS = 1536
"""Least slots of a row, because a longer one needs a new cache, for which all rows must end first: what 400 characters
may take, and a cloned recording before them. In bfloat16 176 MB a row; on the CPU only what is written counts."""

_ROUND = 128
"""Slots are a multiple of this."""

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
    """Draws the frames of several utterances at once; made by `pack` or `from_state_dict`.

    Args:
        sizes: Sizes of the checkpoint.
        prompts: Lays out utterances.
        networks: The packed networks.
        places: Most utterances at once.
        backend: Captures frames as graphs; None runs them eagerly.

    Attributes:
        decoder: The talker's layers.
        predictor: The code predictor.
        prompts: As given.
        places: As given, or as many as the memory holds.
    """

    def __init__(
        self,
        sizes: Sizes,
        prompts: Prompts,
        networks: Networks,
        *,
        places: int = 1,
        backend: GraphBackend | None = None,
    ) -> None:
        self.decoder, self._head, self.predictor = networks
        self.prompts, self._codes = prompts, prompts.codes
        self.places = affordable_places(self.decoder, places, slots=_SLOTS)
        self._backend = backend
        self._prefixes = Prefixes(self.decoder, CHUNK, padded=backend is not None)
        self._rows: FrameRows | None = None
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
        places: int = 1,
        backend: GraphBackend | None = None,
        cache: PackedCache = NO_CACHE,
    ) -> Talker:
        """Pack a checkpoint's weights around prompts that were read before.

        Args:
            sizes: Sizes of the checkpoint.
            state: Upstream's tensors by their names below ``talker.``; a mapping that reads them as they are asked for
                is never in memory as a whole.
            prompts: Lays out utterances; its device is the talker's.
            precision: Precision of the talker.
            predictor_precision: Precision of the code predictor; None: the talker's.
            places: Most utterances at once.
            backend: Captures frames as graphs; None runs them eagerly.
            cache: Where packed weights are kept.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        others = predictor_precision or precision
        networks = pack_networks(sizes, state, prompts.codes, precision, others, rows=_ROWS, cache=cache)
        return cls(sizes, prompts, networks, places=places, backend=backend)

    @classmethod
    def from_state_dict(
        cls,
        sizes: Sizes,
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        predictor_precision: Precision | str | None = None,
        places: int = 1,
        backend: GraphBackend | None = None,
    ) -> Talker:
        """Read and pack a checkpoint's weights; arguments and errors as for `pack`, and the device that it runs on."""
        prompts = read_prompts(sizes, state, torch.device(device))
        return cls.pack(
            sizes, state, prompts,
            precision=precision, predictor_precision=predictor_precision, places=places, backend=backend,
        )  # fmt: skip

    # -- drawing -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def laid_out(self, utterance: Utterance) -> Layout:
        """Lay out an utterance."""
        return self.prompts(utterance)

    def rows_for(self, slots: int) -> FrameRows:
        """Return the rows, made anew where each of them needs more slots; then none may have a place.

        Raises:
            DecoderError: More slots than there are positions.
        """
        if self._rows is None or self._rows.loop.cache.cap < slots:
            self._rows = None  # or its cache would be in memory beside the new one
            with torch.inference_mode():
                pad = self.prompts.pad
            self._rows = FrameRows(
                self.decoder, self._head, self.predictor, self._recipe, pad=pad, places=self.places,
                cap=-(-max(slots, _SLOTS) // _ROUND) * _ROUND, backend=self._backend,
            )  # fmt: skip
        return self._rows

    def admission(self, layout: Layout, utterance: Utterance) -> Admission:
        """Return what a place in `rows_for` is given for; what a voice begins with is read once."""
        assert self._rows is not None
        return self._rows.admission(layout, utterance, self._prefixes.of(layout.prompt, layout.shared))

    def decode(self, utterances: Sequence[Utterance]) -> Generator[RowBlock, None, None]:
        """Draw utterances that begin together, and yield what is new of each, until all have ended.

        Args:
            utterances: Not more than there are places; their numbers are 0, 1 and so on.

        Raises:
            NotFinite: The logits of one were not finite.
        """
        layouts = [self.laid_out(utterance) for utterance in utterances]
        needed = max(FrameRows.slots(*pair) for pair in zip(layouts, utterances, strict=True))
        rows = self.rows_for(needed)
        try:
            for number, pair in enumerate(zip(layouts, utterances, strict=True)):
                rows.loop.admit(number, self.admission(*pair))
            while rows.loop.busy:
                for block in rows.loop.step():
                    if block.error is not None:
                        raise block.error
                    yield block
                    if block.end is not None:
                        rows.loop.release(block.number)
        finally:
            rows.clear()
            self.release()

    def release(self) -> None:
        """Give the memory of rows back that several utterances have used; graphs need theirs."""
        if self._backend is None and self._rows is not None and self._rows.most > 1:
            self._rows = None

    def prepare(self, utterance: Utterance, *, slots: int | None = None) -> FrameRows:
        """Make the rows for such an utterance, and with graphs capture all numbers of rows.

        Args:
            utterance: What to prepare for.
            slots: Slots of the longest row to capture for; None: those of the utterance.
        """
        needed = FrameRows.slots(self.laid_out(utterance), utterance)
        rows = self.rows_for(needed)
        rows.warm_up(utterance, up_to=slots or needed)
        self._prefixes.warm_up(self.laid_out(utterance).prompt)
        return rows

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

    def cost(self, rows: int) -> tuple[int, int]:
        """Count the operations and the bytes read of the next frame of so many rows."""
        assert self._rows is not None
        flops, read = self.decoder.step_cost(self._head, self._rows.loop.cache, rows)
        return flops + 2 * self.predictor.weights * rows, read + self.predictor.bytes_read
