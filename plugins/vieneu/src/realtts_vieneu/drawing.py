"""The loop over tokens: read some prompts, then draw one token of each at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Buckets, DecodeLoop, Prompt
from realtts.accel.sampling import GeneratorNoise, HashedNoise, SamplingParams
from realtts_vieneu.prefixes import copied
from realtts_vieneu.utterance import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Block, Decoder
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.sampling import SamplingRecipe
    from realtts_vieneu.embedding import TokenEmbedding
    from realtts_vieneu.head import Outputs
    from realtts_vieneu.prefixes import Prefixes
    from realtts_vieneu.utterance import Utterance

__all__ = ["Drawn", "Network", "TokenLoop", "params_of"]


@dataclass(frozen=True)
class Drawn:
    """Tokens drawn since the host last synchronised with the device.

    Attributes:
        tokens: For each row its new tokens of the checkpoint's vocabulary, without the end.
        codes: For each row the codes among them, int64 (n,) on the host.
        finished: For each row whether it has ended.
        stopped: For each row whether the model ended it; False with ``finished``: it reached its limit.
    """

    tokens: tuple[tuple[int, ...], ...]
    codes: tuple[Tensor, ...]
    finished: tuple[bool, ...]
    stopped: tuple[bool, ...]


@dataclass(frozen=True)
class Network:
    """The parts that all loops share.

    Attributes:
        decoder: The layers.
        head: From hidden states to logits.
        outputs: Tokens that the logits stand for.
        embedding: Of tokens.
        prefixes: Keys and values of what prompts begin with.
    """

    decoder: Decoder
    head: PackedLinear
    outputs: Outputs
    embedding: TokenEmbedding
    prefixes: Prefixes

    def noise(self, rows: int) -> GeneratorNoise | HashedNoise:
        """Return torch's own noise in float32, for upstream's tokens, and a hash's below it, which costs nothing.

        torch's generator takes 3.5 ms for a row and token of a vocabulary of 217,216.
        """
        if self.decoder.precision.weights == "fp32":
            return GeneratorNoise(rows, self.decoder.device)
        return HashedNoise(rows, self.decoder.device)


class TokenLoop:
    """Draws the tokens of a fixed number of rows. What it captures has not run on a GPU yet.

    Args:
        network: Draws.
        streams: Number of rows.
        cap: Slots of the cache: prompt and tokens together.
        backend: Captures prompts and steps as graphs; None runs them eagerly.

    Attributes:
        loop: The toolkit's loop.
    """

    def __init__(self, network: Network, *, streams: int, cap: int, backend: GraphBackend | None) -> None:
        self._network, self._captures = network, backend is not None
        self._forcing = _Forcing(streams, (network.outputs.codes < 0).to(network.decoder.device))
        self.loop = DecodeLoop(
            network.decoder,
            network.head,
            lambda outputs, _step, _state: network.embedding(outputs),
            self._forcing.recipe(network.outputs),
            streams=streams,
            cap=cap,
            backend=backend,
            noise=network.noise(streams),
            structure=self._forcing.structure,
            prompt_buckets=Buckets(cap),
        )

    @torch.inference_mode()
    def begin(self, utterances: Sequence[Utterance], still_wanted: Callable[[int], bool] = lambda _: True) -> None:
        """Read the prompts and draw the first tokens.

        Args:
            utterances: One for each row.
            still_wanted: Called with a row before its prompt is read; False: it ends after a token or two.

        Raises:
            DecoderError: Prompt and tokens do not fit the cache.
        """
        self.loop.cache.reset()
        rows, prompt = self._together(utterances) if self._captures else self._apart(utterances, still_wanted)
        self._forcing.begin([u.forced for u in rows])
        outputs = self._network.outputs
        self.loop.begin(
            prompt,
            [params_of(u) for u in rows],
            [u.seed for u in rows],
            [u.most for u in rows],
            history=[outputs.of_tokens(u.ids) for u in rows] if outputs.penalized else None,
            after_prefix=True,
        )

    def run(self) -> Iterator[Drawn]:
        """Draw until every row has ended; whoever stops reading stops the drawing.

        Raises:
            NotFinite: The logits of a row were not finite.
        """
        return map(self._named, self.loop.run())

    def stop(self, row: int) -> None:
        """End one row now; the others go on."""
        self.loop.stop(row)

    @property
    def shrinks(self) -> bool:
        """Whether ended rows can be left out. On a GPU they cost nothing, and graphs have a fixed number of rows."""
        return not self._captures and self._network.decoder.device.type == "cpu"

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some rows alone, in this order; the loop cannot be begun again then."""
        self.loop.keep(rows)

    def warm_up(self, utterance: Utterance) -> None:
        """Capture prompts and steps of such an utterance; leaves no request behind."""
        length, before = len(utterance.ids), copied(utterance)
        self._forcing.begin([utterance.forced] * self.loop.streams)
        self.loop.warm_up(
            length + utterance.most, params_of(utterance), prompt=length - before, after_prefix=before
        )  # fmt: skip

    # -- prompts -----------------------------------------------------------------------------------------------------

    def _together(self, utterances: Sequence[Utterance]) -> tuple[list[Utterance], Prompt]:
        """Embed all prompts for one graph; what each shares with others is copied into the cache."""
        network, cache = self._network, self.loop.cache
        lengths = [network.prefixes.put(utterance, cache, row) for row, utterance in enumerate(utterances)]
        rests = [network.embedding.prompt(u.ids[length:]) for u, length in zip(utterances, lengths, strict=True)]
        return list(utterances), Prompt.padded(rests)

    def _apart(
        self, utterances: Sequence[Utterance], still_wanted: Callable[[int], bool]
    ) -> tuple[list[Utterance], Prompt]:
        """Read one row after the other, behind what it shares with others, up to its last token, which `begin` reads.

        So no row is padded to the longest, only one prompt's activations are in memory, and a row is read as if it were
        alone.
        """
        decoder, embedding, cache = self._network.decoder, self._network.embedding, self.loop.cache
        rows, rests = [], []
        for row, utterance in enumerate(utterances):
            spoken = utterance if still_wanted(row) else silent(utterance)
            length = self._network.prefixes.put(spoken, cache, row)
            rest = embedding.prompt(spoken.ids[length:])  # (n, hidden)
            if len(utterances) > 1:
                if len(rest) > 1:
                    decoder.prefill(rest[None, :-1], cache, rows=[row])
                rest = rest[-1:]
            rows.append(spoken)
            rests.append(rest)
        return rows, Prompt(torch.stack(rests))  # each (n, hidden) -> (rows, n, hidden)

    def _named(self, block: Block) -> Drawn:
        """Translate outputs of the head to tokens and codes."""
        outputs = self._network.outputs
        codes = [outputs.codes[torch.tensor(new, dtype=torch.int64)] for new in block.tokens]
        return Drawn(
            tuple(tuple(outputs.ids[output] for output in new) for new in block.tokens),
            tuple(row[row >= 0] for row in codes),
            block.finished,
            block.stopped,
        )


