"""The language model on the toolkit's decoder: from a prompt's tokens to the codec's codes, fifty for a second.

A Qwen2 (v1) or a Llama (0.3B and v2), as their ``config.json`` says. Source: ``vieneu/standard.py`` of
github.com/pnnbao97/VieNeu-TTS, and ``generate`` of transformers, which it calls.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, Precision, affordable_places
from realtts.accel.decoder.reading import read_layers
from realtts.accel.decoder.storing import begin_storing, pack_linear
from realtts.accel.weights.packed_cache import NO_CACHE
from realtts.accel.weights.tensorfile import shapes_of
from realtts.kit.reading import check_shapes
from realtts_vieneu.drawing import Drawn, Network, TokenRows, params_of
from realtts_vieneu.embedding import TokenEmbedding, output_rows
from realtts_vieneu.head import Outputs
from realtts_vieneu.prefixes import Prefixes
from realtts_vieneu.shapes import EMBEDDING, HEAD, PREFIX, model_shapes
from realtts_vieneu.utterance import DEFAULTS, SpeechIds, Utterance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.sampling import GeneratorNoise, HashedNoise, SamplingParams, SamplingRecipe
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.sizes import Sizes

__all__ = ["PLACES", "WARM_TOKENS", "Drawn", "SpeechLM", "Utterance"]

ROWS = (1, 2, 4, 8, 16)
"""Numbers of rows that products are laid out for."""

PLACES = ROWS[-1]
"""Utterances that are drawn at once, unless another number is asked for."""

_CHUNK = 64
"""Tokens of a prompt that are read between two steps, so that those that are drawn do not wait for the whole."""

WARM_TOKENS = 4
"""Tokens that are drawn to warm up."""


class SpeechLM:
    """Draws the codes of utterances that come and go; made by `embed` and `pack`, or by `from_state_dict`.

    Args:
        network: Layers, head and embedding.
        cap: Most tokens of a prompt and its codes together.
        places: Most utterances at once.
        backend: Captures prompts and steps as graphs; None runs them eagerly.

    Attributes:
        graphed: Whether prompts and steps run as graphs.
    """

    def __init__(self, network: Network, *, cap: int, places: int, backend: GraphBackend | None = None) -> None:
        self.graphed = backend is not None
        self._network, self._backend, self._cap = network, backend, cap
        self._places = affordable_places(network.decoder, places, slots=cap)
        self._rows: TokenRows | None = None

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
        places: int = PLACES,
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
            places: Most utterances at once.
            backend: Captures prompts and steps as graphs; None runs them eagerly.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: No kernel of that precision works here.
        """
        check_shapes(shapes_of(state), model_shapes(sizes), "language model", spare=(HEAD,))
        embedding = cls.embed(sizes, speech, state, device=device, head=head, drawing=drawing)
        return cls.pack(sizes, state, embedding, device=device, precision=precision, places=places, backend=backend)

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
        places: int = PLACES,
        backend: GraphBackend | None = None,
        cache: PackedCache = NO_CACHE,
    ) -> SpeechLM:
        """Read layers and head and pack them, one after the other.

        Args:
            sizes: Of the checkpoint.
            state: Upstream's tensors. A mapping that reads them as they are asked for is never in memory as a whole,
                and with the head ``"speech"`` neither is the embedding where the mapping has ``rows(name, ids)``.
            embedding: From `embed`, of the same state.
            device: Where it runs.
            precision: Of layers and head.
            places: Most utterances at once.
            backend: Captures prompts and steps as graphs; None runs them eagerly.
            cache: Where packed weights are kept.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: No kernel of that precision works here.
        """
        device, outputs = torch.device(device), embedding.outputs
        config, precision = DecoderConfig.from_transformers(sizes.config), Precision.of(precision, device)
        layers, norm, _ = read_layers(config, state, PREFIX, (EMBEDDING.removeprefix(PREFIX),), device)

        def drawn() -> tuple[Tensor, None]:
            return embedding.drawn if sizes.tied else output_rows(state, HEAD, outputs, device), None

        # Which rows a head has is said by files that are not among the state's.
        outputs_digest = hashlib.sha256(repr(outputs.ids).encode()).hexdigest()[:16]
        with cache.open(state, f"lm.{outputs.kind}.{outputs_digest}") as store:
            kernel, sampled = Decoder.choose_kernel(config, layers, precision, device, rows=ROWS)
            begin_storing(store, config, kernel, precision.activations, device)
            # The head is packed before the layers: its float32 copy, up to 0.9 GB that go again, would else come on top
            # of everything that stays.
            sampled.clear()
            head = pack_linear("head", drawn, kernel, store)
            decoder = Decoder(
                config, layers, norm,
                precision=precision, rows=ROWS, max_positions=sizes.context, kernel=kernel.name, store=store,
            )  # fmt: skip
        prefixes = Prefixes(decoder, embedding, chunk=_CHUNK, padded=backend is not None)
        network = Network(decoder, head, outputs, embedding, prefixes, _CHUNK)
        return cls(network, cap=sizes.context, places=places, backend=backend)

    # -- drawing -----------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> TokenRows:
        """Where utterances are drawn; made when it is first asked for, and again after `release`."""
        if self._rows is None:
            self._rows = TokenRows(self._network, places=self._places, cap=self._cap, backend=self._backend)
        return self._rows

    def decode(self, utterances: Sequence[Utterance]) -> Iterator[Drawn]:
        """Yield what utterances draw, by their number in the list, until all have ended; more than fit wait.

        Raises:
            NotFinite: The logits of one were not finite.
        """
        try:
            yield from self.rows.run(utterances)
        finally:
            self.release()

    def release(self) -> None:
        """Release the cache, whose size is that of many utterances; graphs keep theirs."""
        if not self.graphed:
            self._rows = None

    def capture(self, utterance: Utterance) -> None:
        """Capture what utterances like this one need, any number of them; does nothing without graphs."""
        if self.graphed:
            self.rows.warm_up(utterance)
            self.prefixes.warm_up(utterance.ids[0])

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
