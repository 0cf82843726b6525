"""The language model on the toolkit's decoder: from a prompt's tokens to the codec's codes, fifty for a second.

A Qwen2 (v1) or a Llama (0.3B and v2), as their ``config.json`` says. Source: ``vieneu/standard.py`` of
github.com/pnnbao97/VieNeu-TTS, and ``generate`` of transformers, which it calls.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, Loops, look_of
from realtts.accel.weights.tensorfile import shapes_of
from realtts.kit.reading import check_shapes
from realtts_vieneu.batch import Batch
from realtts_vieneu.drawing import Drawn, Network, TokenLoop, params_of
from realtts_vieneu.embedding import TokenEmbedding, output_rows
from realtts_vieneu.head import Outputs
from realtts_vieneu.prefixes import Prefixes, copied
from realtts_vieneu.shapes import EMBEDDING, HEAD, model_shapes
from realtts_vieneu.utterance import DEFAULTS, SpeechIds, Utterance, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.sampling import GeneratorNoise, HashedNoise, SamplingParams, SamplingRecipe
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.sizes import Sizes

__all__ = ["ROWS", "WARM_ROWS", "WARM_TOKENS", "Drawn", "SpeechLM", "Utterance"]

ROWS = (1, 2, 4, 8, 16)
"""Numbers of utterances that there are graphs for; a batch takes the next larger one. Without graphs any number up to
the last is decoded as it is."""

WARM_ROWS = ROWS[:3]
"""Numbers that are captured beforehand: what a text of up to four sentences needs, and a stream of up to seven. Those
for more have a cache of their own, which is large."""

WARM_TOKENS = 4
"""What is spoken of an utterance to warm up."""

_PREFIX = "model."

_GRAPHED_SLOTS = 2048
"""The cache's least cap with graphs, which a longer one would throw away: upstream's longest prompt with its codes."""

_POSITIONS = 6144
"""Longest prefix, prompt behind it and codes, each of another utterance, and each within upstream's 2048."""


class SpeechLM:
    """Draws the codes of up to sixteen utterances at once; made by `from_state_dict`.

    Args:
        network: Layers, head and embedding.
        backend: Captures prompts and steps as graphs; None runs them eagerly.
    """

    def __init__(self, network: Network, *, backend: GraphBackend | None = None) -> None:
        self._network, self._backend = network, backend
        self._loops: Loops[int, TokenLoop] = Loops(graphed=backend is not None, least=_GRAPHED_SLOTS)

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
        """Pack a checkpoint's weights.

        Args:
            sizes: Of the checkpoint.
            speech: Which of its tokens are speech.
            state: Upstream's tensors. One that reads them as they are asked for is never in memory as a whole, and with
                the head ``"speech"`` neither is the embedding where it has ``rows(name, ids)``.
            device: Where it runs.
            precision: Of layers and head.
            head: ``"full"``: any token is drawn, as upstream does it; ``"speech"``: codes and the end alone.
            drawing: How its tokens are drawn unless somebody says otherwise; of what does nothing here
                (``repetition_penalty``, ``top_p``) an utterance cannot have anything either.
            backend: Captures prompts and steps as graphs; None runs them eagerly.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        device = torch.device(device)
        outputs = Outputs.of(head, sizes.vocabulary, speech, drawing)
        check_shapes(shapes_of(state), model_shapes(sizes), "language model", spare=(HEAD,))
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
        # The rests of all prompts are read together, each behind its own prefix.
        rests = [len(u.ids) - copied(u) for u in utterances]
        need = max(map(copied, utterances)) + max(rests) + max(u.most for u in utterances)
        own = self._loops.of(self._streams(len(utterances)), need, self._new_loop)
        idle = own.loop.streams - len(utterances)
        own.loop.check_every = check_every or look_of(self.decoder.device)
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
        self._loops.release()

    def warm_up(self, utterance: Utterance) -> None:
        """Capture prompts and steps of such utterances, of one and of a few together, and draw some tokens."""
        for streams in WARM_ROWS if self._backend is not None else ():
            self._loops.of(streams, len(utterance.ids) + utterance.most, self._new_loop).warm_up(utterance)
        few = min(utterance.most, WARM_TOKENS)
        for _ in self.decode([replace(utterance, most=few, least=few)]):
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

    def cost(self, batch: Batch) -> tuple[int, int]:
        """Operations and bytes of a batch's next step."""
        return self.decoder.step_cost(self.head, batch.loop.cache)

    # -- loops -------------------------------------------------------------------------------------------------------

    def _streams(self, utterances: int) -> int:
        """Rows of the loop for so many."""
        return utterances if self._backend is None else next(n for n in ROWS if n >= utterances)

    def _new_loop(self, streams: int, cap: int) -> TokenLoop:
        return TokenLoop(self._network, streams=streams, cap=cap, backend=self._backend)