class _Forcing:
    """A processor for `SamplingRecipe.own`: rows that are forced can draw codes alone.

    Args:
        rows: Number of rows.
        no_code: bool (outputs,): outputs that are no code.
    """

    def __init__(self, rows: int, no_code: Tensor) -> None:
        self._no_code, self._any = no_code, False
        with torch.inference_mode(mode=False):  # a tensor made inside could not be changed outside of it
            self._rows = torch.zeros(rows, 1, dtype=torch.bool, device=no_code.device)

    def begin(self, forced: Sequence[bool]) -> None:
        """Set which rows are forced."""
        self._any = any(forced)
        self._rows.copy_(torch.tensor(forced)[:, None])

    def recipe(self, outputs: Outputs) -> SamplingRecipe:
        """Return a head's recipe with this processor first; a head of codes and end alone does without."""
        recipe = outputs.recipe
        if outputs.kind == "speech":
            return recipe
        return replace(recipe, order=("codes", *recipe.order), own={"codes": self})

    def structure(self) -> Hashable:
        """Return what a captured step depends on."""
        return self._any

    def __call__(self, scores: Tensor, _step: Tensor, rows: Tensor) -> Tensor:
        return scores.masked_fill(self._rows[rows] & self._no_code, float("-inf")) if self._any else scores


def params_of(utterance: Utterance) -> SamplingParams:
    """Return how an utterance is drawn; greedy, without the parameters that do not change the most probable token."""
    least, params = utterance.most if utterance.forced else utterance.least, utterance.params
    if params.greedy:
        params = SamplingParams(greedy=True, repetition_penalty=params.repetition_penalty)
    return replace(params, min_new_tokens=least)
