"""The language model on the toolkit's decoder: from a prompt's tokens to the codec's codes, fifty for a second.

A Qwen2 (v1) or a Llama (0.3B and v2), as their ``config.json`` says. Source: ``vieneu/standard.py`` of
github.com/pnnbao97/VieNeu-TTS, and ``generate`` of transformers, which it calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, Loops
from realtts.accel.tensorfile import shapes_of
from realtts_vieneu.batch import Batch
from realtts_vieneu.drawing import Drawn, Network, TokenLoop, params_of
from realtts_vieneu.embedding import TokenEmbedding, output_rows
from realtts_vieneu.head import Outputs
from realtts_vieneu.prefixes import Prefixes
from realtts_vieneu.shapes import EMBEDDING, HEAD, check_shapes
from realtts_vieneu.utterance import SpeechIds, Utterance, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.cuda_graph import GraphBackend
    from realtts.accel.decoder import Precision
    from realtts.accel.linear import PackedLinear
    from realtts.accel.sampling import GeneratorNoise, HashedNoise, SamplingParams, SamplingRecipe
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.sizes import Sizes

__all__ = ["ROWS", "Drawn", "SpeechLM", "Utterance"]

ROWS = (1, 2, 4, 8, 16)
"""Numbers of utterances that there are graphs for; a batch takes the next larger one. Without graphs any number up to
the last is decoded as it is."""

_PREFIX = "model."

_GRAPHED_SLOTS = 2048
"""The cache's least cap with graphs, which a longer one would throw away: upstream's longest prompt with its codes."""

_POSITIONS = 4096
"""Longest prompt with its codes: twice that."""

_LOOK = 8
"""Tokens between two looks at a device that computes behind the host; on the CPU a look costs nothing."""


class SpeechLM:
    """Draws the codes of up to sixteen utterances at once; made by `from_state_dict`.

    Args:
        network: Layers, head and embedding.
        backend: Captures prompts and steps as graphs; None runs them eagerly.
    """

    def __init__(self, network: Network, *, backend: GraphBackend | None = None) -> None:
        self._network, self._backend = network, backend
        self._loops: Loops[int, TokenLoop] = Loops(least=0 if backend is None else _GRAPHED_SLOTS)

    @classmethod
    def from_state_dict(
        cls,
        sizes: Sizes,
        speech: SpeechIds,
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        head: HeadKind = "speech",
        backend: GraphBackend | None = None,
    ) -> SpeechLM:
        """Pack a checkpoint's weights.

        Args:
            sizes: Of the checkpoint.
            speech: Which of its tokens are speech.
            state: Upstream's tensors. One that reads them as they are asked for is never in memory as a whole, and with
                the head ``"speech"`` neither is the embedding where it has ``rows(name, ids)``.
            device: Where it runs.
            precision: Of layers and head.
            head: ``"full"``: any token is drawn, as upstream does it; ``"speech"``: codes and the end alone.
            backend: Captures prompts and steps as graphs; None runs them eagerly.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        device = torch.device(device)
        outputs = Outputs.of(head, sizes.vocabulary, speech)
        check_shapes(shapes_of(state), sizes, "language model")
        decoder = Decoder.from_state_dict(
            DecoderConfig.from_transformers(sizes.config), state,
            prefix=_PREFIX, device=device, precision=precision, rows=ROWS, max_positions=_POSITIONS,
        )  # fmt: skip
        embedding = TokenEmbedding.of(state, EMBEDDING, outputs, device)
        rows = embedding.drawn if sizes.tied else output_rows(state, HEAD, outputs, device)
        return cls(
            Network(decoder, decoder.pack(rows), outputs, embedding, Prefixes(decoder, embedding)), backend=backend
        )

    # -- drawing -----------------------------------------------------------------------------------------------------

    def begin(
        self,
        utterances: Sequence[Utterance],
        *,
        check_every: int | None = None,
        wanted: Callable[[int], bool] = lambda _: True,
    ) -> Batch:
        """Read the prompts and draw the first tokens; go on with `Batch.run`.

        Args:
            utterances: At least one, at most sixteen.
            check_every: Tokens between two looks at the device; None: every token where a look costs nothing (CPU),
                else every eight.
            wanted: Asked before the prompt of an utterance is read, by its number.

        Raises:
            DecoderError: Prompt and tokens are too long.
        """
        need = max(len(u.ids) for u in utterances) + max(u.most for u in utterances)
        own = self._loops.of(self._streams(len(utterances)), need, self._new_loop)
        idle = own.loop.streams - len(utterances)
        if check_every is None:
            check_every = 1 if self.decoder.device.type == "cpu" else _LOOK
        own.loop.check_every = check_every
        own.begin([*utterances, *[silent(utterances[0])] * idle], wanted)
        return Batch(own, len(utterances), self.release)

    def decode(self, utterances: Sequence[Utterance], *, check_every: int | None = None) -> Generator[Drawn]:
        """Tokens of the utterances, some at a time, until all have ended."""
        try:
            yield from self.begin(utterances, check_every=check_every).run()
        finally:
            self.release()

    def release(self) -> None:
        """Let go of the caches of batches, which a single utterance has no use for; graphs keep theirs."""
        if self._backend is None:
            self._loops.keep(lambda streams: streams == 1)

    def warm_up(self, utterance: Utterance) -> None:
        """Capture prompt and steps of such an utterance, and draw it once."""
        own = self._loops.of(1, len(utterance.ids) + utterance.most, self._new_loop)
        own.warm_up(utterance)
        for _ in self.decode([utterance]):
            pass

    @torch.inference_mode()
    def logits(self, utterance: Utterance, tokens: Sequence[int]) -> Tensor:
        """What given tokens would be drawn from.

        Args:
            utterance: What is spoken.
            tokens: Of the checkpoint's vocabulary, at least one.

        Returns:
            float32 (n, outputs), an output for each of `outputs`.
        """
        x = self._network.embedding.prompt([*utterance.ids, *tokens[:-1]])[None]
        hidden = self.decoder.prefill(x, self.decoder.new_cache(1, x.shape[1]), every=True)[0, -len(tokens) :]
        return self._network.head(hidden).float()

    @property
    def decoder(self) -> Decoder:
        """The layers."""
        return self._network.decoder

    @property
    def head(self) -> PackedLinear:
        """Hidden states to logits."""
        return self._network.head

    @property
    def outputs(self) -> Outputs:
        """What the logits are."""
        return self._network.outputs

    @property
    def prefixes(self) -> Prefixes:
        """What prompts begin with."""
        return self._network.prefixes

    @property
    def recipe(self) -> SamplingRecipe:
        """How logits become tokens."""
        return self.outputs.recipe

    def noise(self) -> GeneratorNoise | HashedNoise:
        """What one utterance's tokens are drawn with, before it is seeded."""
        return self._network.noise(1)

    @staticmethod
    def params(utterance: Utterance) -> SamplingParams:
        """How an utterance's tokens are drawn."""
        return params_of(utterance)

    # -- what a token costs ------------------------------------------------------------------------------------------

    @property
    def prompt_weights(self) -> int:
        """Parameters that a position of the prompt multiplies by."""
        return self.decoder.config.parameters

    @property
    def weights(self) -> int:
        """Parameters that a token multiplies by."""
        return self.prompt_weights + self.head.in_features * self.head.out_features

    def bytes_read(self, batch: Batch) -> int:
        """What a batch's next step has to read at least."""
        cache = batch.loop.cache
        return self.decoder.bytes_read(cache, cache.filled) + self.head.bytes_read

    # -- loops -------------------------------------------------------------------------------------------------------

    def _streams(self, utterances: int) -> int:
        """Rows of the loop for so many."""
        return utterances if self._backend is None else next(n for n in ROWS if n >= utterances)

    def _new_loop(self, streams: int, cap: int) -> TokenLoop:
        return TokenLoop(self._network, streams=streams, cap=cap, backend=self._backend)
