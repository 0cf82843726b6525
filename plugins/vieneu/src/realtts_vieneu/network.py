"""The language model on the toolkit's decoder: from a prompt's tokens to the codec's codes, fifty for a second.

A Qwen2 (v1) or a Llama (0.3B and v2), as their ``config.json`` says. Source: ``vieneu/standard.py`` of
github.com/pnnbao97/VieNeu-TTS, and ``generate`` of transformers, which it calls.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, LoopPool, Precision, sync_interval
from realtts.accel.decoder.layers import sample
from realtts.accel.decoder.reading import read_layers
from realtts.accel.kernels import PackedLinear, choose_kernel
from realtts.accel.weights.tensorfile import shapes_of
from realtts.kit.reading import check_shapes
from realtts_vieneu.batch import Batch
from realtts_vieneu.drawing import Drawn, Network, TokenLoop, params_of
from realtts_vieneu.embedding import TokenEmbedding, output_rows
from realtts_vieneu.head import Outputs
from realtts_vieneu.prefixes import Prefixes, copied
from realtts_vieneu.shapes import EMBEDDING, HEAD, PREFIX, model_shapes
from realtts_vieneu.utterance import DEFAULTS, SpeechIds, Utterance, silent

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.weights import LayerWeights
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import GeneratorNoise, HashedNoise, SamplingParams, SamplingRecipe
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.sizes import Sizes

__all__ = ["ROWS", "WARM_ROWS", "WARM_TOKENS", "Drawn", "SpeechLM", "Utterance"]

ROWS = (1, 2, 4, 8, 16)
"""Numbers of utterances that have graphs; a batch takes the next larger one. Without graphs a batch of any number up to
the last is decoded as it is."""

WARM_ROWS = ROWS[:3]
"""Numbers that are captured beforehand: a text of up to four sentences needs no others, nor does a stream of up to
seven. Those for more have a cache of their own, which is large."""

WARM_TOKENS = 4
"""Tokens that are drawn to warm up."""

_GRAPHED_SLOTS = 2048
"""The cache's least cap with graphs, which a longer one would throw away: upstream's longest prompt with its codes."""

_POSITIONS = 6144
"""Longest prefix, prompt behind it and codes, each of another utterance, and each within upstream's 2048."""


