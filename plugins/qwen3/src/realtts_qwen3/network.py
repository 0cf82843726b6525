"""The talker and its code predictor on the toolkit's decoder: from laid out text to frames of sixteen codes.

The talker, 28 layers of Qwen3's kind, draws the first code of each 80 ms; the predictor, 5 layers, draws the fifteen
behind it. Source: ``core/models/modeling_qwen3_tts.py`` of github.com/QwenLM/Qwen3-TTS.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, Loops, Rope
from realtts.accel.sampling import SamplingParams, SamplingRecipe
from realtts.accel.tensorfile import rows_of
from realtts.checkpoints.reading import mismatch
from realtts_qwen3.embedding import CodeEmbedding, TextEmbedding
from realtts_qwen3.frames import FrameLoop, Frames, first_params, other_params
from realtts_qwen3.predictor import CodePredictor
from realtts_qwen3.prompt import Prompts, Utterance
from realtts_qwen3.shapes import model_shapes

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.cuda_graph import GraphBackend
    from realtts.accel.decoder import Precision
    from realtts_qwen3.sizes import Backbone, Sizes

__all__ = ["STREAMS", "Frames", "Logits", "Talker", "Utterance"]

STREAMS = (1, 2, 4, 8)
"""Numbers of utterances that there is a loop for; a batch takes the next larger one."""

_OWN = "talker."
_TALKER = "model."
_PREDICTOR = "code_predictor.model."
_TEXT = "model.text_embedding.weight"
_SPECIAL = 1024
"""The last ids of the talker's vocabulary steer it and are never drawn, but for the end."""

_GRAPHED_SLOTS = 1536
"""The cache's least cap with graphs, which a longer one would throw away: what 400 characters may take, and a cloned
recording before them. In bfloat16 176 MB for each stream."""

_POSITIONS = 16384
"""Longest prompt with its frames: twice what upstream's limit of new tokens is."""

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
        decoder: The talker's layers.
        head: Its head.
        predictor: Draws the other codes of a frame.
        prompts: Lays out utterances.
        backend: Captures frames as graphs; None runs them eagerly.
    """

    def __init__(
        self,
        sizes: Sizes,
        decoder: Decoder,
        head: Tensor,
        predictor: CodePredictor,
        prompts: Prompts,
        *,
        backend: GraphBackend | None = None,
    ) -> None:
        self.decoder, self.predictor, self.prompts = decoder, predictor, prompts
        self._codes = predictor.embedding
        self._head = decoder.pack(head)
        self._backend = backend
        self._loops: Loops[int, FrameLoop] = Loops(least=0 if backend is None else _GRAPHED_SLOTS)
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
        reader = _Reader(sizes, state, torch.device(device))
        groups = range(sizes.groups - 1)
        tables = [f"model.codec_embedding.{group}.weight" for group in groups]
        others = torch.stack([reader.as_stored(f"code_predictor.{name}") for name in tables])
        codes = CodeEmbedding(reader.as_stored("model.codec_embedding.weight"), others)
        talker = Decoder.from_state_dict(
            _config(sizes.talker), state, prefix=_TALKER, ignore=("codec_embedding.weight", "text_embedding.weight"),
            device=device, precision=precision, rows=STREAMS, max_positions=_POSITIONS,
        )  # fmt: skip
        decoder = Decoder.from_state_dict(
            _config(sizes.predictor), state, prefix=_PREDICTOR, ignore=[name.removeprefix("model.") for name in tables],
            device=device, precision=predictor_precision or precision, rows=STREAMS, max_positions=sizes.groups,
        )  # fmt: skip
        projection = None
        if sizes.predictor.hidden != sizes.talker.hidden:
            projection = decoder.pack(*reader.linear("code_predictor.small_to_mtp_projection"))
        heads = [decoder.pack(reader.read(f"code_predictor.lm_head.{group}.weight")) for group in groups]
        text = TextEmbedding(
            rows_of(state, _TEXT),
            reader.linear("text_projection.linear_fc1"),
            reader.linear("text_projection.linear_fc2"),
        )
        predictor = CodePredictor(decoder, heads, codes, projection)
        prompts = Prompts(text, codes, sizes.ids)
        return cls(sizes, talker, reader.read("codec_head.weight"), predictor, prompts, backend=backend)

    # -- drawing -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def begin(self, utterances: Sequence[Utterance], *, check_every: int | None = None) -> FrameLoop:
        """Read the prompts and draw the first codes; go on with `FrameLoop.run`.

        Its streams are as many as the next of `STREAMS`: the first ones are the utterances'.

        Args:
            utterances: At least one, at most eight.
            check_every: Frames between two looks at the device; None: every frame where a look costs nothing (CPU),
                else every four.
        """
        layouts = [self.prompts(u) for u in utterances]
        need = max(len(layout.prompt) for layout in layouts) + max(u.most for u in utterances) + 1
        own = self._loop(len(utterances), need)
        idle = own.loop.streams - len(utterances)
        rows = [*utterances, *[_silent(utterances[0])] * idle]
        if check_every is None:
            check_every = 1 if self.decoder.device.type == "cpu" else 4
        own.loop.check_every = check_every
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
        if self._backend is None:
            self._loops.keep(lambda streams: streams == 1)

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

    # -- what a frame costs ------------------------------------------------------------------------------------------

    @property
    def prompt_weights(self) -> int:
        """Parameters that a position of the prompt multiplies by."""
        return self.decoder.config.parameters

    @property
    def weights(self) -> int:
        """Parameters that a frame multiplies by, each as often as it does."""
        talker = self.prompt_weights + self._head.in_features * self._head.out_features
        heads = self.predictor.heads
        predictor = self.predictor.decoder.config.parameters + heads[0].in_features * heads[0].out_features
        return talker + len(heads) * predictor

    def bytes_read(self, loop: FrameLoop) -> int:
        """What the loop's next frame has to read at least."""
        cache = loop.loop.cache
        return self.decoder.bytes_read(cache, cache.filled) + self._head.bytes_read + self.predictor.bytes_read

    # -- loops -------------------------------------------------------------------------------------------------------

    def _loop(self, utterances: int, slots: int) -> FrameLoop:
        """The loop for so many."""
        return self._loops.of(next(n for n in STREAMS if n >= utterances), slots, self._new_loop)

    def _new_loop(self, streams: int, cap: int) -> FrameLoop:
        return FrameLoop(
            self.decoder, self._head, self.predictor, self._recipe,
            streams=streams, cap=cap, backend=self._backend, check_every=1,
        )  # fmt: skip


