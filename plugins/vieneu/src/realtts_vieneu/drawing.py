"""The loop over tokens: a number of prompts read, then one token of each at a time."""

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
    """What is new since the last look.

    Attributes:
        tokens: For each row its new tokens of the checkpoint's vocabulary, the end not among them.
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
    """What all loops share.

    Attributes:
        decoder: The layers.
        head: Hidden states to logits.
        outputs: What these are.
        embedding: Of tokens.
        prefixes: What prompts begin with.
    """

    decoder: Decoder
    head: PackedLinear
    outputs: Outputs
    embedding: TokenEmbedding
    prefixes: Prefixes

    def noise(self, rows: int) -> GeneratorNoise | HashedNoise:
        """Upstream's in float32, where tokens shall be upstream's; else what costs nothing.

        A generator's takes 3.5 ms for a row and token, of a vocabulary of 217,216.
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
        loop: The toolkit's.
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
    def begin(self, utterances: Sequence[Utterance], wanted: Callable[[int], bool] = lambda _: True) -> None:
        """Read the prompts and draw the first tokens.

        Args:
            utterances: One for each row.
            wanted: Asked before the prompt of a row is read; of one that is not wanted any more no more comes than a
                token or two.

        Raises:
            DecoderError: Prompt and tokens do not fit the cache.
        """
        self.loop.cache.reset()
        rows, prompt = self._together(utterances) if self._captures else self._apart(utterances, wanted)
        self._forcing.begin([u.forced for u in rows])
        outputs = self._network.outputs
        self.loop.begin(
            prompt,
            [params_of(u) for u in rows],
            [u.seed for u in rows],
            [u.most for u in rows],
            history=[outputs.known(u.ids) for u in rows] if outputs.penalized else None,
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
        """Whether rows that have ended can be left out. On a GPU they cost nothing, and graphs cannot lose them."""
        return not self._captures and self._network.decoder.device.type == "cpu"

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some rows, in this order; what is drawn from now on is theirs. Not to be begun again."""
        self.loop.keep(rows)
        self._forcing.keep(rows)

    def warm_up(self, utterance: Utterance) -> None:
        """Capture prompts and steps of such an utterance; ends without a request."""
        length, before = len(utterance.ids), copied(utterance)
        self._forcing.begin([utterance.forced] * self.loop.streams)
        self.loop.warm_up(
            length + utterance.most, params_of(utterance), prompt=length - before, after_prefix=before
        )  # fmt: skip

    # -- prompts -----------------------------------------------------------------------------------------------------

    def _together(self, utterances: Sequence[Utterance]) -> tuple[list[Utterance], Prompt]:
        """All at once, behind what each shares with others: one graph."""
        network, cache = self._network, self.loop.cache
        begun = [network.prefixes.put(utterance, cache, row) for row, utterance in enumerate(utterances)]
        rests = [network.embedding.prompt(u.ids[done:]) for u, done in zip(utterances, begun, strict=True)]
        return list(utterances), Prompt.padded(rests)

    def _apart(self, utterances: Sequence[Utterance], wanted: Callable[[int], bool]) -> tuple[list[Utterance], Prompt]:
        """One row after the other, behind what it shares with others, and together only what is left for `begin`.

        No row is padded to the longest, no more than one prompt's activations lie in memory, and a row is read as if it
        were alone.
        """
        decoder, embedding, cache = self._network.decoder, self._network.embedding, self.loop.cache
        rows, left = [], []
        for row, given in enumerate(utterances):
            utterance = given if wanted(row) else silent(given)
            done = self._network.prefixes.put(utterance, cache, row)
            rest = embedding.prompt(utterance.ids[done:])
            if len(utterances) > 1:
                if len(rest) > 1:
                    decoder.prefill(rest[None, :-1], cache, rows=[row])
                rest = rest[-1:]
            rows.append(utterance)
            left.append(rest)
        return rows, Prompt(torch.stack(left))

    def _named(self, block: Block) -> Drawn:
        outputs = self._network.outputs
        drawn = [torch.tensor(new, dtype=torch.int64) for new in block.tokens]
        codes = [outputs.codes[new] for new in drawn]
        return Drawn(
            tuple(tuple(outputs.ids[output] for output in new) for new in block.tokens),
            tuple(found[found >= 0] for found in codes),
            block.finished,
            block.stopped,
        )


class _Forcing:
    """Leaves nothing but codes to rows that are forced, as a processor of `SamplingRecipe.own`.

    Args:
        rows: Number of rows.
        no_code: bool (outputs,): outputs that are no code.
    """

    def __init__(self, rows: int, no_code: Tensor) -> None:
        self._no_code, self._any = no_code, False
        with torch.inference_mode(mode=False):  # or it could not be changed outside of it
            self._rows = torch.zeros(rows, 1, dtype=torch.bool, device=no_code.device)

    def begin(self, forced: Sequence[bool]) -> None:
        """Take which rows are."""
        self._any = any(forced)
        self._rows.copy_(torch.tensor(forced)[:, None])

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all other rows."""
        self._rows = self._rows[list(rows)]

    def recipe(self, outputs: Outputs) -> SamplingRecipe:
        """A head's, with this before all else; a head that has nothing but codes and the end needs it not."""
        recipe = outputs.recipe
        if outputs.kind == "speech":
            return recipe
        return replace(recipe, order=("codes", *recipe.order), own={"codes": self})

    def structure(self) -> Hashable:
        """What a captured step depends on."""
        return self._any

    def __call__(self, scores: Tensor, _step: Tensor) -> Tensor:
        return scores.masked_fill(self._rows & self._no_code, float("-inf")) if self._any else scores


def params_of(utterance: Utterance) -> SamplingParams:
    """How an utterance is drawn; without what has no effect on the most probable token."""
    least, params = utterance.most if utterance.forced else utterance.least, utterance.params
    if params.greedy:
        params = SamplingParams(greedy=True, repetition_penalty=params.repetition_penalty)
    return replace(params, min_new_tokens=least)