class SpeechLM:
    """Draws the codes of up to sixteen utterances at once; made by `embed` and `pack`, or by `from_state_dict`.

    Args:
        network: Layers, head and embedding.
        backend: Captures prompts and steps as graphs; None runs them eagerly.

    Attributes:
        graphed: Whether prompts and steps run as graphs.
    """

    def __init__(self, network: Network, *, backend: GraphBackend | None = None) -> None:
        self.graphed = backend is not None
        self._network, self._backend = network, backend
        self._loops: LoopPool[int, TokenLoop] = LoopPool(graphed=backend is not None, least=_GRAPHED_SLOTS)

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
        drawing: SamplingParams = DEFAULTS,
        backend: GraphBackend | None = None,
    ) -> SpeechLM:
        """Read and pack a checkpoint's weights.

        Args:
            sizes: Of the checkpoint.
            speech: Which of its tokens are speech.
            state: As of `pack`.
            device: Where it runs.
            precision: Of layers and head.
            head: As of `embed`.
            drawing: As of `embed`.
            backend: Captures prompts and steps as graphs; None runs them eagerly.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: No kernel of that precision works here.
        """
        check_shapes(shapes_of(state), model_shapes(sizes), "language model", spare=(HEAD,))
        embedding = cls.embed(sizes, speech, state, device=device, head=head, drawing=drawing)
        return cls.pack(sizes, state, embedding, device=device, precision=precision, backend=backend)

    @staticmethod
    def embed(
        sizes: Sizes,
        speech: SpeechIds,
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        head: HeadKind = "speech",
        drawing: SamplingParams = DEFAULTS,
    ) -> TokenEmbedding:
        """Read the embedding, which stays in the checkpoint's type whatever the precision.

        Args:
            sizes: Of the checkpoint.
            speech: Which of its tokens are speech.
            state: As of `pack`.
            device: Where it runs.
            head: ``"full"``: any token is drawn, as upstream does it; ``"speech"``: codes and the end alone.
            drawing: Defaults of sampling. A processor that does nothing by default (``repetition_penalty``, ``top_p``)
                is left out, so that no utterance can ask for it.
        """
        outputs = Outputs.of(head, sizes.vocabulary, speech, drawing)
        return TokenEmbedding.read(state, EMBEDDING, outputs, torch.device(device))

    @classmethod
    def pack(
        cls,
        sizes: Sizes,
        state: Mapping[str, Tensor],
        embedding: TokenEmbedding,
        *,
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        backend: GraphBackend | None = None,
    ) -> SpeechLM:
        """Read layers and head and pack them, one after the other.

        Args:
            sizes: Of the checkpoint.
            state: Upstream's tensors. A mapping that reads them as they are asked for is never in memory as a whole,
                and with the head ``"speech"`` neither is the embedding where the mapping has ``rows(name, ids)``.
            embedding: From `embed`, of the same state.
            device: Where it runs.
            precision: Of layers and head.
            backend: Captures prompts and steps as graphs; None runs them eagerly.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: No kernel of that precision works here.
        """
        device, outputs = torch.device(device), embedding.outputs
        config, precision = DecoderConfig.from_transformers(sizes.config), Precision.of(precision, device)
        layers, norm, _ = read_layers(config, state, PREFIX, (EMBEDDING.removeprefix(PREFIX),), device)
        first = sample(layers)
        matrices = [matrix for layer in first for matrix in layer.matrices]
        kernel = choose_kernel(matrices, precision.weights, rows=ROWS)
        del matrices
        # The head is packed before the layers: its float32 copy, up to 0.9 GB that go again, would else come on top of
        # everything that stays.
        rows = embedding.drawn if sizes.tied else output_rows(state, HEAD, outputs, device)
        head = PackedLinear(rows, None, kernel)
        del rows
        decoder = Decoder(
            config, itertools.chain(_taken(first), layers), norm,
            precision=precision, rows=ROWS, max_positions=_POSITIONS, kernel=kernel.name,
        )  # fmt: skip
        return cls(Network(decoder, head, outputs, embedding, Prefixes(decoder, embedding)), backend=backend)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def begin(
        self,
        utterances: Sequence[Utterance],
        *,
        check_every: int | None = None,
        still_wanted: Callable[[int], bool] = lambda _: True,
    ) -> Batch:
        """Read the prompts and draw the first tokens; go on with `Batch.run`.

        Args:
            utterances: At least one, at most sixteen.
            check_every: Tokens between two synchronisations with the device; None: every token where that costs nothing
                (CPU), else every eight.
            still_wanted: Called with an utterance's number before its prompt is read; False leaves it out.

        Raises:
            DecoderError: Prompt and tokens are too long.
        """
        # What is left of the prompts is read together, each behind its own prefix.
        rests = [len(u.ids) - copied(u) for u in utterances]
        need = max(map(copied, utterances)) + max(rests) + max(u.most for u in utterances)
        tokens = self._loops.of(self._streams(len(utterances)), need, self._new_loop)
        idle = tokens.loop.streams - len(utterances)
        tokens.loop.check_every = check_every or sync_interval(self.decoder.device)
        tokens.begin([*utterances, *[silent(utterances[0])] * idle], still_wanted)
        return Batch(tokens, len(utterances), self.release)

    def decode(self, utterances: Sequence[Utterance], *, check_every: int | None = None) -> Generator[Drawn]:
        """Yield tokens of the utterances, some at a time, until all have ended."""
        try:
            yield from self.begin(utterances, check_every=check_every).run()
        finally:
            self.release()

    def release(self) -> None:
        """Release the caches of batches, which a single utterance has no use for; graphs keep theirs."""
        self._loops.release()

    def capture(self, utterance: Utterance) -> None:
        """Capture prompts and steps of such utterances, one alone and a few together; does nothing without graphs."""
        for streams in WARM_ROWS if self.graphed else ():
            self._loops.of(streams, len(utterance.ids) + utterance.most, self._new_loop).warm_up(utterance)

    def warm_up(self, utterance: Utterance) -> None:
        """Draw some tokens of an utterance."""
        few = min(utterance.most, WARM_TOKENS)
        for _ in self.decode([replace(utterance, most=few, least=few)]):
            pass

    @torch.inference_mode()
    def logits(self, utterance: Utterance, tokens: Sequence[int]) -> Tensor:
        """Return the logits that given tokens would be drawn from.

        Args:
            utterance: What is spoken.
            tokens: Of the checkpoint's vocabulary, at least one.

        Returns:
            float32 (n, outputs), an output for each of `outputs`.
        """
        x = self._network.embedding.prompt([*utterance.ids, *tokens[:-1]])[None]  # (n, hidden) -> (1, n, hidden)
        hidden = self.decoder.prefill(x, self.decoder.new_cache(1, x.shape[1]), every=True)[0, -len(tokens) :]
        return self._network.head(hidden).float()

    @property
    def decoder(self) -> Decoder:
        """The layers."""
        return self._network.decoder

    @property
    def head(self) -> PackedLinear:
        """From hidden states to logits."""
        return self._network.head

    @property
    def outputs(self) -> Outputs:
        """Tokens that the logits stand for."""
        return self._network.outputs

    @property
    def prefixes(self) -> Prefixes:
        """Keys and values of what prompts begin with."""
        return self._network.prefixes

    @property
    def recipe(self) -> SamplingRecipe:
        """How a token is drawn from logits."""
        return self.outputs.recipe

    def noise(self) -> GeneratorNoise | HashedNoise:
        """Return the noise that one utterance's tokens are drawn with, before it is seeded."""
        return self._network.noise(1)

    @staticmethod
    def params(utterance: Utterance) -> SamplingParams:
        """Return how an utterance's tokens are drawn."""
        return params_of(utterance)

    def cost(self, batch: Batch) -> tuple[int, int]:
        """Return operations and bytes of a batch's next step."""
        return self.decoder.step_cost(self.head, batch.loop.cache, batch.loop.streams)

    # -- loops -------------------------------------------------------------------------------------------------------

    def _streams(self, utterances: int) -> int:
        """Return the rows of the loop for so many utterances."""
        return utterances if self._backend is None else next(n for n in ROWS if n >= utterances)

    def _new_loop(self, streams: int, cap: int) -> TokenLoop:
        return TokenLoop(self._network, streams=streams, cap=cap, backend=self._backend)


def _taken(layers: deque[LayerWeights]) -> Iterator[LayerWeights]:
    """Yield layers and let go of each, so that the decoder, which packs them one by one, is the last to hold it."""
    while layers:
        yield layers.popleft()