class _Reader:
    """The talker's tensors, checked by name and shape before any of them is used.

    Args:
        sizes: Of the checkpoint.
        state: Upstream's tensors.
        device: Where they go.
    """

    def __init__(self, sizes: Sizes, state: Mapping[str, Tensor], device: torch.device) -> None:
        shapes = model_shapes(sizes).items()
        self._shapes = {name.removeprefix(_OWN): shape for name, shape in shapes if name.startswith(_OWN)}
        self._state, self._device = state, device
        own = set(state)
        for kind, names in (("missing", self._shapes.keys() - own), ("unexpected", own - self._shapes.keys())):
            if names:
                raise mismatch(f"{len(names)} tensors are {kind}, the first is {min(names)}", "talker")

    def as_stored(self, name: str) -> Tensor:
        """A tensor in the checkpoint's own type."""
        tensor = self._state[name]
        if tuple(tensor.shape) != self._shapes[name]:
            raise mismatch(f"{name} has the shape {tuple(tensor.shape)}, expected {self._shapes[name]}", "talker")
        return tensor.to(self._device)

    def read(self, name: str) -> Tensor:
        """A tensor as float32."""
        return self.as_stored(name).float()

    def linear(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer."""
        return self.read(f"{name}.weight"), self.read(f"{name}.bias")


def _config(sizes: Backbone) -> DecoderConfig:
    """Upstream's rotary positions have three parts, which are always equal: they are plain ones."""
    return DecoderConfig(
        layers=sizes.layers,
        hidden_size=sizes.hidden,
        heads=sizes.heads,
        kv_heads=sizes.kv_heads,
        head_dim=sizes.head_dim,
        mlp_size=sizes.intermediate,
        norm_eps=sizes.norm_eps,
        qk_norm=True,
        rope=Rope(sizes.rope_theta),
    )


def _silent(utterance: Utterance) -> Utterance:
    """What a stream does that no utterance is left for."""
    greedy = SamplingParams(greedy=True)
    return replace(utterance, talker=greedy, predictor=greedy, seed=0, most=1, forced=False)
